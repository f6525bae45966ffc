import { join } from 'node:path'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import Database from 'better-sqlite3'
import type OpenAI from 'openai'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createServices } from '../src/services.ts'
import { type Harness, startApp } from './harness/app.ts'
import { ScriptedBackend, type Turn } from './harness/backend.ts'
import { atRest, checkEnded, converse, finish, holding, madeBy } from './harness/engine.ts'
import { aDirectory, startProcess } from './harness/process.ts'
import { randomBy } from './harness/random.ts'
import { saying, toldIn } from './harness/search.ts'
import {
  askLead,
  becomes,
  childrenOf,
  critic,
  handingOver,
  onlyChild,
  outputsOf,
  type Place,
  resultOf,
  specialistCall,
  specialistTool,
} from './harness/specialists.ts'

const seed = Number(process.env.KILL_SEED ?? 1)
const kills = 4
const settings = { tools: [specialistTool], instructions: 'Lead.' }

async function startBackend() {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  return backend
}

/** The same server again and again, on one database. */
function restartable(backend: ScriptedBackend, env: Record<string, string> = {}) {
  const dir = aDirectory()
  return {
    start: () => startProcess({ dir, env: { OPENAI_BASE_URL: backend.url, RUN_LEASE_SECONDS: '1', ...env } }),
    /** How many runs there are of each parent. */
    families() {
      const database = new Database(join(dir, 'assistants.db'), { readonly: true })
      const query = 'SELECT parent_run_id AS id, count(*) AS count FROM runs WHERE id <> parent_run_id GROUP BY 1'
      const rows = database.prepare<[], { id: string; count: number }>(query).all()
      database.close()
      return Object.fromEntries(rows.map(({ id, count }) => [id, count]))
    },
  }
}

/** A run and its only specialist, both completed, and each of their model calls counted once. */
async function checkBoth(client: OpenAI, begun: Place, answer: string) {
  expect(await atRest(client, begun)).toMatchObject({ status: 'completed', usage: { total_tokens: 45 } })
  const { steps } = await madeBy(client, begun)
  expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
    'tool_calls completed',
    'message_creation completed',
  ])
  expect(outputsOf(steps)).toEqual([answer])
  const child = await onlyChild(client, begun)
  const made = await madeBy(client, child)
  expect(made.run).toMatchObject({ status: 'completed', usage: { total_tokens: 15 } })
  expect(made.messages).toMatchObject([{ status: 'completed', content: [{ text: { value: answer } }] }])
  return child
}

describe('a SIGKILL', () => {
  test('while a specialist answers: the next process goes on with both, and there is no second one', async () => {
    const backend = await startBackend()
    const { start, families } = restartable(backend)
    const { turn, held } = holding('It ')
    backend.turns = [handingOver({}), turn, saying('It is bad.'), saying('No.')]
    const server = await start()
    const begun = await (await converse(server.client, settings)).run()
    await held
    const before = await onlyChild(server.client, begun)
    await server.kill()

    const { client } = await start()
    expect(await checkBoth(client, begun, 'It is bad.')).toEqual(before)
    expect(families()).toEqual({ [begun.id]: 1 })
    expect(backend.requests).toHaveLength(4)
  })

  test('while a specialist waits in the queue: it has its turn in the next process', async () => {
    const backend = await startBackend()
    const { start, families } = restartable(backend, { RUN_CONCURRENCY: '1' })
    const [asking, filling] = [holding(), holding('a')]
    backend.turns = [asking.turn, filling.turn]
    backend.otherwise = byInstructions({ [critic.instructions]: saying('It is bad.') })
    const server = await start()
    const begun = await (await converse(server.client, settings)).run()
    const exchange = await asking.held
    const filler = await (await converse(server.client)).run()
    exchange.calls(specialistCall())
    await filling.held
    const before = await onlyChild(server.client, begun)
    expect((await madeBy(server.client, before)).run.status).toBe('queued')
    await server.kill()

    const { client } = await start()
    expect(await checkBoth(client, begun, 'It is bad.')).toEqual(before)
    expect(families()).toEqual({ [begun.id]: 1 })
    expect((await atRest(client, filler)).status).toBe('completed')
  })
})

