import { join } from 'node:path'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createServices, type Services } from '../src/services.ts'
import { type Harness, startApp } from './harness/app.ts'
import { ScriptedBackend } from './harness/backend.ts'
import { atRest, checkEnded, converse, holding, lookupTool, madeBy, outputsFor } from './harness/engine.ts'
import { aDirectory, startProcess } from './harness/process.ts'
import {
  askFiles,
  callsOf,
  holdSearch,
  onlyText,
  resultsOf,
  saying,
  searched,
  searching,
  searchTool,
  toldIn,
} from './harness/search.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const answer = 'In March【4:0†notes.md】.'
const both = [
  { name: 'file_search', arguments: '{"query":"Phoenix"}' },
  { name: 'lookup', arguments: '{}' },
]

/** The server on a database in a file, whose runs nobody takes without being asked to, and whose leases are short. */
const startShared = () =>
  startApp({
    started: false,
    leaseMs: 1000,
    env: { EMBEDDING_MODEL: 'e', DATABASE_URL: `sqlite:${join(aDirectory(), 'a.db')}` },
  })

/** Another process's worker on the same database. */
function anotherWorker(h: Harness): Services {
  const overrides = { clock: () => h.time.now, leaseMs: 1000, beatMs: 3_600_000 }
  const services = createServices(h.services.config, pino({ level: 'silent' }), overrides)
  onTestFinished(async () => {
    await services.executor.stop(0)
    await services.close()
  })
  return services
}

describe('a worker that is lost in the middle of a search', () => {
  test('is followed by one that searches again and does not call the model again; nothing is doubled', async () => {
    const h = await startShared()
    const { run } = await askFiles(h, notes)
    h.backend.turns.push(searching('Phoenix'), saying(answer))
    const embedded = h.backend.embeddingRequests.length
    const asked = holdSearch(h)
    const begun = await run()
    const lost = h.services.executor.tick()
    const exchange = await asked
    const { steps: before } = await madeBy(h.client, begun)
    expect(before).toMatchObject([{ status: 'in_progress', usage: null }])

    const other = anotherWorker(h)
    expect(await other.executor.tick()).toBe(false)
    h.time.now += 1000
    expect(await other.executor.tick()).toBe(true)
    const made = await checkEnded(h, begun)
    expect(h.backend.requests).toHaveLength(2)
    expect(h.backend.embeddingRequests).toHaveLength(embedded + 2)
    expect(made.steps.map(({ id, type }) => (type === 'tool_calls' ? id : type))).toEqual([
      before[0]?.id,
      'message_creation',
    ])
    expect(callsOf(made.steps[0]).map(({ id }) => id)).toEqual(callsOf(before[0]).map(({ id }) => id))
    expect(made.messages.map((message) => onlyText(message).value)).toEqual([answer])
    expect(made.run.usage?.total_tokens).toBe(30)

    // What the lost one finds in the end is nobody's business any more.
    exchange.vectors()
    await lost
    expect(await madeBy(h.client, begun)).toEqual(made)
    expect(h.backend.requests).toHaveLength(2)
  })

  test('with a function of the client beside it: the client is asked once', async () => {
    const h = await startShared()
    const { run } = await askFiles(h, notes, { tools: [searchTool, lookupTool] })
    h.backend.turns.push(({ calls }) => calls(...both), saying(answer))
    const asked = holdSearch(h)
    const { id, thread_id } = await run()
    const lost = h.services.executor.tick()
    const exchange = await asked
    const other = anotherWorker(h)
    h.time.now += 1000
    expect(await other.executor.tick()).toBe(true)
    const waiting = await atRest(h.client, { id, thread_id })
    exchange.vectors()
    await lost
    expect(await h.client.beta.threads.runs.retrieve(id, { thread_id })).toEqual(waiting)
    expect(waiting.required_action?.submit_tool_outputs.tool_calls).toHaveLength(1)
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    expect(await h.services.executor.tick()).toBe(true)
    const { steps, messages } = await checkEnded(h, waiting)
    expect(steps).toHaveLength(2)
    expect(onlyText(messages[0]).annotations).toHaveLength(1)
  })

  test('keeps what the same turn said before its call', async () => {
    const h = await startShared()
    const { run } = await askFiles(h, notes)
    h.backend.turns.push(({ chunk, calls }) => {
      chunk({ content: 'Let me look.' })
      calls({ name: 'file_search', arguments: '{"query":"Phoenix"}' })
    }, saying(answer))
    const asked = holdSearch(h)
    const begun = await run()
    const lost = h.services.executor.tick()
    const exchange = await asked
    const before = await madeBy(h.client, begun)
    expect(before.messages.map((message) => onlyText(message).value)).toEqual(['Let me look.'])
    h.time.now += 1000
    expect(await anotherWorker(h).executor.tick()).toBe(true)
    const made = await checkEnded(h, begun)
    expect(made.messages.map((message) => onlyText(message).value)).toEqual(['Let me look.', answer])
    expect(made.messages[0]).toEqual(before.messages[0])
    expect(made.steps.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls', 'message_creation'])
    expect(made.run.usage?.total_tokens).toBe(30)
    exchange.vectors()
    await lost
    expect(await madeBy(h.client, begun)).toEqual(made)
  })

  test('was asked to cancel: the next one ends the run, and searches nothing', async () => {
    const h = await startShared()
    const { run } = await askFiles(h, notes)
    h.backend.turns.push(searching('Phoenix'))
    const asked = holdSearch(h)
    const { id, thread_id } = await run()
    const lost = h.services.executor.tick()
    const exchange = await asked
    const embedded = h.backend.embeddingRequests.length
    const other = anotherWorker(h)
    // As another process would, which has no hand on the search.
    await other.runs.cancel(thread_id, id)
    h.time.now += 1000
    expect(await other.executor.tick()).toBe(true)
    const made = await checkEnded(h, { id, thread_id })
    expect(made.run.status).toBe('cancelled')
    expect(made.steps).toMatchObject([{ status: 'cancelled', usage: { total_tokens: 15 } }])
    exchange.vectors()
    await lost
    expect(await madeBy(h.client, { id, thread_id })).toEqual(made)
    expect(h.backend.embeddingRequests).toHaveLength(embedded)
  })
})

test('a worker that is lost at whatever moment: each call is searched, and nothing is doubled', async () => {
  const h = await startShared()
  const { assistant } = await askFiles(h, notes)
  h.backend.otherwise = (exchange) =>
    (exchange.body.messages.some(({ role }) => role === 'tool') ? saying(answer) : searching('Phoenix', 'Ada'))(
      exchange,
    )
  const other = anotherWorker(h)
  const taken = new Set<string>()
  for (let moment = 0; moment < 40; moment++) {
    const asked = h.backend.requests.length
    const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
    const begun = await h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })
    const lost = h.services.executor.tick()
    await h.backend.requested(asked + 1)
    for (let turn = 0; turn < 3 * moment; turn++) await turnOfLoop()
    h.time.now += 1000
    const { steps: left } = await madeBy(h.client, begun)
    if (await other.executor.tick()) taken.add(left.map(({ type, status }) => `${type} ${status}`).join())
    await lost
    const { run, steps, messages } = await checkEnded(h, begun)
    expect(run).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
    expect(steps.map(({ type }) => type)).toEqual(['tool_calls', 'message_creation'])
    expect(resultsOf(steps[0]).map(({ length }) => length)).toEqual([1, 1])
    expect(messages.map((message) => onlyText(message).value)).toEqual([answer])
    expect(onlyText(messages[0]).annotations).toHaveLength(1)
  }
  expect(taken).toContain('tool_calls in_progress')
})

