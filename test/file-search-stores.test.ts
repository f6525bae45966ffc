import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, checkEnded, converse, eventsOf, madeBy, until } from './harness/engine.ts'
import { askFiles, ingest, resultsOf, searched, searching, searchTool, storeOf, upload } from './harness/search.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const plan = { 'plan.txt': 'The budget of Project Phoenix is nine thousand.' }
const day = 86_400_000
const attached = (file_id: string) => [{ file_id, tools: [searchTool] }]
const storesOf = (owner: { tool_resources: { file_search?: { vector_store_ids?: string[] } } | null }) =>
  owner.tool_resources?.file_search?.vector_store_ids ?? []

/** An assistant with a thread whose store has a file that nobody has read yet. */
async function unread(h: Harness) {
  const asked = await askFiles(h, plan)
  const [file_id = ''] = await upload(h, notes)
  await h.client.beta.threads.messages.create(asked.thread.id, {
    role: 'user',
    content: 'And now?',
    attachments: attached(file_id),
  })
  const thread = await h.client.beta.threads.retrieve(asked.thread.id)
  return { ...asked, thread, file_id, store_id: storesOf(thread)[0] ?? '' }
}

describe("a run whose thread's store is in progress", () => {
  test('waits for it, and then finds what was in it', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('leader'))
    const { run, file_id, store_id } = await unread(h)
    expect(await h.client.vectorStores.retrieve(store_id)).toMatchObject({ status: 'in_progress' })
    const begun = await run()
    await until(await eventsOf(h, begun), 'thread.run.in_progress')
    expect(h.backend.requests).toEqual([])
    await ingest(h)
    const { steps } = await checkEnded(h, await atRest(h.client, begun))
    expect(resultsOf(steps[0])[0]?.[0]).toMatchObject({ file_id, file_name: 'notes.md' })
  })

  test.each(['detached', 'deleted', 'gone with its store'])('goes on when the file is %s', async (how) => {
    const h = await startApp()
    const { run, file_id, store_id } = await unread(h)
    const begun = await run()
    await until(await eventsOf(h, begun), 'thread.run.in_progress')
    expect(h.backend.requests).toEqual([])
    if (how === 'detached') await h.client.vectorStores.files.delete(file_id, { vector_store_id: store_id })
    else if (how === 'deleted') await h.client.files.delete(file_id)
    else await h.client.vectorStores.delete(store_id)
    expect((await checkEnded(h, await atRest(h.client, begun))).run.status).toBe('completed')
  })

  test('goes on when the file has failed', async () => {
    const h = await startApp()
    const { run } = await askFiles(h, plan)
    const [file_id = ''] = await upload(h, { 'empty.txt': ' ' })
    const begun = await run({
      additional_messages: [{ role: 'user', content: 'And now?', attachments: attached(file_id) }],
    })
    await until(await eventsOf(h, begun), 'thread.run.in_progress')
    await ingest(h)
    expect((await checkEnded(h, await atRest(h.client, begun))).run.status).toBe('completed')
  })

  test('goes on after a minute with what there is', async () => {
    const minute = new AbortController()
    const asked: number[] = []
    const ticking = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      asked.push(ms)
      return ms === 60_000 ? minute.signal : new AbortController().signal
    })
    onTestFinished(() => ticking.mockRestore())
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'))
    const { run, file_ids } = await unread(h)
    const begun = await run()
    await expect.poll(() => asked).toContain(60_000)
    expect(h.backend.requests).toEqual([])
    minute.abort()
    const { steps } = await checkEnded(h, await atRest(h.client, begun))
    expect(resultsOf(steps[0])[0]?.map(({ file_id }) => file_id)).toEqual(file_ids)
  })

  test.each(['cancelled', 'expired'] as const)('can be %s while it waits', async (status) => {
    const h = await startApp()
    const { run } = await unread(h)
    const begun = await run()
    await until(await eventsOf(h, begun), 'thread.run.in_progress')
    if (status === 'cancelled') await h.client.beta.threads.runs.cancel(begun.id, { thread_id: begun.thread_id })
    else {
      h.time.now += 601_000
      await h.services.executor.beat()
    }
    expect((await atRest(h.client, begun)).status).toBe(status)
    await checkEnded(h, begun)
    expect(h.backend.requests).toEqual([])
  })

  test.each(['RUN_CONCURRENCY', 'BACKEND_CONCURRENCY'])(
    'holds up no other meanwhile, with a %s of one',
    async (variable) => {
      const h = await startApp({ env: { [variable]: '1' } })
      h.backend.turns.push(({ text }) => text('Meanwhile.'), searching('leader'))
      const { run } = await unread(h)
      const begun = await run()
      await until(await eventsOf(h, begun), 'thread.run.in_progress')
      const other = await converse(h.client)
      const { messages } = await checkEnded(h, await atRest(h.client, await other.run()))
      expect(messages[0]?.content).toMatchObject([{ text: { value: 'Meanwhile.' } }])
      expect((await h.client.beta.threads.runs.retrieve(begun.id, begun)).status).toBe('in_progress')
      await ingest(h)
      const { steps } = await checkEnded(h, await atRest(h.client, begun))
      expect(steps.map(({ type }) => type)).toEqual(['tool_calls', 'message_creation'])
    },
  )

  test('waits before its first model call alone', async () => {
    const h = await startApp()
    const { run, store_id, file_id } = await unread(h)
    await ingest(h)
    const [late = ''] = await upload(h, { 'late.md': 'Phoenix is late.' })
    h.backend.turns.push(async (exchange) => {
      await h.client.vectorStores.files.create(store_id, { file_id: late })
      searching('leader')(exchange)
    })
    const { run: ended, steps } = await checkEnded(h, await atRest(h.client, await run()))
    expect(ended.status).toBe('completed')
    expect(resultsOf(steps[0])[0]?.[0]).toMatchObject({ file_id })
    expect(await h.client.vectorStores.retrieve(store_id)).toMatchObject({ status: 'in_progress' })
  })

  test('does not wait if it does not search', async () => {
    const h = await startApp()
    const { run } = await unread(h)
    expect((await atRest(h.client, await run({ tools: [] }))).status).toBe('completed')
  })
})

