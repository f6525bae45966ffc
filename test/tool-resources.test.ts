import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { upload } from './harness/search.ts'

const day = 86_400
const makings: [string, object][] = [
  ['assistants', { model: 'm' }],
  ['threads', {}],
]
const weekly = { anchor: 'last_active_at' as const, days: 7 }

describe('the helper in tool resources', () => {
  const helper = (more: object) => ({ file_search: { vector_stores: [more] } })

  test('makes the store of an assistant, which does not expire', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'apples' })
    const given = helper({ file_ids, metadata: { a: 'b' } })
    const assistant = await h.client.beta.assistants.create({
      model: 'm',
      tools: [{ type: 'file_search' }],
      tool_resources: given,
    })
    const [id = ''] = assistant.tool_resources?.file_search?.vector_store_ids ?? []
    expect(await h.client.beta.assistants.retrieve(assistant.id)).toEqual(assistant)
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({
      name: null,
      metadata: { a: 'b' },
      file_counts: { in_progress: 1, total: 1 },
      expires_at: null,
    })
    expect(await h.services.ingestor.tick()).toBe(true)
  })

  test('makes the store of a thread, which lasts a week unless told otherwise', async () => {
    const h = await startApp()
    const expiryOf = async (more: object) => {
      const { tool_resources } = await h.client.beta.threads.create({ tool_resources: helper(more) })
      const [id = ''] = tool_resources?.file_search?.vector_store_ids ?? []
      return (await h.client.vectorStores.retrieve(id)).expires_at
    }
    expect(await expiryOf({})).toBe(h.time.now / 1000 + 7 * day)
    expect(await expiryOf({ expires_after: { ...weekly, days: 30 } })).toBe(h.time.now / 1000 + 30 * day)
  })

  test('makes the store of the thread that is made with a run', async () => {
    const h = await startApp({ started: false })
    const file_ids = await upload(h, { 'a.txt': 'apples' })
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm' })
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const thread = { messages, tool_resources: helper({ file_ids }) }
    const { thread_id } = await h.client.beta.threads.createAndRun({ assistant_id, thread })
    const { tool_resources } = await h.client.beta.threads.retrieve(thread_id)
    const [id = ''] = tool_resources?.file_search?.vector_store_ids ?? []
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ expires_after: weekly, file_counts: { total: 1 } })
  })

  test('chunks the files as it is told', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'apples' })
    const sizes = { max_chunk_size_tokens: 200, chunk_overlap_tokens: 100 }
    const chunking_strategy = { type: 'static' as const, static: sizes }
    const { tool_resources } = await h.client.beta.threads.create({
      tool_resources: helper({ file_ids, chunking_strategy }),
    })
    const [id = ''] = tool_resources?.file_search?.vector_store_ids ?? []
    expect((await h.client.vectorStores.files.list(id)).data).toMatchObject([{ chunking_strategy }])
  })

  test.each(['/v1/assistants', '/v1/threads'])('makes nothing at all when %s is refused', async (url) => {
    const h = await startApp()
    const model = url.endsWith('assistants') ? { model: 'm' } : {}
    const none = await h.send('POST', url, { ...model, tool_resources: helper({ file_ids: ['file-none'] }) })
    expect(await refusalOf(none)).toEqual(refusal("No file found with id 'file-none'.", { status: 404 }))
    const unknown = { file_search: { vector_store_ids: ['vs_none'] } }
    const refused = await refusalOf(await h.send('POST', url, { ...model, tool_resources: unknown }))
    const param = 'tool_resources.file_search.vector_store_ids[0]'
    expect(refused).toEqual(refusal("No vector store found with id 'vs_none'.", { status: 404, param }))
    const { id } = await h.client.vectorStores.create({})
    const both = { file_search: { vector_store_ids: [id], vector_stores: [{}] } }
    expect((await h.send('POST', url, { ...model, tool_resources: both })).status).toBe(400)
    const many = { file_search: { vector_stores: [{}, {}] } }
    expect((await h.send('POST', url, { ...model, tool_resources: many })).status).toBe(400)
    expect((await h.client.vectorStores.list()).data.map((store) => store.id)).toEqual([id])
  })

  test('makes no store when the run that the thread is made with is refused', async () => {
    const h = await startApp()
    const thread = { messages: [{ role: 'user', content: 'Hi' }], tool_resources: helper({}) }
    const answer = await h.send('POST', '/v1/threads/runs', { assistant_id: 'asst_none', thread })
    expect(answer.status).toBe(404)
    expect((await h.client.vectorStores.list()).data).toEqual([])
  })
})

