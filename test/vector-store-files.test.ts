import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { ingest, storeOf, upload } from './harness/search.ts'

const sizes = (max_chunk_size_tokens: number, chunk_overlap_tokens: number) => ({
  type: 'static' as const,
  static: { max_chunk_size_tokens, chunk_overlap_tokens },
})
const textsOf = async (h: Harness, vector_store_id: string, file_id: string) =>
  (await h.client.vectorStores.files.content(file_id, { vector_store_id })).data.map(({ text }) => text ?? '')

describe('a file of a vector store', () => {
  test('has the id of the file, and is in progress until it is read', async () => {
    const h = await startApp()
    const { files } = h.client.vectorStores
    const { id: vector_store_id } = await h.client.vectorStores.create({})
    const [id = ''] = await upload(h, { 'a.txt': 'Hello, wörld' })
    h.time.now += 5000
    const file = await files.create(vector_store_id, { file_id: id })
    expect(file).toEqual({
      id,
      object: 'vector_store.file',
      usage_bytes: 0,
      created_at: 1_790_000_005,
      vector_store_id,
      status: 'in_progress',
      last_error: null,
      chunking_strategy: sizes(800, 400),
      attributes: {},
    })
    expect(await textsOf(h, vector_store_id, id)).toEqual([])
    await ingest(h)
    const done = await files.retrieve(id, { vector_store_id })
    expect(done).toEqual({ ...file, status: 'completed', usage_bytes: 13 })
    expect(await textsOf(h, vector_store_id, id)).toEqual(['Hello, wörld'])
  })

  test.each([{ type: 'auto' as const }, null, undefined])('is cut into chunks of 800 tokens by %j', async (given) => {
    const h = await startApp()
    const { id } = await h.client.vectorStores.create({})
    const [file_id = ''] = await upload(h, { 'a.txt': 'word '.repeat(1300) })
    const answer = await h.send('POST', `/v1/vector_stores/${id}/files`, { file_id, chunking_strategy: given })
    expect(await answer.json()).toMatchObject({ chunking_strategy: sizes(800, 400) })
    await ingest(h)
    // A token a word, the next chunk 400 later.
    expect((await textsOf(h, id, file_id)).map((text) => Math.round(text.length / 5 / 100))).toEqual([8, 8, 5])
  })

  test('is cut into chunks as it is told, in order, without a gap', async () => {
    const h = await startApp()
    const words = Array.from({ length: 1000 }, (_, n) => `w${n}`)
    const { id } = await h.client.vectorStores.create({})
    const [file_id = ''] = await upload(h, { 'a.txt': words.join(' ') })
    await h.client.vectorStores.files.create(id, { file_id, chunking_strategy: sizes(100, 0) })
    await ingest(h)
    const chunks = await textsOf(h, id, file_id)
    expect(chunks.length).toBeGreaterThan(10)
    expect(chunks.join('').replace(/\s/g, '')).toBe(words.join(''))
  })

  test.for([
    [sizes(100, 51), 'chunk_overlap_tokens'],
    [sizes(4096, 2049), 'chunk_overlap_tokens'],
    [sizes(99, 0), 'max_chunk_size_tokens'],
    [sizes(4097, 0), 'max_chunk_size_tokens'],
    [sizes(800, -1), 'chunk_overlap_tokens'],
    [{ type: 'static' }, 'static'],
    [{ type: 'static', static: { max_chunk_size_tokens: 800 } }, 'chunk_overlap_tokens'],
    [{ type: 'other' }, 'type'],
    [{ type: 'auto', static: sizes(800, 400).static }, 'static'],
  ] as const)('is not cut by %j', async ([chunking_strategy, param]) => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'a' })
    const { id } = await h.client.vectorStores.create({})
    const endOf = async (url: string, body: object) => {
      const { status, param: where } = await refusalOf(await h.send('POST', url, body))
      return [status, where?.replace(/^files\[0\]\./, '').startsWith('chunking_strategy.'), where?.endsWith(param)]
    }
    const [file_id] = file_ids
    for (const [url, body] of [
      ['/v1/vector_stores', { file_ids, chunking_strategy }],
      [`/v1/vector_stores/${id}/files`, { file_id, chunking_strategy }],
      [`/v1/vector_stores/${id}/file_batches`, { file_ids, chunking_strategy }],
      [`/v1/vector_stores/${id}/file_batches`, { files: [{ file_id, chunking_strategy }] }],
    ] as const) {
      expect([url, ...(await endOf(url, body))]).toEqual([url, 400, true, true])
    }
    expect((await h.client.vectorStores.files.list(id)).data).toEqual([])
  })

  test.each([sizes(100, 50), sizes(4096, 2048), sizes(100, 0)])('is cut by %j', async (chunking_strategy) => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'a' })
    const { id } = await h.client.vectorStores.create({ file_ids, chunking_strategy })
    await ingest(h)
    expect((await h.client.vectorStores.files.list(id)).data).toMatchObject([
      { chunking_strategy, status: 'completed' },
    ])
  })

  test('of a path in a name that says nothing of its type is read by what is in it', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, { LICENSE: 'Do as you like.' })
    expect(await textsOf(h, id, file_ids[0] ?? '')).toEqual(['Do as you like.'])
  })

  test('attached again stays as it is', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, { 'a.txt': 'apples' })
    const [file_id = ''] = file_ids
    const before = await h.client.vectorStores.files.retrieve(file_id, { vector_store_id: id })
    h.time.now += 9000
    expect(await h.client.vectorStores.files.create(id, { file_id, attributes: { a: 1 } })).toEqual(before)
    expect(await h.services.ingestor.tick()).toBe(false)
  })

  test('that failed is read again when it is attached again, as it is told then', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, { 'a.txt': ' ' })
    const [file_id = ''] = file_ids
    const again = { file_id, attributes: { a: 1 }, chunking_strategy: sizes(200, 0) }
    const { last_error, ...file } = await h.client.vectorStores.files.create(id, again)
    expect(last_error).toBeNull()
    expect(file).toMatchObject({ status: 'in_progress', attributes: { a: 1 }, chunking_strategy: sizes(200, 0) })
    expect(await h.services.ingestor.tick()).toBe(true)
  })

  test('of another store, or of none, is not found', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, { 'a.txt': 'apples' })
    const [file = ''] = file_ids
    const { id: other } = await h.client.vectorStores.create({})
    const none = refusal(`No file found with id '${file}' in vector store '${other}'.`, { status: 404 })
    for (const [method, path, body] of [
      ['GET', ''],
      ['POST', '', { attributes: {} }],
      ['DELETE', ''],
      ['GET', '/content'],
    ] as const) {
      const answer = await h.send(method, `/v1/vector_stores/${other}/files/${file}${path}`, body)
      expect([method + path, await refusalOf(answer)]).toEqual([method + path, none])
    }
    expect(await textsOf(h, id, file)).toEqual(['apples'])
    const unknown = await h.send('POST', `/v1/vector_stores/${id}/files`, { file_id: 'file-none' })
    expect(await refusalOf(unknown)).toEqual(refusal("No file found with id 'file-none'.", { status: 404 }))
  })

  test('that has expired cannot be attached, as it cannot be had', async () => {
    const h = await startApp()
    const expires_after = { anchor: 'created_at' as const, seconds: 3600 }
    const made = { file: new File(['apples'], 'a.txt'), purpose: 'assistants' as const, expires_after }
    const { id: file_id } = await h.client.files.create(made)
    const { id } = await h.client.vectorStores.create({})
    h.time.now += 3_600_000
    expect((await h.send('GET', `/v1/files/${file_id}`)).status).toBe(404)
    const answer = await h.send('POST', `/v1/vector_stores/${id}/files`, { file_id })
    expect(await refusalOf(answer)).toEqual(refusal(`No file found with id '${file_id}'.`, { status: 404 }))
  })

  test('taken out is gone from the counts, the bytes and the search, once; the file stays', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, { 'a.txt': 'apples', 'b.txt': 'apples and pears' })
    const [file = '', other = ''] = file_ids
    const { files } = h.client.vectorStores
    const deleted = { id: file, object: 'vector_store.file.deleted', deleted: true }
    expect(await files.delete(file, { vector_store_id: id })).toEqual(deleted)
    const { usage_bytes } = await files.retrieve(other, { vector_store_id: id })
    const file_counts = { in_progress: 0, completed: 1, failed: 0, cancelled: 0, total: 1 }
    expect(await h.client.vectorStores.retrieve(id)).toMatchObject({ usage_bytes, file_counts })
    const found = await h.client.vectorStores.search(id, { query: 'apples' })
    expect(found.data.map(({ file_id }) => file_id)).toEqual([other])
    const again = await refusalOf(await h.send('DELETE', `/v1/vector_stores/${id}/files/${file}`))
    expect(again.status).toBe(404)
    expect((await h.client.files.retrieve(file)).filename).toBe('a.txt')
    await files.create(id, { file_id: file })
    await ingest(h)
    expect(await textsOf(h, id, file)).toEqual(['apples'])
  })

  test('is in several stores by itself in each', async () => {
    const h = await startApp()
    const one = await storeOf(h, { 'a.txt': 'apples' })
    const two = await h.client.vectorStores.create({ file_ids: one.file_ids })
    await ingest(h)
    const [file = ''] = one.file_ids
    await h.client.vectorStores.files.update(file, { vector_store_id: one.id, attributes: { a: 1 } })
    expect(await h.client.vectorStores.files.retrieve(file, { vector_store_id: two.id })).toMatchObject({
      attributes: {},
    })
    await h.client.vectorStores.delete(one.id)
    expect(await textsOf(h, two.id, file)).toEqual(['apples'])
    expect((await h.client.vectorStores.search(two.id, { query: 'apples' })).data).toHaveLength(1)
  })
})

