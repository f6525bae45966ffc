import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { ingest, storeOf, upload } from './harness/search.ts'

const day = 86_400
const noCounts = { in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 }
const weekly = { anchor: 'last_active_at' as const, days: 7 }
const pass = (h: Harness, seconds: number) => {
  h.time.now += seconds * 1000
}

describe('a vector store', () => {
  test('without anything is completed and empty', async () => {
    const h = await startApp()
    const store = await h.client.vectorStores.create({})
    expect(store).toEqual({
      id: expect.stringMatching(/^vs_[0-9a-f]{32}$/),
      object: 'vector_store',
      created_at: 1_790_000_000,
      name: null,
      description: null,
      usage_bytes: 0,
      file_counts: noCounts,
      status: 'completed',
      expires_at: null,
      last_active_at: 1_790_000_000,
      metadata: {},
    })
    expect(await h.client.vectorStores.retrieve(store.id)).toEqual(store)
  })

  test('takes null for what may be left out, and no body at all', async () => {
    const h = await startApp()
    const nulls = { file_ids: null, name: null, expires_after: null, chunking_strategy: null, metadata: null }
    for (const body of [nulls, undefined]) {
      const answer = await h.send('POST', '/v1/vector_stores', body)
      expect(await answer.json()).toMatchObject({ status: 'completed', name: null, metadata: {}, expires_at: null })
    }
  })

  test('keeps its fields, and its files are in progress until they are read', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'apples', 'b.md': 'pears' })
    const fields = { name: 'Support', description: 'What they ask', metadata: { team: 'cs' } }
    const created = await h.client.vectorStores.create({ ...fields, file_ids, expires_after: weekly })
    expect(created).toMatchObject({
      ...fields,
      status: 'in_progress',
      usage_bytes: 0,
      file_counts: { ...noCounts, in_progress: 2, total: 2 },
      expires_after: weekly,
      expires_at: created.created_at + 7 * day,
    })
    await h.services.ingestor.tick()
    const between = await h.client.vectorStores.retrieve(created.id)
    expect(between).toMatchObject({ status: 'in_progress', file_counts: { in_progress: 1, completed: 1, total: 2 } })
    expect(between.usage_bytes).toBeGreaterThan(0)
    expect(await h.services.ingestor.tick()).toBe(true)
    expect(await h.services.ingestor.tick()).toBe(false)
    const after = await h.client.vectorStores.retrieve(created.id)
    expect(after).toMatchObject({ status: 'completed', file_counts: { ...noCounts, completed: 2, total: 2 } })
    const { data } = await h.client.vectorStores.files.list(created.id)
    expect(after.usage_bytes).toBe(data.reduce((sum, file) => sum + file.usage_bytes, 0))
    const content = await h.client.vectorStores.files.content(file_ids[1] ?? '', { vector_store_id: created.id })
    expect(content.data).toEqual([{ type: 'text', text: 'pears' }])
  })

  test('is completed also when a file failed', async () => {
    const h = await startApp()
    const { id } = await storeOf(h, { 'a.zip': 'x', 'b.txt': 'pears' })
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({
      status: 'completed',
      file_counts: { ...noCounts, completed: 1, failed: 1, total: 2 },
    })
  })

  test('tells clients that poll when to come again, as long as it is in progress', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'apples' })
    const answer = await h.send('POST', '/v1/vector_stores', { file_ids })
    expect(Number(answer.headers.get('openai-poll-after-ms'))).toBeLessThan(1000)
    const { id } = (await answer.json()) as { id: string }
    await ingest(h)
    expect((await h.send('GET', `/v1/vector_stores/${id}`)).headers.get('openai-poll-after-ms')).toBeNull()
  })

  test('is not made when one of its files does not exist', async () => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const answer = await h.send('POST', '/v1/vector_stores', { file_ids: [file, 'file-none'] })
    expect(await refusalOf(answer)).toEqual(refusal("No file found with id 'file-none'.", { status: 404 }))
    expect((await h.client.vectorStores.list()).data).toEqual([])
    expect(await h.services.ingestor.tick()).toBe(false)
  })

  test('has a file that is named twice once', async () => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const { file_counts } = await h.client.vectorStores.create({ file_ids: [file, file] })
    expect(file_counts.total).toBe(1)
  })

  test('is modified: given keys replace, absent ones stay, null clears', async () => {
    const h = await startApp()
    const { vectorStores } = h.client
    const before = await vectorStores.create({ name: 'A', expires_after: weekly, metadata: { a: '1', b: '2' } })
    pass(h, 60)
    expect(await vectorStores.update(before.id, {})).toEqual(before)
    expect(await vectorStores.update(before.id, { name: 'B' })).toEqual({ ...before, name: 'B' })
    const daily = { ...weekly, days: 1 }
    expect(await vectorStores.update(before.id, { expires_after: daily, metadata: { c: '3' } })).toEqual({
      ...before,
      name: 'B',
      expires_after: daily,
      expires_at: before.created_at + day,
      metadata: { c: '3' },
    })
    const cleared = await vectorStores.update(before.id, { name: null, expires_after: null, metadata: null })
    expect(cleared).toMatchObject({ name: null, expires_at: null, metadata: {} })
    expect(cleared.expires_after ?? null).toBeNull()
    expect(await vectorStores.retrieve(before.id)).toEqual(cleared)
  })

  test('is deleted once, with its batches and its places for files; the files stay', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, { 'a.txt': 'apples' })
    const batch = await h.client.vectorStores.fileBatches.create(id, { file_ids })
    expect(await h.client.vectorStores.delete(id)).toEqual({ id, object: 'vector_store.deleted', deleted: true })
    const gone = refusal(`No vector store found with id '${id}'.`, { status: 404 })
    for (const [method, path, body] of [
      ['GET', ''],
      ['POST', '', {}],
      ['DELETE', ''],
      ['POST', '/search', { query: 'apples' }],
      ['GET', '/files'],
      ['POST', '/files', { file_id: file_ids[0] }],
      ['GET', `/files/${file_ids[0]}`],
      ['POST', `/files/${file_ids[0]}`, { attributes: {} }],
      ['DELETE', `/files/${file_ids[0]}`],
      ['GET', `/files/${file_ids[0]}/content`],
      ['POST', '/file_batches', { file_ids }],
      ['GET', `/file_batches/${batch.id}`],
      ['POST', `/file_batches/${batch.id}/cancel`],
      ['GET', `/file_batches/${batch.id}/files`],
    ] as const) {
      expect([path, await refusalOf(await h.send(method, `/v1/vector_stores/${id}${path}`, body))]).toEqual([
        path,
        gone,
      ])
    }
    expect(await h.client.files.retrieve(file_ids[0] ?? '')).toMatchObject({ filename: 'a.txt' })
  })

  test('stores are listed newest first, page by page', async () => {
    const h = await startApp()
    const ids: string[] = []
    for (const name of ['a', 'b', 'c']) ids.push((await h.client.vectorStores.create({ name })).id)
    const listed: string[] = []
    for await (const { id } of h.client.vectorStores.list({ limit: 2 })) listed.unshift(id)
    expect(listed).toEqual(ids)
    const before = await h.client.vectorStores.list({ order: 'asc', before: ids[2] ?? '' })
    expect(before.data.map(({ name }) => name)).toEqual(['a', 'b'])
    const answer = await refusalOf(await h.send('GET', '/v1/vector_stores?after=vs_none'))
    expect(answer).toEqual(refusal("No vector store found with id 'vs_none'.", { status: 404 }))
  })
})

