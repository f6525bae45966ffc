import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { ingest, upload } from './harness/search.ts'

const counts = (some: object) => ({ in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0, ...some })

async function given(texts: Record<string, string>) {
  const h = await startApp()
  const file_ids = await upload(h, texts)
  const { id: vector_store_id } = await h.client.vectorStores.create({})
  return { h, file_ids, vector_store_id, batches: h.client.vectorStores.fileBatches }
}

/** Files without bytes. */
async function bare({ services: { store } }: Harness, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `file-${n}`)
  const file = { object: 'file', purpose: 'assistants', created_at: 0, expires_at: null, status_details: null } as const
  for (const id of ids) await store.files.insert({ ...file, id, filename: `${id}.txt`, bytes: 1, status: 'processed' })
  return ids
}

const listed = async (h: Harness, vector_store_id: string, batch_id: string, query: object = {}) => {
  const ids: string[] = []
  for await (const { id } of h.client.vectorStores.fileBatches.listFiles(batch_id, { vector_store_id, ...query }))
    ids.push(id)
  return ids
}

describe('a batch of files', () => {
  test('counts its files right from its first answer, and is completed when all are read', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.txt': 'b' })
    const batch = await batches.create(vector_store_id, { file_ids })
    expect(batch).toEqual({
      id: expect.stringMatching(/^vsfb_[0-9a-f]{32}$/),
      object: 'vector_store.files_batch',
      created_at: 1_790_000_000,
      vector_store_id,
      status: 'in_progress',
      file_counts: counts({ in_progress: 2, total: 2 }),
    })
    await h.services.ingestor.tick()
    const between = { status: 'in_progress', file_counts: counts({ in_progress: 1, completed: 1, total: 2 }) }
    expect(await batches.retrieve(batch.id, { vector_store_id })).toEqual({ ...batch, ...between })
    await ingest(h)
    const after = { status: 'completed', file_counts: counts({ completed: 2, total: 2 }) }
    expect(await batches.retrieve(batch.id, { vector_store_id })).toEqual({ ...batch, ...after })
    expect((await h.client.vectorStores.retrieve(vector_store_id)).file_counts.completed).toBe(2)
  })

  test.each([
    [
      { 'a.txt': 'a', 'b.zip': 'b' },
      { completed: 1, failed: 1, total: 2 },
    ],
    [
      { 'a.zip': 'a', 'b.txt': ' ' },
      { failed: 2, total: 2 },
    ],
  ])('of %j is completed, with %j', async (texts, expected) => {
    const { h, file_ids, vector_store_id, batches } = await given(texts)
    const { id } = await batches.create(vector_store_id, { file_ids })
    await ingest(h)
    const { status, file_counts } = await batches.retrieve(id, { vector_store_id })
    expect([status, file_counts]).toEqual(['completed', counts(expected)])
  })

  test('gives all files what it says of them, or each what is said of it', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
    const [a = '', b = '', c = ''] = file_ids
    const chunks = (size: number) => ({
      type: 'static' as const,
      static: { max_chunk_size_tokens: size, chunk_overlap_tokens: 0 },
    })
    await batches.create(vector_store_id, { file_ids: [a], attributes: { x: 1 }, chunking_strategy: chunks(100) })
    await batches.create(vector_store_id, {
      attributes: { ignored: true },
      files: [{ file_id: b, attributes: { y: 'two' }, chunking_strategy: chunks(200) }, { file_id: c }],
    } as unknown as Parameters<typeof batches.create>[1])
    const of = (file: string) => h.client.vectorStores.files.retrieve(file, { vector_store_id })
    expect(await of(a)).toMatchObject({ attributes: { x: 1 }, chunking_strategy: chunks(100) })
    expect(await of(b)).toMatchObject({ attributes: { y: 'two' }, chunking_strategy: chunks(200) })
    const { attributes, chunking_strategy } = await of(c)
    expect(attributes).toEqual({})
    expect(chunking_strategy).toMatchObject({ static: { max_chunk_size_tokens: 800 } })
  })

  test('has a file that is named twice once, and one that was there already as it is', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.txt': 'b' })
    const [a = '', b = ''] = file_ids
    await h.client.vectorStores.files.create(vector_store_id, { file_id: a })
    await ingest(h)
    for (const body of [{ file_ids: [a, b, b] }, { files: [a, b, b].map((file_id) => ({ file_id })) }]) {
      const batch = await batches.create(vector_store_id, body as { file_ids: string[] })
      expect(batch.file_counts).toEqual(counts({ completed: 1, in_progress: 1, total: 2 }))
    }
  })

  test.for([
    ['nothing', {}, 'file_ids'],
    ['no file_ids', { file_ids: [] }, 'file_ids'],
    ['no files', { files: [] }, 'files'],
    ['file_ids and files', { file_ids: ['file-a'], files: [{ file_id: 'file-a' }] }, 'files'],
    ['2,001 file_ids', { file_ids: Array(2001).fill('file-a') }, 'file_ids'],
    ['2,001 files', { files: Array(2001).fill({ file_id: 'file-a' }) }, 'files'],
    ['a file without an id', { files: [{}] }, 'files[0].file_id'],
    ['files that are ids', { files: ['file-a'] }, 'files[0]'],
    ['an id that is none', { file_ids: ['a'] }, 'file_ids[0]'],
  ] as const)('is not made of %s', async ([, body, param]) => {
    const { h, vector_store_id } = await given({})
    const answer = await refusalOf(await h.send('POST', `/v1/vector_stores/${vector_store_id}/file_batches`, body))
    expect(answer).toMatchObject({ status: 400, param })
  })

  test('is all or nothing: one file that does not exist, and none is attached', async () => {
    const { h, file_ids, vector_store_id } = await given({ 'a.txt': 'a' })
    const body = { file_ids: [...file_ids, 'file-none'] }
    const answer = await h.send('POST', `/v1/vector_stores/${vector_store_id}/file_batches`, body)
    expect(await refusalOf(answer)).toEqual(refusal("No file found with id 'file-none'.", { status: 404 }))
    expect((await h.client.vectorStores.files.list(vector_store_id)).data).toEqual([])
  })

  test('of 2,000 files is made in one request', async () => {
    const { h, vector_store_id, batches } = await given({})
    const file_ids = await bare(h, 2000)
    const batch = await batches.create(vector_store_id, { file_ids })
    expect(batch.file_counts).toEqual(counts({ in_progress: 2000, total: 2000 }))
    expect(await listed(h, vector_store_id, batch.id, { order: 'asc', limit: 100 })).toEqual(file_ids)
    const cancelled = await batches.cancel(batch.id, { vector_store_id })
    expect(cancelled).toMatchObject({ status: 'cancelled', file_counts: counts({ cancelled: 2000, total: 2000 }) })
  })

  test('lists its own files alone, by status, in order', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({
      'a.txt': 'a',
      'b.zip': 'b',
      'c.txt': 'c',
      'd.txt': 'd',
    })
    const [a = '', b = '', c = '', d = ''] = file_ids
    await h.client.vectorStores.files.create(vector_store_id, { file_id: d })
    const { id } = await batches.create(vector_store_id, { file_ids: [c, b, a] })
    const { id: other } = await batches.create(vector_store_id, { file_ids: [a, d] })
    expect(await listed(h, vector_store_id, id, { order: 'asc', limit: 1 })).toHaveLength(3)
    expect((await listed(h, vector_store_id, id)).sort()).toEqual([a, b, c].sort())
    expect((await listed(h, vector_store_id, other)).sort()).toEqual([a, d].sort())
    await ingest(h)
    expect(await listed(h, vector_store_id, id, { filter: 'failed' })).toEqual([b])
    const first = await batches.listFiles(id, { vector_store_id, limit: 1, order: 'asc' })
    const next = await batches.listFiles(id, {
      vector_store_id,
      limit: 1,
      order: 'asc',
      after: first.data[0]?.id ?? '',
    })
    expect(next.data).toHaveLength(1)
    expect(next.data[0]?.id).not.toBe(first.data[0]?.id)
    const stranger = await h.send('GET', `/v1/vector_stores/${vector_store_id}/file_batches/${id}/files?after=${d}`)
    expect(stranger.status).toBe(404)
  })

  test('loses the files that are taken out of the store, and those that are deleted', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
    const [a = '', b = ''] = file_ids
    const { id } = await batches.create(vector_store_id, { file_ids })
    await h.client.vectorStores.files.delete(a, { vector_store_id })
    await h.client.files.delete(b)
    expect((await batches.retrieve(id, { vector_store_id })).file_counts).toEqual(counts({ in_progress: 1, total: 1 }))
    await ingest(h)
    expect(await batches.retrieve(id, { vector_store_id })).toMatchObject({ status: 'completed' })
  })

  test('is found in its own store alone', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a' })
    const { id } = await batches.create(vector_store_id, { file_ids })
    const { id: other } = await h.client.vectorStores.create({})
    const none = refusal(`No file batch found with id '${id}'.`, { status: 404 })
    for (const [method, path] of [
      ['GET', ''],
      ['POST', '/cancel'],
      ['GET', '/files'],
    ] as const) {
      const answer = await h.send(method, `/v1/vector_stores/${other}/file_batches/${id}${path}`)
      expect(await refusalOf(answer)).toEqual(none)
    }
    expect(await batches.retrieve(id, { vector_store_id })).toMatchObject({ status: 'in_progress' })
  })
})