describe('an attachment for file_search', () => {
  const attached = (file_id: string, type: 'file_search' | 'code_interpreter' = 'file_search') => ({
    role: 'user' as const,
    content: 'Look',
    attachments: [{ file_id, tools: [{ type }] }],
  })
  const storesOf = async (h: Harness, thread_id: string) =>
    (await h.client.beta.threads.retrieve(thread_id)).tool_resources?.file_search?.vector_store_ids ?? []

  test.each(['with the thread', 'later'])("makes the thread's store, which lasts a week: %s", async (when) => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const { threads } = h.client.beta
    const { id } = await threads.create(when === 'later' ? {} : { messages: [attached(file)] })
    if (when === 'later') await threads.messages.create(id, attached(file))
    const [store = '', ...others] = await storesOf(h, id)
    expect(others).toEqual([])
    expect(await h.client.vectorStores.retrieve(store)).toMatchObject({
      name: null,
      expires_after: weekly,
      expires_at: h.time.now / 1000 + 7 * day,
      file_counts: { in_progress: 1, total: 1 },
    })
  })

  test('joins the store that the thread has, and its week begins anew', async () => {
    const h = await startApp()
    const [one = '', two = ''] = await upload(h, { 'a.txt': 'apples', 'b.txt': 'pears' })
    const { id } = await h.client.beta.threads.create({ messages: [attached(one)] })
    const before = await storesOf(h, id)
    h.time.now += 100_000
    await h.client.beta.threads.messages.create(id, attached(two))
    expect(await storesOf(h, id)).toEqual(before)
    const store = await h.client.vectorStores.retrieve(before[0] ?? '')
    expect(store).toMatchObject({ file_counts: { total: 2 }, expires_at: h.time.now / 1000 + 7 * day })
  })

  test('many at once for one thread make one store with all of them', async () => {
    const h = await startApp()
    const names = Array.from({ length: 8 }, (_, n) => [`${n}.txt`, `text ${n}`])
    const files = await upload(h, Object.fromEntries(names))
    const { id } = await h.client.beta.threads.create()
    await Promise.all(files.map((file) => h.client.beta.threads.messages.create(id, attached(file))))
    const [store = ''] = await storesOf(h, id)
    expect((await h.client.vectorStores.retrieve(store)).file_counts.total).toBe(8)
    expect((await h.client.vectorStores.list()).data).toHaveLength(1)
  })

  test('for both tools goes to both; for none, to neither', async () => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const { id } = await h.client.beta.threads.create()
    const message = (tools: object[]) => ({ role: 'user', content: 'x', attachments: [{ file_id: file, tools }] })
    const url = `/v1/threads/${id}/messages`
    expect((await h.send('POST', url, message([]))).status).toBe(200)
    expect(await storesOf(h, id)).toEqual([])
    expect((await h.send('POST', url, message([{ type: 'file_search' }, { type: 'code_interpreter' }]))).status).toBe(
      200,
    )
    const { tool_resources } = await h.client.beta.threads.retrieve(id)
    expect(tool_resources).toMatchObject({ code_interpreter: { file_ids: [file] } })
    expect(await storesOf(h, id)).toHaveLength(1)
  })

  test('of a file that does not exist leaves neither message nor store', async () => {
    const h = await startApp()
    const { id } = await h.client.beta.threads.create()
    const answer = await h.send('POST', `/v1/threads/${id}/messages`, attached('file-none'))
    expect(await refusalOf(answer)).toEqual(refusal("No file found with id 'file-none'.", { status: 404 }))
    expect((await h.send('POST', '/v1/threads', { messages: [attached('file-none')] })).status).toBe(404)
    expect((await h.client.beta.threads.messages.list(id)).data).toEqual([])
    expect((await h.client.vectorStores.list()).data).toEqual([])
  })

  test('still works on a thread whose store is gone: it gets a new one, as if it had had none', async () => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const { id } = await h.client.beta.threads.create({ messages: [attached(file)] })
    const [gone = ''] = await storesOf(h, id)
    await h.client.vectorStores.delete(gone)
    await h.client.beta.threads.messages.create(id, attached(file))
    const [store = ''] = await storesOf(h, id)
    expect(store).not.toBe(gone)
    expect((await h.client.vectorStores.retrieve(store)).file_counts.total).toBe(1)
  })

  test('stays when its message is deleted', async () => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const { id } = await h.client.beta.threads.create()
    const message = await h.client.beta.threads.messages.create(id, attached(file))
    await h.client.beta.threads.messages.delete(message.id, { thread_id: id })
    const [store = ''] = await storesOf(h, id)
    expect((await h.client.vectorStores.files.list(store)).data).toMatchObject([{ id: file }])
  })
})

