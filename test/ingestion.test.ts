import { globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { aFolder, type Harness, startApp } from './harness/app.ts'
import { type EmbeddingTurn, vectorOf } from './harness/backend.ts'
import { holdSearch, ingest, storeOf, upload } from './harness/search.ts'

const embedding = { EMBEDDING_MODEL: 'e' }
const statusesOf = async (h: Harness, vector_store_id: string) =>
  (await h.client.vectorStores.files.list(vector_store_id, { order: 'asc' })).data.map(({ status }) => status)
const foundIn = async (h: Harness, id: string, query = 'apples') =>
  (await h.client.vectorStores.search(id, { query })).data.map(({ filename }) => filename)
/** As many numbers as it is told. */
const withLength =
  (length: number): EmbeddingTurn =>
  ({ texts, vectors }) =>
    vectors(texts.map((text) => vectorOf(text, length)))

const filesNamed = ({ folder }: Harness, name: string) =>
  globSync(`**/${name}`, { cwd: folder, withFileTypes: true }).filter((one) => one.isFile())

const textsAsked = (h: Harness) => h.backend.embeddingRequests.flatMap(({ input }) => [input].flat().map(String))

/** A file that is being read: its embedding is asked for, and waits. */
async function inTheMiddle() {
  const h = await startApp({ env: embedding })
  const file_ids = await upload(h, { 'a.txt': 'apples', 'b.txt': 'more apples' })
  const { id } = await h.client.vectorStores.create({})
  const batch = await h.client.vectorStores.fileBatches.create(id, { file_ids })
  const held = holdSearch(h)
  const reading = h.services.ingestor.tick()
  const exchange = await held
  return { h, id, file_ids, batch, reading, exchange }
}

describe('a file that cannot be read', () => {
  const unsupported = { code: 'unsupported_file', message: 'The file type is not supported.' }
  const invalid = (because = '') => ({ code: 'invalid_file', message: `The file could not be parsed${because}.` })

  test.for([
    ['a.zip', 'PK', unsupported],
    ['a.png', '\x89PNG', unsupported],
    ['a.txt', ' \n\t ', invalid(' because it is empty')],
    ['a.pdf', 'no pdf', invalid()],
    ['a.docx', 'no docx', invalid()],
    ['a', new Uint8Array([0, 1, 2, 3, 255, 254, 0, 0]), unsupported],
  ] as const)('%s fails, says why, and does not hold up the others', async ([name, content, last_error]) => {
    const h = await startApp()
    const file = await h.client.files.create({ file: new File([content], name), purpose: 'assistants' })
    const [good = ''] = await upload(h, { 'good.txt': 'apples' })
    const { id } = await h.client.vectorStores.create({ file_ids: [file.id, good] })
    await ingest(h)
    const { data } = await h.client.vectorStores.files.list(id, { order: 'asc' })
    expect(data).toMatchObject([
      { status: 'failed', last_error, usage_bytes: 0 },
      { status: 'completed', last_error: null },
    ])
    expect((await h.client.vectorStores.files.content(file.id, { vector_store_id: id })).data).toEqual([])
    expect(await foundIn(h, id)).toEqual(['good.txt'])
  })

  test('because its bytes are gone fails', async () => {
    const h = await startApp()
    const [file = ''] = await upload(h, { 'a.txt': 'apples' })
    const { id } = await h.client.vectorStores.create({ file_ids: [file] })
    for (const { parentPath, name } of filesNamed(h, file)) rmSync(join(parentPath, name))
    await ingest(h)
    const [one] = (await h.client.vectorStores.files.list(id)).data
    expect(one).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } })
  })

  test('because its embedding fails says what the backend said', async () => {
    const h = await startApp({ env: embedding })
    const refuse: EmbeddingTurn = ({ response }) =>
      void response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"message":"No such key"}}')
    h.backend.embeddingTurns.push(refuse)
    const { id } = await storeOf(h, { 'a.txt': 'apples', 'b.txt': 'apples' })
    const { data } = await h.client.vectorStores.files.list(id, { order: 'asc' })
    expect(data).toMatchObject([
      { status: 'failed', last_error: { code: 'server_error', message: expect.stringContaining('No such key') } },
      { status: 'completed', last_error: null },
    ])
  })
})

