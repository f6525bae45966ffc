import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import Database from 'better-sqlite3'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { createServices } from '../src/services.ts'
import { startApp } from './harness/app.ts'
import { ScriptedBackend } from './harness/backend.ts'
import { atRest, converse, eventsOf, finish, holding, madeBy, until } from './harness/engine.ts'
import { aMessage, anAnswer, anAssistant, aRun, aThread, textOf } from './harness/objects.ts'

const questionsTo = (backend: ScriptedBackend) => backend.requests.map(({ messages }) => messages.at(-1)?.content)

describe('tick', () => {
  test('takes one run to its rest, and says whether there was one', async () => {
    const h = await startApp({ started: false })
    expect(await h.services.executor.tick()).toBe(false)
    const { run } = await converse(h.client)
    const { id, thread_id } = await run()
    expect(await h.services.executor.tick()).toBe(true)
    const { run: ended, steps, messages } = await madeBy(h.client, { id, thread_id })
    expect(ended.status).toBe('completed')
    expect(steps.map(({ status }) => status)).toEqual(['completed'])
    expect(messages).toMatchObject([{ status: 'completed', content: [{ text: { value: 'Hello.' } }] }])
    expect(await h.services.executor.tick()).toBe(false)
  })

  test('takes the oldest run first', async () => {
    const h = await startApp({ started: false })
    for (const question of ['one', 'two', 'three']) await (await converse(h.client, {}, question)).run()
    while (await h.services.executor.tick());
    expect(questionsTo(h.backend)).toEqual(['one', 'two', 'three'])
  })
})

describe('the queue', () => {
  test('no more runs are in hand than allowed; the next begins when one comes to rest', async () => {
    const h = await startApp({ env: { RUN_CONCURRENCY: '2' } })
    const turns = [1, 2, 3, 4, 5].map(() => holding('a'))
    h.backend.turns = turns.map(({ turn }) => turn)
    const runs = []
    for (const question of ['one', 'two', 'three', 'four', 'five']) {
      runs.push(await (await converse(h.client, {}, question)).run())
    }
    for (const [index, { held }] of turns.entries()) {
      const exchange = await held
      await h.services.executor.beat()
      expect(h.backend.requests.length).toBeLessThanOrEqual(index + 2)
      const waiting = await Promise.all(runs.map(({ id, thread_id }) => h.services.store.runs.get(thread_id, id)))
      expect(waiting.filter((run) => run?.status === 'in_progress').length).toBeLessThanOrEqual(2)
      finish(exchange)
    }
    for (const run of runs) expect((await atRest(h.client, run)).status).toBe('completed')
    expect(questionsTo(h.backend)).toEqual(['one', 'two', 'three', 'four', 'five'])
  })

  test('a run that is asked to cancel ends at once, even if all hands are full', async () => {
    const h = await startApp({ env: { RUN_CONCURRENCY: '1' } })
    const { turn, held } = holding('a')
    h.backend.turns.push(turn)
    const first = await (await converse(h.client)).run()
    await held
    const { id, thread_id } = await (await converse(h.client)).run()
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    await expect.poll(async () => (await h.services.store.runs.get(thread_id, id))?.status).toBe('cancelled')
    expect(await h.services.store.runs.get(first.thread_id, first.id)).toMatchObject({ status: 'in_progress' })
  })
})