/** The model, whose answer goes by who it is told to be. */
const byInstructions =
  (turns: Record<string, Turn>, otherwise: Turn = saying('No.')): Turn =>
  (exchange) =>
    (turns[String(exchange.body.messages[0]?.content)] ?? otherwise)(exchange)

/** The server on a database in a file, whose runs nobody takes without being asked to, and whose leases are short. */
const startShared = () =>
  startApp({ started: false, leaseMs: 1000, env: { DATABASE_URL: `sqlite:${join(aDirectory(), 'a.db')}` } })

/** The worker of the next process on the same database. */
function anotherWorker(h: Harness) {
  const overrides = { clock: () => h.time.now, leaseMs: 1000, beatMs: 3_600_000 }
  const services = createServices(h.services.config, pino({ level: 'silent' }), overrides)
  onTestFinished(async () => {
    await services.executor.stop(0)
    await services.close()
  })
  return services.executor
}

describe('a worker that is lost', () => {
  test('after its specialist has answered, and before it has heard of it: the next one goes on from there', async () => {
    const h = await startShared()
    const { run } = await askLead(h)
    h.backend.turns = [handingOver({}), saying('It is bad.'), saying('No.')]
    const begun = await run()
    void h.services.executor.tick()
    await expect.poll(() => childrenOf(h.client, begun)).toHaveLength(1)
    const other = anotherWorker(h)
    // What this one does, the lost one does not hear.
    expect(await other.tick()).toBe(true)
    const child = await onlyChild(h.client, begun)
    expect((await checkEnded(h, child)).run.status).toBe('completed')
    expect((await resultOf(h, begun)).outputs).toEqual([null])

    h.time.now += 1000
    expect(await other.tick()).toBe(true)
    const { run: ended, outputs } = await resultOf(h, begun)
    expect(ended).toMatchObject({ status: 'completed', usage: { total_tokens: 45 } })
    expect(outputs).toEqual(['It is bad.'])
    expect(h.backend.requests).toHaveLength(3)
    expect(await h.services.store.runs.family(begun.id)).toEqual({ depth: 0, descendants: 1 })
  })

  test('at whatever moment: each call has one specialist, and its tokens count once', async () => {
    const h = await startShared()
    const { assistant } = await askLead(h)
    h.backend.otherwise = (exchange) => {
      const { messages } = exchange.body
      if (messages[0]?.content === critic.instructions) exchange.text('Bad.')
      else if (messages.at(-1)?.role === 'tool') exchange.text('No.')
      else exchange.calls(specialistCall(), specialistCall())
    }
    const other = anotherWorker(h)
    const left = new Set<string>()
    for (let moment = 0; moment < 30; moment++) {
      const asked = h.backend.requests.length
      const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
      const begun = await h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })
      void h.services.executor.tick()
      await h.backend.requested(asked + 1)
      for (let turn = 0; turn < 4 * moment; turn++) {
        await turnOfLoop()
        void h.services.executor.tick()
      }
      const children = await childrenOf(h.client, begun)
      const statuses = await Promise.all(children.map(async (child) => (await madeBy(h.client, child)).run.status))
      left.add(statuses.join())
      // The lease of the lost one ends; whatever it still does, it may not write.
      h.time.now += 1000
      other.start()
      await becomes(h, begun, 'completed', 10_000)
      await other.stop(1000)
      const made = await resultOf(h, begun)
      expect(made.run.usage).toMatchObject({ total_tokens: 60 })
      expect(made.outputs).toEqual(['Bad.', 'Bad.'])
      expect(made.children.map(({ run }) => `${run.status} ${run.usage?.total_tokens}`)).toEqual([
        'completed 15',
        'completed 15',
      ])
      expect(toldIn(h, h.backend.requests.length - 1)).toEqual(['Bad.', 'Bad.'])
      expect(await h.services.store.runs.family(begun.id)).toEqual({ depth: 0, descendants: 2 })
    }
    expect(left).toContain('in_progress')
    expect(left).toContain('completed,in_progress')
  })
})