describe('in the middle of reading a file', () => {
  test('its batch is cancelled: it is left where it is, and nothing of it is found', async () => {
    const { h, id, batch, reading, exchange, file_ids } = await inTheMiddle()
    const cancelled = await h.client.vectorStores.fileBatches.cancel(batch.id, { vector_store_id: id })
    expect(cancelled).toMatchObject({ status: 'cancelled', file_counts: { cancelled: 2, in_progress: 0, total: 2 } })
    await exchange.closed
    await reading
    expect(await h.services.ingestor.tick()).toBe(false)
    expect(await statusesOf(h, id)).toEqual(['cancelled', 'cancelled'])
    expect(await foundIn(h, id)).toEqual([])
    const content = await h.client.vectorStores.files.content(file_ids[0] ?? '', { vector_store_id: id })
    expect(content.data).toEqual([])
  })

  test.for([
    [
      'it is taken out of the store',
      (h, id, file) => h.client.vectorStores.files.delete(file, { vector_store_id: id }),
    ],
    ['it is deleted', (h, _, file) => h.client.files.delete(file)],
  ] satisfies [string, (h: Harness, id: string, file: string) => Promise<unknown>][])(
    '%s: the work on it ends, and the next is read',
    async ([, remove]) => {
      const { h, id, file_ids, reading, exchange } = await inTheMiddle()
      await remove(h, id, file_ids[0] ?? '')
      await exchange.closed
      expect(await reading).toBe(true)
      await ingest(h)
      expect(await statusesOf(h, id)).toEqual(['completed'])
      expect(await foundIn(h, id)).toEqual(['b.txt'])
    },
  )

  test('its store is deleted: the work on it ends, and nothing is left to do', async () => {
    const { h, id, reading, exchange } = await inTheMiddle()
    await h.client.vectorStores.delete(id)
    await exchange.closed
    await reading
    expect(await h.services.ingestor.tick()).toBe(false)
    expect(await h.services.store.vectorStoreFiles.completed()).toEqual([])
  })

  test('the server stops: another begins with the same file at once', async () => {
    const folder = aFolder()
    const first = await startApp({ env: embedding, folder })
    const file_ids = await upload(first, { 'a.txt': 'apples' })
    const { id } = await first.client.vectorStores.create({ file_ids })
    const held = holdSearch(first)
    void first.services.ingestor.tick()
    const { closed } = await held
    await first.close()
    await closed

    const second = await startApp({ env: embedding, folder })
    expect(await statusesOf(second, id)).toEqual(['in_progress'])
    expect(await second.services.ingestor.tick()).toBe(true)
    expect(await foundIn(second, id)).toEqual(['a.txt'])
  })

  test('its process dies: another takes the file when the lease is over, and not before', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'apples' })
    const { id } = await h.client.vectorStores.create({ file_ids })
    const dead = await h.services.store.ingestion.claim(h.time.now + 15_000)
    expect(dead?.file.id).toBe(file_ids[0])
    h.time.now += 14_999
    expect(await h.services.ingestor.tick()).toBe(false)
    h.time.now += 1
    expect(await h.services.ingestor.tick()).toBe(true)
    expect(await statusesOf(h, id)).toEqual(['completed'])
    expect(
      await h.services.store.ingestion.end(dead?.lease_id ?? '', {
        status: 'completed',
        usage_bytes: 9,
        embedded_by: null,
      }),
    ).toBe(false)
    expect(await foundIn(h, id)).toEqual(['a.txt'])
  })

  test('it lasts longer than a lease: nobody else takes it', async () => {
    const h = await startApp({ env: embedding, ingesting: true, leaseMs: 1000 })
    const { ingestion } = h.services.store
    const extended = Array.from({ length: 3 }, () => Promise.withResolvers<void>())
    const extend = ingestion.extend
    let times = 0
    ingestion.extend = async (...given) => {
      const held = await extend(...given)
      extended[times++]?.resolve()
      return held
    }
    const file_ids = await upload(h, { 'a.txt': 'apples' })
    const held = holdSearch(h)
    const { id } = await h.client.vectorStores.create({ file_ids })
    const exchange = await held
    for (const { promise } of extended) {
      h.time.now += 900
      await promise
      expect(await ingestion.claim(0)).toBeUndefined()
    }
    exchange.vectors()
    await expect.poll(() => statusesOf(h, id)).toEqual(['completed'])
    expect(h.backend.embeddingRequests).toHaveLength(1)
  })
})