describe('files for code_interpreter', () => {
  test.for(makings)('must exist: %s', async ([kind, given]) => {
    const h = await startApp()
    const tool_resources = { code_interpreter: { file_ids: ['file-none'] } }
    const answer = await refusalOf(await h.send('POST', `/v1/${kind}`, { ...given, tool_resources }))
    const param = 'tool_resources.code_interpreter.file_ids[0]'
    expect(answer).toEqual({ ...refusal("No file found with id 'file-none'.", { param }), status: 404 })
  })

  test('are at most twenty of a thread, those that messages attach included', async () => {
    const h = await startApp()
    const ids = await upload(h, Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`${n}.txt`, 'x'])))
    const tool_resources = { code_interpreter: { file_ids: ids.slice(0, 19) } }
    const attachments = ids.slice(19).map((file_id) => ({ file_id, tools: [{ type: 'code_interpreter' as const }] }))
    const message = (count: number) => ({ role: 'user', content: 'x', attachments: attachments.slice(0, count) })
    const { id } = await h.client.beta.threads.create({ tool_resources })
    const url = `/v1/threads/${id}/messages`
    const said = 'A thread can have at most 20 files for code_interpreter, but with these it would have 21.'
    const refused = refusal(said, { param: 'attachments' })
    expect(await refusalOf(await h.send('POST', url, message(2)))).toEqual(refused)
    expect(await refusalOf(await h.send('POST', '/v1/threads', { tool_resources, messages: [message(2)] }))).toEqual(
      refused,
    )
    expect((await h.client.beta.threads.messages.list(id)).data).toEqual([])
    expect((await h.send('POST', url, message(1))).status).toBe(200)
  })
})

test.for(makings)('%s can be modified though what they had was deleted', async ([kind, given]) => {
  const h = await startApp()
  const [file = ''] = await upload(h, { 'a.txt': 'apples' })
  const store = await h.client.vectorStores.create({})
  const tool_resources = { code_interpreter: { file_ids: [file] }, file_search: { vector_store_ids: [store.id] } }
  const object = await (await h.send('POST', `/v1/${kind}`, { ...given, tool_resources })).json()
  const { id } = object as { id: string }
  await h.client.vectorStores.delete(store.id)
  await h.client.files.delete(file)
  const modified = await h.send('POST', `/v1/${kind}/${id}`, { metadata: { a: 'b' } })
  expect(await modified.json()).toEqual({ ...(object as object), metadata: { a: 'b' } })
})