/** The engine without HTTP, and without a beat unless the test asks for it. */
async function startEngine({ leaseMs = 15_000 } = {}) {
  const backend = await new ScriptedBackend().start()
  const dir = mkdtempSync(join(tmpdir(), 'engine-'))
  const file = join(dir, 'a.db')
  const config = readConfig({ DATABASE_URL: `sqlite:${file}`, OPENAI_BASE_URL: backend.url, BACKEND_RETRIES: '0' })
  const time = { now: 1_790_000_000_000 }
  const log: { msg: string; err?: { message: string }; run_id?: string }[] = []
  const lines = new Writable({
    write(line, _encoding, written) {
      log.push(JSON.parse(line.toString()))
      written()
    },
  })
  const overrides = { clock: () => time.now, beatMs: 3_600_000, leaseMs }
  const services = createServices(config, pino({ level: 'warn' }, lines), overrides)
  onTestFinished(async () => {
    await services.executor.stop(0)
    await services.store.close()
    await backend.stop()
    rmSync(dir, { recursive: true })
  })
  const assistant = anAssistant()
  await services.store.assistants.insert(assistant)
  /** A run as another process would leave it in the queue. */
  const queued = async () => {
    const thread = aThread()
    const run = aRun(thread.id, { assistant_id: assistant.id })
    await services.store.runs.insert(run, [aMessage(thread.id, 'Hi')], thread)
    return run
  }
  /** Listens to a run until it is at rest. */
  const rest = async (run: { id: string }) => {
    const listening = new AbortController()
    for await (const batch of services.bus.subscribe(run.id, listening.signal)) {
      const ended = batch.find(({ event }) => /^thread\.run\.(completed|failed|cancelled|expired)$/.test(event))
      if (!ended) continue
      listening.abort()
      return ended.data
    }
    throw new Error('The bus was closed.')
  }
  return { services, backend, time, log, file, assistant, queued, rest }
}

describe('what begins work', () => {
  test('a new run wakes the executor; no beat is needed', async () => {
    const { services, assistant } = await startEngine()
    services.executor.start()
    const thread = aThread()
    await services.store.threads.insert(thread, [aMessage(thread.id, 'Hi')])
    const { run, events } = await services.runs.start(
      thread.id,
      { assistant_id: assistant.id },
      new AbortController().signal,
    )
    for await (const batch of events) if (batch.some(({ event }) => event === 'thread.run.completed')) break
    expect(await services.store.runs.get(thread.id, run.id)).toMatchObject({ status: 'completed' })
  })

  test('a start finds what is queued already, a beat what others queue', async () => {
    const { services, queued, rest } = await startEngine()
    const first = rest(await queued())
    services.executor.start()
    expect(await first).toMatchObject({ status: 'completed' })

    const second = rest(await queued())
    await services.executor.beat()
    expect(await second).toMatchObject({ status: 'completed' })
  })

  test('nothing is claimed after a stop', async () => {
    const { services, backend, queued } = await startEngine()
    services.executor.start()
    await services.executor.stop(0)
    const run = await queued()
    services.executor.wake()
    await services.executor.beat()
    expect(await services.store.runs.get(run.thread_id, run.id)).toMatchObject({ status: 'queued' })
    expect(backend.requests).toEqual([])
  })
})

describe('leases', () => {
  test('beats keep the lease of a turn that takes long', async () => {
    const { services, backend, time, queued, rest } = await startEngine({ leaseMs: 1000 })
    const { turn, held } = holding('Hel')
    backend.turns.push(turn)
    const run = await queued()
    const rested = rest(run)
    services.executor.start()
    const exchange = await held
    for (let beat = 0; beat < 20; beat++) {
      time.now += 400
      await services.executor.beat()
      expect(await services.store.runs.claim(time.now + 1000)).toBeUndefined()
    }
    finish(exchange, 'lo.')
    expect(await rested).toMatchObject({ status: 'completed' })
    expect(backend.requests).toHaveLength(1)
  })

  test('a turn stops at the next beat once another worker has its run, and writes nothing', async () => {
    const { services, backend, time, queued } = await startEngine({ leaseMs: 1000 })
    const { turn, held } = holding('Hel')
    backend.turns.push(turn)
    const run = await queued()
    services.executor.start()
    const exchange = await held
    time.now += 1000
    const claim = await services.store.runs.claim(time.now + 1000)
    expect(claim?.run.id).toBe(run.id)
    await services.executor.beat()
    await exchange.closed
    await services.executor.stop(0)
    expect(await services.store.runs.snapshot({ run_id: run.id })).toEqual({
      run: claim?.run,
      version: claim?.version,
      spent: claim?.spent,
      steps: [],
      messages: [],
    })
  })
})

