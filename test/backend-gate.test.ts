import type { AssistantTool } from 'openai/resources/beta/assistants'
import type { Run } from 'openai/resources/beta/threads/runs/runs'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, converse, finish, holding, lookupTool, madeBy, outputsFor } from './harness/engine.ts'

const tenMinutes = 600_000

/** One run after the other is created, of the backend's model unless it is said otherwise; each asks its own question. */
async function runsOf(h: Harness, questions: readonly string[], settings: Parameters<typeof converse>[1] = {}) {
  const runs: Run[] = []
  for (const question of questions) runs.push(await (await converse(h.client, settings, question)).run())
  return runs
}

const questionsTo = (h: Harness) => h.backend.requests.map(({ messages }) => messages.at(-1)?.content)

const now = (h: Harness, { id, thread_id }: Run) => h.client.beta.threads.runs.retrieve(id, { thread_id })

const statusesOf = async (h: Harness, runs: readonly Run[]) =>
  (await Promise.all(runs.map((run) => now(h, run)))).map(({ status }) => status)

/** All runs at rest: how many there are of each status. */
async function endsOf(h: Harness, runs: readonly Run[]) {
  const ends: Record<string, number> = {}
  for (const run of runs) {
    const { status } = await atRest(h.client, run)
    ends[status] = (ends[status] ?? 0) + 1
  }
  return ends
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `question ${index + 1}`)

/** A server with one place at its backend, which has been taken by a run that is held. */
async function occupied(env: Record<string, string> = {}, tools: readonly string[] = []) {
  const h = await startApp({ env: { BACKEND_CONCURRENCY: '1', ...env }, tools })
  const { turn, held } = holding('a')
  h.backend.turns.push(turn)
  const [first] = await runsOf(h, ['first'])
  return { h, first: first as Run, exchange: await held }
}

describe('a backend with so many places', () => {
  test('gets no more calls at a time; other runs stay queued and begin in the order of their creation', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '2' } })
    const turns = numbered(6).map(() => holding('a'))
    h.backend.turns = turns.map(({ turn }) => turn)
    const runs = await runsOf(h, numbered(6))
    for (const [index, { held }] of turns.entries()) {
      const exchange = await held
      await h.services.executor.beat()
      expect(h.backend.requests.length).toBeLessThanOrEqual(index + 2)
      const statuses = await statusesOf(h, runs)
      expect(statuses.filter((status) => status === 'in_progress').length).toBeLessThanOrEqual(2)
      const begun = statuses.findLastIndex((status) => status !== 'queued') + 1
      expect(statuses.slice(0, begun)).not.toContain('queued')
      expect(begun).toBeLessThanOrEqual(index + 2)
      finish(exchange)
    }
    expect(await endsOf(h, runs)).toEqual({ completed: 6 })
  })

  test('does not delay the runs of others', async () => {
    const { h, exchange } = await occupied()
    const waiting = await runsOf(h, numbered(3))
    const others = await runsOf(h, ['What is 2 + 3?', 'What is 4 + 5?'], { model: 'demo' })
    expect(await endsOf(h, others)).toEqual({ completed: 2 })
    expect(await statusesOf(h, waiting)).toEqual(['queued', 'queued', 'queued'])
    finish(exchange)
    expect(await endsOf(h, waiting)).toEqual({ completed: 3 })
  })

  test('lets go of runs that expire in the queue, and never asks about them', async () => {
    const { h, exchange, first } = await occupied({ RUN_EXPIRY_SECONDS: '600' })
    h.time.now += 1000
    const waiting = await runsOf(h, numbered(2))
    h.time.now += 1000
    const [later] = await runsOf(h, ['later'])
    h.time.now += tenMinutes - 1000
    await h.services.executor.beat()
    await exchange.closed
    expect(await endsOf(h, [first, ...waiting])).toEqual({ expired: 3 })
    for (const run of waiting) expect(await now(h, run)).toMatchObject({ started_at: null, last_error: null })
    expect(await endsOf(h, [later as Run])).toEqual({ completed: 1 })
    expect(questionsTo(h)).toEqual(['first', 'later'])
  })

  test('has it back from a run that ends before its call', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1' }, started: false })
    const [run] = await runsOf(h, ['first'])
    h.time.now += tenMinutes
    await h.services.executor.tick()
    expect((await now(h, run as Run)).status).toBe('expired')
    const [next] = await runsOf(h, ['next'])
    expect(await h.services.executor.tick()).toBe(true)
    expect((await now(h, next as Run)).status).toBe('completed')
  })

  test('lets go of runs that are cancelled in the queue', async () => {
    const { h, exchange, first } = await occupied()
    const [run, next] = await runsOf(h, numbered(2))
    const { id, thread_id } = run as Run
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    expect((await now(h, run as Run)).status).toBe('cancelled')
    finish(exchange)
    expect(await endsOf(h, [first, next as Run])).toEqual({ completed: 2 })
    expect(questionsTo(h)).toEqual(['first', 'question 2'])
  })

  test('has one free when a run is cancelled, or its call fails', async () => {
    const { h, exchange, first } = await occupied()
    const failing = holding('b')
    h.backend.turns.push(failing.turn)
    const [second, third] = await runsOf(h, numbered(2))
    await h.client.beta.threads.runs.cancel(first.id, { thread_id: first.thread_id })
    await exchange.closed
    const { response } = await failing.held
    response.end('data: {"error": {"message": "No.", "code": 400}}\n\n')
    expect(await endsOf(h, [first, second as Run, third as Run])).toEqual({ cancelled: 1, failed: 1, completed: 1 })
  })

  test('has the runs with their outputs wait in the queue like new ones', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1' } })
    const { turn, held } = holding('a')
    h.backend.turns = [({ calls }) => calls({ name: 'lookup', arguments: '{}' }), turn]
    const [run] = await runsOf(h, ['asks'], { tools: [lookupTool] })
    const waiting = await atRest(h.client, run as Run)
    const [other] = await runsOf(h, ['other'])
    const exchange = await held
    const { id, thread_id } = waiting
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    await h.services.executor.beat()
    expect((await now(h, waiting)).status).toBe('queued')
    finish(exchange)
    expect(await endsOf(h, [waiting, other as Run])).toEqual({ completed: 2 })
  })
})