test("a run does not wait for the assistant's store", async () => {
  const h = await startApp()
  const file_ids = await upload(h, notes)
  const { id } = await h.client.vectorStores.create({ file_ids })
  h.backend.turns.push(searching('Phoenix'))
  const { run } = await converse(h.client, { tools: [searchTool], tool_resources: searched(id) })
  const { run: ended, steps } = await checkEnded(h, await atRest(h.client, await run()))
  expect(ended.status).toBe('completed')
  expect(resultsOf(steps[0])).toEqual([[]])
  expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ status: 'in_progress' })
})

describe('a store that has expired', () => {
  const expiring = async (h: Harness) => {
    const { id } = await h.client.vectorStores.create({ expires_after: { anchor: 'last_active_at', days: 1 } })
    return id
  }
  const refusal = (id: string) => `400 Vector store ${id} is expired.`

  test('of the assistant or the thread refuses a run, and leaves no trace of it', async () => {
    const h = await startApp()
    const id = await expiring(h)
    const { assistant, thread, run } = await converse(h.client, {
      tools: [searchTool],
      tool_resources: searched(id),
    })
    const other = await converse(h.client, { tools: [searchTool] })
    await h.client.beta.threads.update(other.thread.id, { tool_resources: searched(id) })
    h.time.now += day
    const additional_messages = [{ role: 'user' as const, content: 'And now?' }]
    await expect(run({ additional_messages })).rejects.toThrow(refusal(id))
    await expect(run({ stream: true } as object)).rejects.toThrow(refusal(id))
    await expect(other.run({ additional_messages })).rejects.toThrow(refusal(id))
    await expect(h.client.beta.threads.createAndRun({ assistant_id: assistant.id })).rejects.toThrow('400')
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    await expect(
      h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread: { messages } }),
    ).rejects.toThrow(refusal(id))
    for (const one of [thread, other.thread]) {
      expect((await h.client.beta.threads.runs.list(one.id)).data).toEqual([])
      expect((await h.client.beta.threads.messages.list(one.id)).data).toHaveLength(1)
    }
    // A run that does not search it is none of its business.
    expect((await atRest(h.client, await run({ tools: [] }))).status).toBe('completed')
  })

  test('of a thread that is created with the run refuses both', async () => {
    const h = await startApp()
    const id = await expiring(h)
    const assistant = await h.client.beta.assistants.create({ model: 'm', tools: [searchTool] })
    h.time.now += day
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const thread = { messages, tool_resources: searched(id) }
    await expect(h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })).rejects.toThrow(
      refusal(id),
    )
    await expect(
      h.client.beta.threads.createAndRun({
        assistant_id: assistant.id,
        thread: { messages },
        tool_resources: searched(id),
      }),
    ).rejects.toThrow(refusal(id))
    const threads = await (await h.send('GET', '/v1/threads')).json()
    expect(threads).toMatchObject({ data: [] })
  })

  test('would have lived on with a search in time: it counts as use', async () => {
    const h = await startApp()
    const { run, id } = await askFiles(h, notes)
    await h.client.vectorStores.update(id, { expires_after: { anchor: 'last_active_at', days: 1 } })
    h.time.now += day / 2
    h.backend.turns.push(searching('Phoenix'))
    await atRest(h.client, await run())
    const now = h.time.now / 1000
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ last_active_at: now, expires_at: now + 86_400 })
    h.time.now += day / 2
    expect((await atRest(h.client, await run())).status).toBe('completed')
  })

  test('while its run is under way does not fail the run', async () => {
    const h = await startApp({ started: false })
    const id = await expiring(h)
    h.backend.turns.push(searching('Phoenix'))
    const { run } = await converse(h.client, { tools: [searchTool], tool_resources: searched(id) })
    h.time.now += day - 1000
    const begun = await run()
    h.time.now += 1000
    await h.services.executor.tick()
    expect((await checkEnded(h, begun)).run.status).toBe('completed')
  })
})