describe('attributes', () => {
  const given = { text: 'Grüße 👋', number: -0.5, big: 2 ** 53, yes: true, no: false, '': '', "it's": 'a "quote"' }

  test('come back as they were sent, and are replaced as a whole', async () => {
    const h = await startApp()
    const { id: vector_store_id } = await h.client.vectorStores.create({})
    const [file_id = ''] = await upload(h, { 'a.txt': 'apples' })
    const { files } = h.client.vectorStores
    const file = await files.create(vector_store_id, { file_id, attributes: given })
    expect(file.attributes).toEqual(given)
    const replaced = await files.update(file_id, { vector_store_id, attributes: { b: 'x' } })
    expect(replaced).toEqual({ ...file, attributes: { b: 'x' } })
    expect(await files.update(file_id, { vector_store_id, attributes: null })).toEqual({ ...file, attributes: {} })
    expect(await files.retrieve(file_id, { vector_store_id })).toEqual({ ...file, attributes: {} })
  })

  test.for([
    [{}, 'attributes', 'missing_required_parameter'],
    [{ attributes: { a: null } }, 'attributes.a', 'invalid_type'],
    [{ attributes: { a: ['x'] } }, 'attributes.a', 'invalid_type'],
    [{ attributes: { a: 'x'.repeat(513) } }, 'attributes.a', 'string_above_max_length'],
    [{ attributes: { ['k'.repeat(65)]: 1 } }, `attributes.${'k'.repeat(65)}`, 'property_name_above_max_length'],
    [
      { attributes: Object.fromEntries(Array.from({ length: 17 }, (_, n) => [n, n])) },
      'attributes',
      'object_above_max_properties',
    ],
    [{ attributes: [] }, 'attributes', 'invalid_type'],
    [{ attributes: {}, status: 'completed' }, 'status', 'unknown_parameter'],
  ] as const)('are not %j', async ([body, param, code]) => {
    const h = await startApp()
    const answer = await refusalOf(await h.send('POST', '/v1/vector_stores/vs_a/files/file-a', body))
    expect(answer).toMatchObject({ status: 400, param, code })
  })
})