const asker = 'Ask one.'

/** The models of many runs at once: they say one piece at a time, in an order drawn by lot. */
class Models {
  readonly #random
  readonly #open = new Set<(() => void)[]>()

  constructor(random: ReturnType<typeof randomBy>) {
    this.#random = random
  }

  /** A run asks two specialists, the first of which asks one of its own: six model calls. */
  readonly turn: Turn = (exchange) => {
    const { messages } = exchange.body
    const isTold = messages.at(-1)?.role === 'tool'
    const [system] = messages
    const asks = system?.content === asker ? [{}] : [{ instructions: asker, tools: ['create_specialist'] }, {}]
    const said = { [critic.instructions]: 'Bad.', [asker]: 'Worse.' }[String(system?.content)] ?? 'No.'
    const pieces =
      isTold || system?.content === critic.instructions
        ? [...[...said].map((letter) => () => exchange.chunk({ content: letter })), () => finish(exchange)]
        : [() => exchange.calls(...asks.map(specialistCall))]
    this.#open.add(pieces)
    void exchange.closed.then(() => this.#open.delete(pieces))
  }

  get isSilent() {
    return this.#open.size === 0
  }

  /** Says as many pieces, or fewer if nobody asks for more. */
  async say(count: number) {
    for (let said = 0; said < count && this.#open.size > 0; said++) {
      const pieces = this.#random.oneOf([...this.#open])
      pieces.shift()?.()
      if (pieces.length === 0) this.#open.delete(pieces)
      await turnOfLoop()
    }
  }
}

test(`10 runs with three specialists each and ${kills} SIGKILLs at random moments: all complete, none is doubled`, {
  timeout: 120_000,
}, async () => {
  const random = randomBy(seed)
  const models = new Models(random)
  const backend = await startBackend()
  backend.otherwise = models.turn
  const { start, families } = restartable(backend, { RUN_CONCURRENCY: '4' })
  let server = await start()
  const { assistant } = await converse(server.client, settings)
  const thread = { messages: [{ role: 'user' as const, content: 'Is it good?' }] }
  const create = () => server.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })
  const runs = await Promise.all(Array.from({ length: 10 }, create))
  for (let kill = 0; kill < kills; kill++) {
    // All of it would be more than 200 pieces, so there is always one to wait for.
    for (let more = random.below(50); more > 0; more--) {
      if (models.isSilent) await backend.requested(backend.requests.length + 1)
      await models.say(1)
    }
    await server.kill()
    server = await start()
  }
  const { client } = server
  const unfinished = async () => {
    await models.say(Number.POSITIVE_INFINITY)
    const all = await Promise.all(runs.map(({ id, thread_id }) => client.beta.threads.runs.retrieve(id, { thread_id })))
    return all.filter(({ status }) => status !== 'completed').length
  }
  await expect.poll(unfinished, { timeout: 60_000, interval: 20 }).toBe(0)

  const counted = families()
  for (const run of runs) {
    const { run: ended, steps, messages } = await madeBy(client, run)
    expect(ended.usage).toMatchObject({ total_tokens: 90 })
    expect(outputsOf(steps)).toEqual(['Worse.', 'Bad.'])
    expect(messages).toMatchObject([{ status: 'completed', content: [{ text: { value: 'No.' } }] }])
    const children = await childrenOf(client, run)
    expect([counted[run.id], children.length]).toEqual([2, 2])
    const [first, second] = await Promise.all(children.map((child) => madeBy(client, child)))
    expect(first?.run).toMatchObject({ status: 'completed', usage: { total_tokens: 45 } })
    expect(second?.run).toMatchObject({ status: 'completed', usage: { total_tokens: 15 } })
    expect(outputsOf(first?.steps ?? [])).toEqual(['Bad.'])
    expect([counted[first?.run.id ?? ''], counted[second?.run.id ?? '']]).toEqual([1, undefined])
  }
  expect(Object.keys(counted)).toHaveLength(20)
})