describe('a run that is in progress already', () => {
  const converting = { tools: [{ type: 'convert_units' } as unknown as AssistantTool] }
  const converts: Turn = ({ calls }) =>
    calls({ name: 'convert_units', arguments: '{"value": 1, "from": "km", "to": "m"}' })

  /** A run has called its tool, and another has its place: its next turn has to wait. */
  async function waitingForItsTurn(env: Record<string, string> = {}) {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1', ...env }, tools: ['./src/demo/convert-units.ts'] })
    const [calling, holdsPlace] = [holding(), holding('b')]
    h.backend.turns = [calling.turn, holdsPlace.turn]
    const [run] = await runsOf(h, ['converts'], converting)
    const first = await calling.held
    const [other] = await runsOf(h, ['other'])
    converts(first)
    const exchange = await holdsPlace.held
    await expect
      .poll(async () => (await madeBy(h.client, run as Run)).steps.map(({ status }) => status))
      .toEqual(['completed'])
    return { h, run: run as Run, other: other as Run, exchange }
  }

  test('waits for a place too, and comes before the queue', async () => {
    const { h, run, other, exchange } = await waitingForItsTurn()
    const [last] = await runsOf(h, ['last'])
    expect(await statusesOf(h, [run, other, last as Run])).toEqual(['in_progress', 'in_progress', 'queued'])
    expect(h.backend.requests).toHaveLength(2)
    finish(exchange)
    expect(await endsOf(h, [run, other, last as Run])).toEqual({ completed: 3 })
    expect(questionsTo(h)).toEqual(['converts', 'other', '1 km is 1000 m.', 'last'])
  })

  test('takes no hand from the runs of others meanwhile', async () => {
    const { h, exchange, run, other } = await waitingForItsTurn({ RUN_CONCURRENCY: '2' })
    const others = await runsOf(h, ['What is 2 + 3?', 'What is 4 + 5?'], { model: 'demo' })
    expect(await endsOf(h, others)).toEqual({ completed: 2 })
    finish(exchange)
    expect(await endsOf(h, [run, other])).toEqual({ completed: 2 })
  })

  test('can be cancelled meanwhile', async () => {
    const { h, run, other, exchange } = await waitingForItsTurn()
    await h.client.beta.threads.runs.cancel(run.id, { thread_id: run.thread_id })
    expect((await atRest(h.client, run)).status).toBe('cancelled')
    finish(exchange)
    expect(await endsOf(h, [other])).toEqual({ completed: 1 })
    expect(questionsTo(h)).toEqual(['converts', 'other'])
  })

  test('expires meanwhile', async () => {
    const { h, run, other } = await waitingForItsTurn()
    h.time.now += tenMinutes
    await h.services.executor.beat()
    expect(await endsOf(h, [run, other])).toEqual({ expired: 2 })
    expect(questionsTo(h)).toEqual(['converts', 'other'])
  })

  test('leaves its place to its specialist', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1', RUN_CONCURRENCY: '1' } })
    const assignment = { name: 'poet', instructions: 'Rhyme.', task: 'Say it.' }
    h.backend.turns = [
      ({ calls }) => calls({ name: 'create_specialist', arguments: JSON.stringify(assignment) }),
      ({ text }) => text('It.'),
      ({ text }) => text('The poet says: It.'),
    ]
    const tools = [{ type: 'create_specialist' } as unknown as AssistantTool]
    const [run] = await runsOf(h, ['Ask a poet.'], { tools })
    expect(await endsOf(h, [run as Run])).toEqual({ completed: 1 })
    expect(questionsTo(h)).toEqual(['Ask a poet.', 'Say it.', 'It.'])
  })
})

const gone: Turn = ({ response }) => void response.destroy()
const overloaded: Turn = ({ response }) => void response.writeHead(503).end('{}')