describe('a search index that is lost', () => {
  test('is made anew from the files, and their store is in progress until then', async () => {
    const folder = aFolder()
    const first = await startApp({ folder })
    const { id, file_ids } = await storeOf(first, { 'a.txt': 'apples', 'b.zip': 'b', 'c.txt': 'pears' })
    const before = await first.client.vectorStores.retrieve(id)
    await first.close()
    rmSync(join(folder, 'search.db'))

    const second = await startApp({ folder })
    await second.services.files.sweep()
    expect(await second.client.vectorStores.retrieve(id)).toMatchObject({
      status: 'in_progress',
      usage_bytes: 0,
      file_counts: { in_progress: 2, completed: 0, failed: 1, total: 3 },
    })
    await ingest(second)
    expect(await second.client.vectorStores.retrieve(id)).toEqual(before)
    expect(await foundIn(second, id)).toEqual(['a.txt'])
    const content = await second.client.vectorStores.files.content(file_ids[2] ?? '', { vector_store_id: id })
    expect(content.data.map(({ text }) => text)).toEqual(['pears'])
  })

  test('in part: what it has is not read again, and what it has beyond is dropped', async () => {
    const folder = aFolder()
    const first = await startApp({ folder })
    const one = await storeOf(first, { 'a.txt': 'apples' })
    await storeOf(first, { 'b.txt': 'pears' })
    // As after a crash between the two databases.
    await first.services.store.vectorStores.delete(one.id)
    await first.close()
    const second = await startApp({ folder })
    await second.services.files.sweep()
    expect(await second.services.ingestor.tick()).toBe(false)
  })
})

describe('the embedding model', () => {
  /** Whatever is asked means apples: what has a vector is found. */
  const likeApples =
    (length: number): EmbeddingTurn =>
    ({ texts, vectors }) =>
      vectors(texts.map(() => vectorOf('apples', length)))

  test.each([
    ['comes into use', {}, { EMBEDDING_MODEL: 'e' }, 64],
    ['is another', { EMBEDDING_MODEL: 'e' }, { EMBEDDING_MODEL: 'f' }, 64],
    ['has vectors of another length', { EMBEDDING_MODEL: 'e' }, { EMBEDDING_MODEL: 'e' }, 32],
  ])(
    '%s: the vectors of all files are made anew, while they are found by their words',
    async (_, before, after, length) => {
      const folder = aFolder()
      const first = await startApp({ folder, env: before })
      const { id } = await storeOf(first, { 'a.txt': 'apples', 'b.txt': 'more apples', 'c.zip': 'x' })
      await first.close()

      const second = await startApp({ folder, env: after })
      second.backend.otherwiseEmbed = withLength(length)
      await second.services.files.sweep()
      expect(await statusesOf(second, id)).toEqual(['completed', 'completed', 'failed'])
      expect((await foundIn(second, id)).sort()).toEqual(['a.txt', 'b.txt'])
      const asked = textsAsked(second).length
      await ingest(second)
      expect(textsAsked(second).slice(asked)).toEqual(['apples', 'more apples'])
      second.backend.otherwiseEmbed = likeApples(length)
      expect((await foundIn(second, id, 'zeppelins')).sort()).toEqual(['a.txt', 'b.txt'])
      expect(await second.services.ingestor.tick()).toBe(false)
    },
  )

  test('stays the same: nothing is made anew', async () => {
    const folder = aFolder()
    const first = await startApp({ folder, env: embedding })
    await storeOf(first, { 'a.txt': 'apples' })
    await first.close()
    const second = await startApp({ folder, env: embedding })
    await second.services.files.sweep()
    expect(await second.services.ingestor.tick()).toBe(false)
  })

  test('is no longer used: files are found by their words', async () => {
    const folder = aFolder()
    const first = await startApp({ folder, env: embedding })
    const { id } = await storeOf(first, { 'a.txt': 'apples' })
    await first.close()
    const second = await startApp({ folder })
    await second.services.files.sweep()
    expect(await second.services.ingestor.tick()).toBe(false)
    expect(await foundIn(second, id)).toEqual(['a.txt'])
    expect(second.backend.embeddingRequests).toEqual([])
  })

  test('fails while vectors are made anew: the file stays completed, and it is tried again later', async () => {
    const folder = aFolder()
    const first = await startApp({ folder })
    const { id } = await storeOf(first, { 'a.txt': 'apples' })
    await first.close()
    const second = await startApp({ folder, env: embedding })
    await second.services.files.sweep()
    const refuse: EmbeddingTurn = ({ response }) => void response.writeHead(401).end('{}')
    second.backend.embeddingTurns.push(refuse)
    expect(await second.services.ingestor.tick()).toBe(true)
    expect(await second.services.ingestor.tick()).toBe(false)
    expect(await statusesOf(second, id)).toEqual(['completed'])
    expect(await foundIn(second, id)).toEqual(['a.txt'])
    second.time.now += 300_000
    expect(await second.services.ingestor.tick()).toBe(true)
    second.backend.otherwiseEmbed = likeApples(64)
    expect(await foundIn(second, id, 'zeppelins')).toEqual(['a.txt'])
  })

  test('that does not answer leaves a sweep to do the rest', async () => {
    const h = await startApp({ env: embedding, folder: aFolder() })
    await storeOf(h, { 'a.txt': 'apples' })
    h.backend.otherwiseEmbed = ({ response }) => void response.writeHead(401).end('{}')
    await expect(h.services.files.sweep()).resolves.toBeUndefined()
  })
})