test('a worker that is lost in the middle of the cited answer: the answer is made again, the search is not', async () => {
  const h = await startShared()
  const { run } = await askFiles(h, notes)
  const { turn, held } = holding('In March【4:0†notes.md】, or')
  h.backend.turns.push(searching('Phoenix'), turn, saying(answer))
  const embedded = h.backend.embeddingRequests.length
  const begun = await run()
  const lost = h.services.executor.tick()
  const exchange = await held
  await expect.poll(async () => (await madeBy(h.client, begun)).messages.length).toBe(1)
  h.time.now += 1000
  expect(await anotherWorker(h).executor.tick()).toBe(true)
  const made = await checkEnded(h, begun)
  expect(made.messages.map((message) => onlyText(message).value)).toEqual([answer])
  expect(onlyText(made.messages[0]).annotations).toHaveLength(1)
  expect(made.steps.map(({ status, usage }) => `${status} ${usage?.total_tokens}`)).toEqual([
    'completed 15',
    'completed 15',
  ])
  expect(h.backend.embeddingRequests).toHaveLength(embedded + 1)
  expect(toldIn(h, 2)).toEqual(toldIn(h, 1))
  exchange.text(' later.')
  await lost
  expect(await madeBy(h.client, begun)).toEqual(made)
})

test('a stop in the middle of a search gives the run back, and the next start searches again', async () => {
  const h = await startShared()
  const { run } = await askFiles(h, notes)
  h.backend.turns.push(searching('Phoenix'), saying(answer))
  const asked = holdSearch(h)
  const begun = await run()
  h.services.executor.start()
  const { closed } = await asked
  await h.services.executor.stop(0)
  await closed
  expect((await madeBy(h.client, begun)).run.status).toBe('in_progress')
  expect(await anotherWorker(h).executor.tick()).toBe(true)
  expect((await checkEnded(h, begun)).messages.map((message) => onlyText(message).value)).toEqual([answer])
  expect(h.backend.requests).toHaveLength(2)
})

test('a SIGKILL in the middle of a search: the next process searches again, and nothing is doubled', async () => {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const dir = aDirectory()
  const env = { OPENAI_BASE_URL: backend.url, RUN_LEASE_SECONDS: '1', EMBEDDING_MODEL: 'e' }
  const server = await startProcess({ dir, env })
  const file = new File(Object.values(notes), 'notes.md')
  const { id } = await server.client.vectorStores.create({})
  const read = await server.client.vectorStores.files.uploadAndPoll(id, file, { pollIntervalMs: 20 })
  expect(read.status).toBe('completed')
  backend.turns.push(searching('Phoenix'), saying(answer))
  const asked = holdSearch({ backend })
  const settings = { tools: [searchTool], tool_resources: searched(id) }
  const begun = await (await converse(server.client, settings)).run()
  await asked
  const { steps: before } = await madeBy(server.client, begun)
  await server.kill()

  const { client } = await startProcess({ dir, env })
  expect(await atRest(client, begun)).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
  const { steps, messages } = await madeBy(client, begun)
  expect(backend.requests).toHaveLength(2)
  expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
    'tool_calls completed',
    'message_creation completed',
  ])
  expect(steps[0]?.id).toBe(before[0]?.id)
  expect(resultsOf(steps[0])).toMatchObject([[{ file_name: 'notes.md' }]])
  expect(messages.map((message) => onlyText(message).value)).toEqual([answer])
  expect(onlyText(messages[0]).annotations).toHaveLength(1)
})