describe('a backend that is down', () => {
  // With four places, five tries may be those of five runs, since a place is free between tries, with three more in flight.
  test.each([
    ['with a limit', gone, { BACKEND_CONCURRENCY: '4' }, 42],
    ['without one', gone, {}, 0],
    ['overloaded, with a limit', overloaded, { BACKEND_CONCURRENCY: '4' }, 42],
    ['overloaded, without one', overloaded, {}, 0],
  ] as [string, Turn, Record<string, string>, number][])(
    'fails the runs that find that out, and no others: these wait, and complete when it is back (%s)',
    async (_, trouble, env, untouched) => {
      const h = await startApp({ started: false, env, patience: { shutMs: 500 } })
      h.backend.otherwise = trouble
      const runs = await runsOf(h, numbered(50))
      h.services.executor.start()
      await h.backend.requested(5)
      const others = await runsOf(h, ['All well?', 'And now?'], { model: 'demo' })
      expect(await endsOf(h, others)).toEqual({ completed: 2 })
      const statuses = await statusesOf(h, runs)
      expect(statuses.filter((status) => status === 'queued').length).toBeGreaterThanOrEqual(untouched)
      // Four that failed, and what was in flight when the fifth did.
      expect(h.backend.requests.length).toBeLessThanOrEqual(4 + Number(env.BACKEND_CONCURRENCY ?? 50))
      h.backend.otherwise = ({ text }) => text('Hello.')
      const { completed = 0, failed = 0 } = await endsOf(h, runs)
      expect(completed + failed).toBe(50)
      // It is left alone after five tries that failed; two runs may have had their third by then.
      expect(failed).toBeLessThanOrEqual(2)
    },
  )

  test('does not delay the runs of others, even if all hands were at it', async () => {
    const h = await startApp({ env: { RUN_CONCURRENCY: '4' }, patience: { shutMs: 3_600_000 } })
    h.backend.otherwise = gone
    const runs = await runsOf(h, numbered(10))
    await h.backend.requested(5)
    const others = await runsOf(h, ['What is 2 + 3?', 'What is 4 + 5?'], { model: 'demo' })
    expect(await endsOf(h, others)).toEqual({ completed: 2 })
    h.time.now += tenMinutes
    await h.services.executor.beat()
    const { expired = 0, failed = 0 } = await endsOf(h, runs)
    expect(expired + failed).toBe(10)
    // Three tries each, of five before it was left alone and three that had begun by then.
    expect(failed).toBeLessThanOrEqual(2)
    expect(h.backend.requests.length).toBeLessThanOrEqual(8)
  })

  test('and never comes back fails a run after its tries, with what it said', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1' } })
    h.backend.otherwise = ({ response }) => void response.writeHead(500).end('{"error": "The GPU is on fire."}')
    const runs = await runsOf(h, numbered(3))
    expect(await endsOf(h, runs)).toEqual({ failed: 3 })
    for (const run of runs) {
      expect((await now(h, run)).last_error).toEqual({
        code: 'server_error',
        message: 'The model backend failed: The GPU is on fire.',
      })
    }
    expect(h.backend.requests).toHaveLength(9)
  })

  test('by what one run is refused for is not down', async () => {
    const h = await startApp({ patience: { shutMs: 3_600_000 } })
    h.backend.otherwise = ({ response }) => void response.writeHead(400).end('{"error": "Too long."}')
    expect(await endsOf(h, await runsOf(h, numbered(20)))).toEqual({ failed: 20 })
    expect(h.backend.requests).toHaveLength(20)
  })
})

describe('a backend that says when to come again', () => {
  test('is asked nothing before, by no run', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1' } })
    const times: number[] = []
    const noting =
      (turn: Turn): Turn =>
      (exchange) => {
        times.push(performance.now())
        return turn(exchange)
      }
    h.backend.turns.push(
      noting(
        ({ response }) => void response.writeHead(429, { 'retry-after-ms': '300' }).end('{"error": "Slow down."}'),
      ),
    )
    h.backend.otherwise = noting(({ text }) => text('Hello.'))
    const runs = await runsOf(h, numbered(3))
    await h.backend.requested(1)
    expect(await statusesOf(h, runs)).toEqual(['in_progress', 'queued', 'queued'])
    expect(await endsOf(h, runs)).toEqual({ completed: 3 })
    expect(times).toHaveLength(4)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(290)
    expect(questionsTo(h)).toEqual(['question 1', 'question 1', 'question 2', 'question 3'])
  })

  test('is not asked by runs whose time is over by then', async () => {
    const h = await startApp({ env: { BACKEND_CONCURRENCY: '1' } })
    h.backend.otherwise = ({ response }) => void response.writeHead(429, { 'retry-after': '30' }).end('{}')
    const runs = await runsOf(h, numbered(3))
    await h.backend.requested(1)
    h.time.now += tenMinutes
    await h.services.executor.beat()
    expect(await endsOf(h, runs)).toEqual({ expired: 3 })
    expect(h.backend.requests).toHaveLength(1)
  })
})