describe('attachments', () => {
  test("of a run's additional messages are searched by that run, in the thread's store", async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client, { tools: [searchTool] })
    const [first = '', second = ''] = await upload(h, { ...notes, ...plan })
    for (const [file_id, count] of [
      [first, 1],
      [second, 2],
    ] as const) {
      h.backend.turns.push(searching('Phoenix'))
      const begun = await run({
        additional_messages: [{ role: 'user', content: 'And this?', attachments: attached(file_id) }],
      })
      await ingest(h)
      const { steps } = await madeBy(h.client, await atRest(h.client, begun))
      const found = resultsOf(steps[0])[0]?.map((result) => result.file_id)
      expect(found).toHaveLength(count)
      expect(found).toContain(file_id)
    }
    const stores = storesOf(await h.client.beta.threads.retrieve(thread.id))
    expect(stores).toHaveLength(1)
    expect(await h.client.vectorStores.retrieve(stores[0] ?? '')).toMatchObject({
      file_counts: { completed: 2, total: 2 },
      expires_after: { anchor: 'last_active_at', days: 7 },
    })
    const { data } = await h.client.beta.threads.messages.list(thread.id, { limit: 100 })
    expect(data.map(({ attachments }) => attachments?.[0]?.file_id).filter(Boolean)).toEqual([second, first])
  })

  test('of a thread that is created with its run are searched by it', async () => {
    const h = await startApp()
    const [file_id = ''] = await upload(h, notes)
    h.backend.turns.push(searching('Phoenix'))
    const assistant = await h.client.beta.assistants.create({ model: 'm', tools: [searchTool] })
    const messages = [{ role: 'user' as const, content: 'Hi', attachments: attached(file_id) }]
    const begun = await h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread: { messages } })
    await ingest(h)
    const { steps } = await checkEnded(h, await atRest(h.client, begun))
    expect(resultsOf(steps[0])).toMatchObject([[{ file_id }]])
  })

  test('of files that do not exist refuse the run, which leaves nothing', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client, { tools: [searchTool] })
    const additional_messages = [{ role: 'user' as const, content: 'And?', attachments: attached('file-none') }]
    await expect(run({ additional_messages })).rejects.toThrow('file-none')
    expect(storesOf(await h.client.beta.threads.retrieve(thread.id))).toEqual([])
    expect((await h.client.beta.threads.messages.list(thread.id)).data).toHaveLength(1)
    expect((await h.client.vectorStores.list()).data).toEqual([])
  })

  test('of files that do not exist refuse a thread with its run, and no store is left of it', async () => {
    const h = await startApp()
    const assistant = await h.client.beta.assistants.create({ model: 'm', tools: [searchTool] })
    const messages = [{ role: 'user' as const, content: 'Hi', attachments: attached('file-none') }]
    const thread = { messages, tool_resources: { file_search: { vector_stores: [{}] } } }
    await expect(h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })).rejects.toThrow(
      'file-none',
    )
    expect((await h.client.vectorStores.list()).data).toEqual([])
  })

  test('of a run that is refused for another add nothing to the thread', async () => {
    const h = await startApp({ started: false })
    const { thread, run } = await converse(h.client, { tools: [searchTool] })
    const [file_id = ''] = await upload(h, notes)
    await run()
    const additional_messages = [{ role: 'user' as const, content: 'And?', attachments: attached(file_id) }]
    await expect(run({ additional_messages })).rejects.toThrow('already has an active run')
    expect(storesOf(await h.client.beta.threads.retrieve(thread.id))).toEqual([])
  })
})

test('a store that is gone is searched for nothing', async () => {
  const h = await startApp()
  h.backend.turns.push(searching('Phoenix'))
  const { run, id } = await askFiles(h, notes)
  const other = await storeOf(h, plan)
  await h.client.vectorStores.delete(id)
  const { steps } = await checkEnded(h, await atRest(h.client, await run()))
  expect(resultsOf(steps[0])).toEqual([[]])
  expect(other.id).not.toBe(id)
})