describe('a vector store expires', () => {
  test('so many days after its last use, and says so', async () => {
    const h = await startApp()
    const { id } = await h.client.vectorStores.create({ expires_after: { ...weekly, days: 1 } })
    pass(h, day - 1)
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ status: 'completed' })
    pass(h, 1)
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ status: 'expired' })
    expect((await h.client.vectorStores.list()).data).toMatchObject([{ status: 'expired' }])
  })

  test.for([
    ['a search', (h, id) => h.client.vectorStores.search(id, { query: 'apples' })],
    ['a file', (h, id, file_id) => h.client.vectorStores.files.create(id, { file_id })],
    ['a batch', (h, id, file_id) => h.client.vectorStores.fileBatches.create(id, { file_ids: [file_id] })],
    ['the loss of a file', (h, id, file_id) => h.client.vectorStores.files.delete(file_id, { vector_store_id: id })],
  ] satisfies [string, (h: Harness, id: string, file_id: string) => Promise<unknown>][])(
    'later after %s',
    async ([, use]) => {
      const h = await startApp()
      const [file_id = ''] = await upload(h, { 'a.txt': 'apples' })
      const { id } = await h.client.vectorStores.create({ expires_after: { ...weekly, days: 1 }, file_ids: [file_id] })
      pass(h, 1000)
      await use(h, id, file_id)
      const now = h.time.now / 1000
      expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ last_active_at: now, expires_at: now + day })
    },
  )

  test('then neither search nor files nor batches are for it, until its expiry is taken away', async () => {
    const h = await startApp()
    const { id } = await h.client.vectorStores.create({ expires_after: weekly })
    const [file_id = ''] = await upload(h, { 'a.txt': 'apples' })
    pass(h, 7 * day)
    const expired = refusal(`Vector store ${id} is expired.`)
    for (const [path, body] of [
      ['search', { query: 'apples' }],
      ['files', { file_id }],
      ['file_batches', { file_ids: [file_id] }],
    ] as const) {
      expect(await refusalOf(await h.send('POST', `/v1/vector_stores/${id}/${path}`, body))).toEqual(expired)
    }
    expect((await h.client.vectorStores.files.list(id)).data).toEqual([])
    await h.client.vectorStores.update(id, { expires_after: null })
    expect((await h.client.vectorStores.files.create(id, { file_id })).status).toBe('in_progress')
  })
})