describe('a batch that is cancelled', () => {
  test('keeps what is read, and reads no more', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
    const batch = await batches.create(vector_store_id, { file_ids })
    await h.services.ingestor.tick()
    const cancelled = await batches.cancel(batch.id, { vector_store_id })
    const file_counts = counts({ completed: 1, cancelled: 2, total: 3 })
    expect(cancelled).toEqual({ ...batch, status: 'cancelled', file_counts })
    expect(await h.services.ingestor.tick()).toBe(false)
    expect(await batches.retrieve(batch.id, { vector_store_id })).toEqual(cancelled)
    const store = await h.client.vectorStores.retrieve(vector_store_id)
    expect(store).toMatchObject({ status: 'completed', file_counts })
    const files = (await h.client.vectorStores.files.list(vector_store_id, { order: 'asc' })).data
    expect(files.map(({ status, last_error }) => [status, last_error])).toEqual([
      ['completed', null],
      ['cancelled', null],
      ['cancelled', null],
    ])
    expect(await batches.cancel(batch.id, { vector_store_id })).toEqual(cancelled)
  })

  test('when all is read stays completed', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.zip': 'b' })
    const { id } = await batches.create(vector_store_id, { file_ids })
    await ingest(h)
    const before = await batches.retrieve(id, { vector_store_id })
    expect(await batches.cancel(id, { vector_store_id })).toEqual(before)
    expect(before.status).toBe('completed')
  })

  test('leaves the files of others alone', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'a', 'b.txt': 'b' })
    const [a = '', b = ''] = file_ids
    const { id } = await batches.create(vector_store_id, { file_ids: [a] })
    await h.client.vectorStores.files.create(vector_store_id, { file_id: b })
    await batches.cancel(id, { vector_store_id })
    await ingest(h)
    const { data } = await h.client.vectorStores.files.list(vector_store_id, { order: 'asc' })
    expect(data.map(({ status }) => status)).toEqual(['cancelled', 'completed'])
  })

  test('gives up a file that is attached again to whoever attaches it', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'apples' })
    const [file_id = ''] = file_ids
    const { id } = await batches.create(vector_store_id, { file_ids })
    await batches.cancel(id, { vector_store_id })
    expect((await h.client.vectorStores.files.create(vector_store_id, { file_id })).status).toBe('in_progress')
    await ingest(h)
    expect((await h.client.vectorStores.search(vector_store_id, { query: 'apples' })).data).toHaveLength(1)
  })

  test('does not take away what is read anew of files that are attached again meanwhile', async () => {
    const { h, file_ids, vector_store_id, batches } = await given({ 'a.txt': 'apples' })
    const [last = ''] = file_ids
    const { id } = await batches.create(vector_store_id, { file_ids: [...(await bare(h, 1000)), last] })
    const cancelling = batches.cancel(id, { vector_store_id })
    const statusOf = async () => (await h.client.vectorStores.files.retrieve(last, { vector_store_id })).status
    await expect.poll(statusOf, { interval: 1 }).toBe('cancelled')
    await h.client.vectorStores.files.create(vector_store_id, { file_id: last })
    await ingest(h)
    await cancelling
    expect(await statusOf()).toBe('completed')
    const content = await h.client.vectorStores.files.content(last, { vector_store_id })
    expect(content.data.map(({ text }) => text)).toEqual(['apples'])
  })
})