describe('stop', () => {
  test('runs that come to rest in time are waited for', async () => {
    const { services, backend, queued } = await startEngine()
    const { turn, held } = holding('Hel')
    backend.turns.push(turn)
    const run = await queued()
    services.executor.start()
    const exchange = await held
    const stopped = services.executor.stop(60_000)
    finish(exchange, 'lo.')
    await stopped
    const state = await services.store.runs.snapshot({ run_id: run.id })
    expect(state).toMatchObject({ run: { status: 'completed' }, messages: [{ status: 'completed' }] })
  })

  test('others are given back at once, for the next start to take their turn again', async () => {
    const { services, backend, queued, rest } = await startEngine()
    const { turn, held } = holding('Hel')
    backend.turns.push(turn)
    const run = await queued()
    services.executor.start()
    const { closed } = await held
    await services.executor.stop(0)
    await closed
    expect(await services.store.runs.get(run.thread_id, run.id)).toMatchObject({ status: 'in_progress' })

    const rested = rest(run)
    services.executor.start()
    expect(await rested).toMatchObject({ status: 'completed' })
    const snapshot = await services.store.runs.snapshot({ run_id: run.id })
    expect(snapshot?.messages.map(textOf)).toEqual(['Hello.'])
    expect(snapshot?.steps.map(({ status }) => status)).toEqual(['completed'])
  })
})

describe('interruptions', () => {
  test('a cancel stops the model call and ends the run as cancelled, with the text that had come', async () => {
    const h = await startApp()
    const { turn, held } = holding('Hel', 'lo')
    h.backend.turns.push(turn)
    const { run } = await converse(h.client)
    const { id, thread_id } = await run()
    const { closed } = await held
    const events = await eventsOf(h, { id, thread_id })
    await until(events, 'thread.message.delta')
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    await closed
    await until(events, 'done')
    const made = await madeBy(h.client, { id, thread_id })
    expect(made.run).toMatchObject({ status: 'cancelled', cancelled_at: h.time.now / 1000, expires_at: null })
    expect(made.steps).toMatchObject([{ status: 'cancelled', cancelled_at: h.time.now / 1000 }])
    expect(made.messages).toMatchObject([{ status: 'incomplete', incomplete_details: { reason: 'run_cancelled' } }])
    expect(['Hel', 'Hello']).toContain(textOf(made.messages[0] as Parameters<typeof textOf>[0]))
  })
})

test('a cancel that was acknowledged is carried out by the next worker if its own has died', async () => {
  const { services, time, queued } = await startEngine({ leaseMs: 1000 })
  const run = await queued()
  const claim = await services.store.runs.claim(time.now + 1000)
  await services.store.runs.commit(run.id, { to: 'in_progress', open: anAnswer(run) }, claim?.lease_id)
  await services.store.runs.commit(run.id, { to: 'cancelling' })
  expect(await services.executor.tick()).toBe(false)
  time.now += 1000
  expect(await services.executor.tick()).toBe(true)
  expect(await services.store.runs.snapshot({ run_id: run.id })).toMatchObject({
    run: { status: 'cancelled', cancelled_at: time.now / 1000 },
    steps: [{ status: 'cancelled' }],
    messages: [{ status: 'incomplete', incomplete_details: { reason: 'run_cancelled' } }],
  })
})

describe('failures of our own', () => {
  test('a failure in the middle of a run fails the run without detail and is logged with it', async () => {
    const { services, log, file, queued, rest } = await startEngine()
    const run = await queued()
    const other = new Database(file)
    other.prepare("UPDATE messages SET content = '[' WHERE thread_id = ?").run(run.thread_id)
    other.close()
    const rested = rest(run)
    services.executor.start()
    expect(await rested).toMatchObject({
      status: 'failed',
      last_error: { code: 'server_error', message: 'Sorry, something went wrong.' },
    })
    expect(log[0]).toMatchObject({ run_id: run.id, err: { type: 'SyntaxError' } })
  })

  test('a failure does not stop the queue', async () => {
    const { services, file, queued, rest } = await startEngine()
    const [bad, good] = [await queued(), await queued()]
    const other = new Database(file)
    other.prepare("UPDATE messages SET content = '[' WHERE thread_id = ?").run(bad.thread_id)
    other.close()
    const both = Promise.all([rest(bad), rest(good)])
    services.executor.start()
    expect(await both).toMatchObject([{ status: 'failed' }, { status: 'completed' }])
  })
})