describe('the queue', () => {
  test('is read in the order in which files came', async () => {
    const h = await startApp({ env: embedding })
    const names = ['c', 'a', 'd', 'b']
    await storeOf(h, Object.fromEntries(names.map((name) => [`${name}.txt`, name])))
    expect(textsAsked(h)).toEqual(names)
  })

  test('is read by as many hands at once as are told', async () => {
    const h = await startApp({ env: { ...embedding, INGESTION_CONCURRENCY: '3' } })
    const file_ids = await upload(h, Object.fromEntries(Array.from({ length: 9 }, (_, n) => [`${n}.txt`, `text ${n}`])))
    let open = 0
    let most = 0
    const three = Promise.withResolvers<void>()
    h.backend.otherwiseEmbed = async ({ vectors }) => {
      most = Math.max(most, ++open)
      if (open === 3) three.resolve()
      await three.promise
      open--
      vectors()
    }
    const { id } = await h.client.vectorStores.create({ file_ids })
    h.services.ingestor.start()
    await expect
      .poll(async () => (await h.client.vectorStores.retrieve(id)).status, { timeout: 15_000 })
      .toBe('completed')
    expect(most).toBe(3)
  })

  test('goes on with what comes while it is read, without a beat', async () => {
    const h = await startApp({ ingesting: true, leaseMs: 3_600_000 })
    for (const name of ['a', 'b', 'c']) {
      const [file = ''] = await upload(h, { [`${name}.txt`]: name })
      const { id } = await h.client.vectorStores.create({ file_ids: [file] })
      const signal = AbortSignal.timeout(15_000)
      await h.services.ingestor.settled(id, signal)
      expect(await statusesOf(h, id)).toEqual(['completed'])
    }
  })

  test('tells those who wait when a store has settled: read, failed, cancelled or gone', async () => {
    const h = await startApp()
    const file_ids = await upload(h, { 'a.txt': 'a', 'b.zip': 'b', 'c.txt': 'c' })
    const { id: vector_store_id } = await h.client.vectorStores.create({})
    const batch = await h.client.vectorStores.fileBatches.create(vector_store_id, { file_ids })
    const { signal } = new AbortController()
    let isSettled = false
    const settled = h.services.ingestor.settled(vector_store_id, signal).then(() => {
      isSettled = true
    })
    await h.services.ingestor.tick()
    await h.services.ingestor.tick()
    expect(isSettled).toBe(false)
    await h.client.vectorStores.fileBatches.cancel(batch.id, { vector_store_id })
    await settled
    await h.client.vectorStores.files.create(vector_store_id, { file_id: file_ids[2] ?? '' })
    const gone = h.services.ingestor.settled(vector_store_id, signal)
    await h.client.vectorStores.delete(vector_store_id)
    await gone
  })
})
