import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ScriptedBackend, type Turn } from './harness/backend.ts'
import { atRest, converse, finish, holding, madeBy, outputsFor } from './harness/engine.ts'
import { textOf } from './harness/objects.ts'
import { aDirectory, type ServerProcess, startProcess } from './harness/process.ts'
import { randomBy } from './harness/random.ts'

const seed = Number(process.env.KILL_SEED ?? 1)
const runsInFlight = Number(process.env.KILL_RUNS ?? 40)
const kills = 10

const text = (message: unknown) => textOf(message as Parameters<typeof textOf>[0])

async function startBackend() {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  return backend
}

/** The same server again and again, on one database. */
function restartable(backend: ScriptedBackend, env: Record<string, string> = {}) {
  const dir = aDirectory()
  // A worker that was killed keeps its runs for so long.
  return () => startProcess({ dir, env: { OPENAI_BASE_URL: backend.url, RUN_LEASE_SECONDS: '1', ...env } })
}

describe('a SIGKILL', () => {
  test('in the middle of a text: the next process takes the turn again, and nothing is doubled', async () => {
    const backend = await startBackend()
    const start = restartable(backend)
    const { turn, held } = holding('Hel')
    backend.turns.push(turn)
    const server = await start()
    const begun = await (await converse(server.client)).run()
    await held
    await expect.poll(async () => (await madeBy(server.client, begun)).messages.length).toBe(1)
    await server.kill()

    const { client } = await start()
    expect((await atRest(client, begun)).status).toBe('completed')
    const { steps, messages } = await madeBy(client, begun)
    expect(messages.map(text)).toEqual(['Hello.'])
    expect(steps).toMatchObject([{ type: 'message_creation', status: 'completed' }])
    await client.beta.threads.messages.create(begun.thread_id, { role: 'user', content: 'Next.' })
  })

  test('while a run waits for outputs: they are accepted afterwards', async () => {
    const backend = await startBackend()
    const start = restartable(backend)
    backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{"q":"Rome"}' }))
    const server = await start()
    const waiting = await atRest(server.client, await (await converse(server.client)).run())
    await server.kill()

    const { client } = await start()
    const { id, thread_id } = waiting
    expect(await client.beta.threads.runs.retrieve(id, { thread_id })).toEqual(waiting)
    await client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    expect((await atRest(client, waiting)).usage).toMatchObject({ total_tokens: 30 })
    const { steps } = await madeBy(client, waiting)
    expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'tool_calls completed',
      'message_creation completed',
    ])
  })
})

/** The model of many runs at once. It says one piece at a time, to a run drawn by lot. */
class Lottery {
  readonly #random
  readonly #open = new Set<{ exchange: Exchange; pieces: string[] }>()
  /** Answers that were said to their end, whether or not anybody lived to hear it. */
  finished = 0

  constructor(random: ReturnType<typeof randomBy>) {
    this.#random = random
  }

  readonly turn: Turn = (exchange) => {
    const call = { exchange, pieces: ['One', ' two', ' three', ' four', '.'] }
    this.#open.add(call)
    void exchange.closed.then(() => this.#open.delete(call))
  }

  /** Says as many pieces, or fewer if all are said before. */
  async say(count: number) {
    for (let said = 0; said < count && this.#open.size > 0; said++) {
      const call = this.#random.oneOf([...this.#open])
      const piece = call.pieces.shift()
      if (piece) call.exchange.chunk({ content: piece })
      else {
        this.#open.delete(call)
        finish(call.exchange)
        this.finished++
      }
      await turnOfLoop()
    }
  }
}

type Exchange = Parameters<Turn>[0]

/** Creates runs until so many are acknowledged, or until the server is no more. */
async function fillUp({ client }: ServerProcess, acknowledged: { id: string; thread_id: string }[]) {
  const missing = runsInFlight - acknowledged.length
  if (missing === 0) return
  const { assistant } = await converse(client)
  const thread = { messages: [{ role: 'user' as const, content: 'Count.' }] }
  const create = async () => {
    acknowledged.push(await client.beta.threads.createAndRun({ assistant_id: assistant.id, thread }))
  }
  await Promise.all(Array.from({ length: missing }, create))
}

test(`${runsInFlight} runs in flight and ${kills} SIGKILLs at random moments: every run that was acknowledged completes`, {
  timeout: 240_000,
}, async () => {
  const random = randomBy(seed)
  const lottery = new Lottery(random)
  const backend = await startBackend()
  backend.otherwise = lottery.turn
  const start = restartable(backend, { RUN_CONCURRENCY: String(runsInFlight) })
  const acknowledged: { id: string; thread_id: string }[] = []

  let server = await start()
  let asked = 0
  for (let kill = 0; kill < kills; kill++) {
    const filling = Promise.allSettled([fillUp(server, acknowledged)])
    // The first kill comes while runs are still being created.
    if (kill > 0) await filling
    const unfinished = runsInFlight - lottery.finished
    // Some come before the runs of the last process are taken up again, the others while their answers are coming.
    if (random.chance(0.7)) {
      await backend.requested(asked + random.below(unfinished))
      await lottery.say(random.below(4 * unfinished))
    }
    await server.kill()
    await filling
    asked = backend.requests.length
    server = await start()
  }
  const { client } = server
  const unfinished = async () => {
    await lottery.say(Number.POSITIVE_INFINITY)
    const get = ({ id, thread_id }: { id: string; thread_id: string }) =>
      client.beta.threads.runs.retrieve(id, { thread_id })
    return (await Promise.all(acknowledged.map(get))).filter(({ status }) => status !== 'completed').length
  }
  await expect.poll(unfinished, { timeout: 60_000, interval: 20 }).toBe(0)
  expect(acknowledged).toHaveLength(runsInFlight)
  for (const run of acknowledged) {
    const { messages, steps } = await madeBy(client, run)
    expect(messages.map(text)).toEqual(['One two three four.'])
    expect(steps.map(({ status }) => status)).toEqual(['completed'])
    await client.beta.threads.messages.create(run.thread_id, { role: 'user', content: 'Next.' })
  }
})