describe('the list of files of a store', () => {
  const names = { '0.txt': 'a', '1.zip': 'b', '2.txt': 'c', '3.zip': 'd', '4.txt': 'e' }
  const given = async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, names)
    const { id: last } = await h.client.files.create({ file: new File(['f'], '5.txt'), purpose: 'assistants' })
    await h.client.vectorStores.files.create(id, { file_id: last })
    return { h, id, file_ids: [...file_ids, last] }
  }

  test('is newest first, page by page, of a status if one is asked for', async () => {
    const { h, id, file_ids } = await given()
    const listed = async (query: object = {}) => {
      const places: number[] = []
      for await (const file of h.client.vectorStores.files.list(id, { limit: 2, ...query }))
        places.push(file_ids.indexOf(file.id))
      return places.join('')
    }
    expect(await listed()).toBe('543210')
    expect(await listed({ order: 'asc' })).toBe('012345')
    expect(await listed({ filter: 'completed' })).toBe('420')
    expect(await listed({ filter: 'failed', order: 'asc' })).toBe('13')
    expect(await listed({ filter: 'in_progress' })).toBe('5')
    expect(await listed({ filter: 'cancelled' })).toBe('')
    expect(await listed({ order: 'asc', before: file_ids[3] })).toMatch(/^12/)
    const bad = await refusalOf(await h.send('GET', `/v1/vector_stores/${id}/files?filter=done`))
    expect(bad).toMatchObject({ status: 400, param: 'filter', code: 'invalid_value' })
  })

  test('goes on from a file whose status is no longer the one that is asked for', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' })
    const { id } = await h.client.vectorStores.create({ file_ids })
    const seen: string[] = []
    const waiting = h.client.vectorStores.files.list(id, { filter: 'in_progress', limit: 1, order: 'asc' })
    for await (const file of waiting) {
      seen.push(file.id)
      await h.services.ingestor.tick()
    }
    expect(seen).toEqual(file_ids)
    expect((await h.client.vectorStores.files.list(id, { filter: 'in_progress' })).data).toEqual([])
  })

  test('knows no file of another store as a cursor', async () => {
    const { h, id } = await given()
    const [other = ''] = await upload(h, { 'a.txt': 'a' })
    await h.client.vectorStores.create({ file_ids: [other] })
    expect((await h.send('GET', `/v1/vector_stores/${id}/files?after=${other}`)).status).toBe(404)
  })
})
