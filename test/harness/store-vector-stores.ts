import { describe, expect, test } from 'vitest'
import { newFileBatchId, newId, newVectorStoreId } from '../../src/ids.ts'
import type { File } from '../../src/schemas/files.ts'
import { completeChunking } from '../../src/schemas/vector-stores.ts'
import type { Attachment, Job, StoredStore } from '../../src/store/vector-stores.ts'
import { givenStore, type OpenStore } from './store-given.ts'

const created_at = 1_790_000_000

const aFile = (patch: Partial<File> = {}): File => ({
  id: newId('file-'),
  object: 'file',
  purpose: 'assistants',
  filename: 'a.txt',
  bytes: 1,
  created_at,
  expires_at: null,
  status: 'processed',
  status_details: null,
  ...patch,
})
const aStore = (patch: Partial<StoredStore> = {}): StoredStore => ({
  id: newVectorStoreId(),
  created_at,
  name: null,
  description: null,
  expires_after: null,
  expires_at: null,
  last_active_at: created_at,
  metadata: {},
  ...patch,
})
const attached = (file: File, attributes: Attachment['attributes'] = {}): Attachment => ({
  file_id: file.id,
  attributes,
  chunking_strategy: completeChunking(null),
})
const done = { status: 'completed' as const, usage_bytes: 7, embedded_by: null }
const failed = { status: 'failed' as const, last_error: { code: 'invalid_file' as const, message: 'No.' } }

/** The part of the shared suite that is about vector stores, their files and batches, and the queue of files to read. */
export function testVectorStores(open: OpenStore) {
  const { on } = givenStore(open)
  const seconds = () => on.now / 1000

  /** A store with so many files. */
  async function given(count: number, patch: Partial<StoredStore> = {}) {
    const files = Array.from({ length: count }, (_, n) => aFile({ filename: `${n}.txt` }))
    for (const file of files) await on.store.files.insert(file)
    const store = aStore(patch)
    expect(
      await on.store.vectorStores.insert(
        store,
        files.map((file) => attached(file)),
      ),
    ).toBeUndefined()
    return { id: store.id, store, files }
  }
  async function claimed(): Promise<Job> {
    const job = await on.store.ingestion.claim(on.now + 1000)
    if (!job) throw new Error('There is nothing to read.')
    return job
  }
  const idle = async () => expect(await on.store.ingestion.claim(on.now + 1000)).toBeUndefined()
  const statusOf = async (id: string, file?: File) => (await on.store.vectorStoreFiles.get(id, file?.id ?? ''))?.status

  describe('vector stores', () => {
    test('one comes back as it was inserted, with counts and a status', async () => {
      const { id, store } = await given(2, { name: 'A', description: 'B', metadata: { a: '' } })
      expect(await on.store.vectorStores.get(id, seconds())).toEqual({
        ...store,
        object: 'vector_store',
        status: 'in_progress',
        usage_bytes: 0,
        file_counts: { in_progress: 2, completed: 0, failed: 0, cancelled: 0, total: 2 },
      })
      await on.store.ingestion.end((await claimed()).lease_id, done)
      await on.store.ingestion.end((await claimed()).lease_id, failed)
      expect(await on.store.vectorStores.get(id, seconds())).toMatchObject({
        status: 'completed',
        usage_bytes: 7,
        file_counts: { in_progress: 0, completed: 1, failed: 1, cancelled: 0, total: 2 },
      })
    })

    test('one with a file that does not exist is not inserted at all', async () => {
      const { files } = await given(1)
      const store = aStore()
      const list = [...files, aFile({ id: 'file-none' })].map((file) => attached(file))
      expect(await on.store.vectorStores.insert(store, list)).toEqual({ refused: 'no_file', file_id: 'file-none' })
      expect(await on.store.vectorStores.get(store.id, 0)).toBeUndefined()
    })

    test('a use begins its time anew, unless it is over', async () => {
      const expires_after = { anchor: 'last_active_at' as const, days: 1 }
      const { id } = await given(0, { expires_after, expires_at: created_at + 86_400 })
      const at = async (now: number) => (await on.store.vectorStores.get(id, now))?.status
      await on.store.vectorStores.touch([id, 'vs_none'], created_at + 10)
      expect(await at(created_at + 86_409)).toBe('completed')
      expect(await at(created_at + 86_410)).toBe('expired')
      await on.store.vectorStores.touch([id], created_at + 86_410)
      expect(await at(created_at + 86_410)).toBe('expired')
    })

    test('an update writes the given keys alone, a delete ends it once, with all that is of it', async () => {
      const { id, store, files } = await given(1)
      expect(await on.store.vectorStores.update(id, { name: 'B' })).toBe(true)
      expect(await on.store.vectorStores.get(id, 0)).toMatchObject({ ...store, name: 'B' })
      expect(await on.store.vectorStores.update('vs_none', { name: 'B' })).toBe(false)
      const [key] = await on.store.vectorStoreFiles.keysOf(files[0]?.id ?? '')
      expect(await on.store.vectorStores.delete(id)).toBe(key?.store)
      expect(await on.store.vectorStores.delete(id)).toBeUndefined()
      expect(await on.store.vectorStoreFiles.keysOf(files[0]?.id ?? '')).toEqual([])
      expect(await on.store.files.get(files[0]?.id ?? '')).toEqual(files[0])
      await idle()
    })
  })

  describe('files of vector stores', () => {
    test('one that is there stays, one that failed begins anew', async () => {
      const { id, files } = await given(2)
      await on.store.ingestion.end((await claimed()).lease_id, done)
      await on.store.ingestion.end((await claimed()).lease_id, failed)
      const list = files.map((file) => attached(file, { a: 1 }))
      expect(await on.store.vectorStoreFiles.attach(id, list, seconds())).toBeUndefined()
      expect(await on.store.vectorStoreFiles.get(id, files[0]?.id ?? '')).toMatchObject({
        status: 'completed',
        attributes: {},
      })
      const again = { status: 'in_progress', attributes: { a: 1 }, last_error: null }
      expect(await on.store.vectorStoreFiles.get(id, files[1]?.id ?? '')).toMatchObject(again)
      expect((await claimed()).file).toEqual(files[1])
    })

    test('attaching is all or nothing', async () => {
      const { id, files } = await given(1)
      const more = aFile()
      await on.store.files.insert(more)
      const { attach } = on.store.vectorStoreFiles
      const batch = { id: newFileBatchId(), created_at }
      const list = [attached(more), attached(aFile({ id: 'file-none' }))]
      expect(await attach(id, list, seconds(), batch)).toEqual({ refused: 'no_file', file_id: 'file-none' })
      expect(await attach('vs_none', [attached(more)], seconds())).toEqual({ refused: 'no_store' })
      expect(await on.store.vectorStoreFiles.page({ vector_store_id: id }, { limit: 9, order: 'asc' })).toMatchObject({
        data: [{ id: files[0]?.id }],
      })
      expect(await on.store.fileBatches.get(id, batch.id)).toBeUndefined()
    })

    test('the keys are those of its stores, and go with the file', async () => {
      const { id, files } = await given(1)
      const [file] = files
      const other = aStore()
      await on.store.vectorStores.insert(other, file ? [attached(file)] : [])
      const { keysOf, key, storeKeys, known, detach } = on.store.vectorStoreFiles
      const keys = await keysOf(file?.id ?? '')
      expect(keys).toHaveLength(2)
      expect(await storeKeys([other.id, 'vs_none', id])).toEqual(keys.map(({ store }) => store).toReversed())
      expect(await key(id, file?.id ?? '')).toEqual(keys[0])
      expect(await detach(id, file?.id ?? '')).toEqual(keys[0])
      expect(await detach(id, file?.id ?? '')).toBeUndefined()
      expect(await known(keys.map(({ entry }) => entry))).toEqual([keys[1]?.entry])
      await on.store.files.delete(file?.id ?? '')
      expect(await keysOf(file?.id ?? '')).toEqual([])
    })

    test('only completed ones match a filter, are found, and are what the index should have', async () => {
      const { id, files } = await given(2)
      const attributes = { n: 1 }
      for (const file of files) await on.store.vectorStoreFiles.update(id, file.id, { attributes })
      const { key, lease_id } = await claimed()
      await on.store.ingestion.end(lease_id, done)
      const filter = { type: 'eq' as const, key: 'n', value: 1 }
      expect(await on.store.vectorStoreFiles.matching([key.store], filter)).toEqual([key.entry])
      expect(await on.store.vectorStoreFiles.matching([key.store], { ...filter, value: 2 })).toEqual([])
      expect(await on.store.vectorStoreFiles.found([key.entry, key.entry + 1])).toEqual([
        { key, file_id: files[0]?.id, filename: '0.txt', attributes },
      ])
      expect(await on.store.vectorStoreFiles.completed()).toEqual([key])
    })

    test('a page of one status goes on from a file that has another by now', async () => {
      const { id, files } = await given(3)
      await on.store.ingestion.end((await claimed()).lease_id, done)
      const query = { limit: 1, order: 'asc' as const, filter: 'in_progress' as const, after: files[0]?.id ?? '' }
      expect(await on.store.vectorStoreFiles.page({ vector_store_id: id }, query)).toMatchObject({
        data: [{ id: files[1]?.id }],
        has_more: true,
      })
    })
  })

  describe('file batches', () => {
    test('one has the files it is given, and a cancel stops those that are not read yet', async () => {
      const { id, files } = await given(3)
      const batch = { id: newFileBatchId(), created_at }
      await on.store.vectorStoreFiles.attach(
        id,
        files.slice(0, 2).map((file) => attached(file)),
        seconds(),
        batch,
      )
      const first = await claimed()
      await on.store.ingestion.end(first.lease_id, done)
      const second = await claimed()
      expect(await on.store.fileBatches.get(id, batch.id)).toMatchObject({
        status: 'in_progress',
        file_counts: { in_progress: 1, completed: 1, total: 2 },
      })
      expect(await on.store.fileBatches.cancel(id, batch.id)).toEqual([second.key])
      expect(await on.store.fileBatches.get(id, batch.id)).toMatchObject({
        status: 'cancelled',
        file_counts: { completed: 1, cancelled: 1, total: 2 },
      })
      expect(await on.store.ingestion.end(second.lease_id, done)).toBe(false)
      expect(await Promise.all(files.map((file) => statusOf(id, file)))).toEqual([
        'completed',
        'cancelled',
        'in_progress',
      ])
      expect(await on.store.fileBatches.cancel('vs_none', batch.id)).toBeUndefined()
      expect(await on.store.fileBatches.cancel(id, batch.id)).toEqual([])
    })
  })

  describe('the queue of files', () => {
    test('each is claimed once, the one that has waited longest first', async () => {
      const { files } = await given(3)
      const jobs = await Promise.all([1, 2, 3, 4].map(() => on.store.ingestion.claim(on.now + 1000)))
      expect(jobs.map((job) => job?.file.id)).toEqual([...files.map(({ id }) => id), undefined])
    })

    test('a lease that has ended is lost, one that is extended is not', async () => {
      await given(2)
      const [lost, kept] = [await claimed(), await claimed()]
      expect(await on.store.ingestion.extend([kept.lease_id, 'none'], on.now + 5000)).toEqual([kept.lease_id])
      on.now += 1000
      const again = await claimed()
      expect(again.key).toEqual(lost.key)
      await idle()
      expect(await on.store.ingestion.end(lost.lease_id, done)).toBe(false)
      expect(await on.store.ingestion.end(again.lease_id, done)).toBe(true)
      expect(await on.store.ingestion.end(again.lease_id, failed)).toBe(false)
    })

    test('what is released is free at once, what is put off when its time has come', async () => {
      await given(1)
      await on.store.ingestion.release((await claimed()).lease_id)
      await on.store.ingestion.postpone((await claimed()).lease_id, on.now + 10)
      await idle()
      on.now += 10
      await claimed()
    })

    test('what the index has lost is read again', async () => {
      const { id, files } = await given(2)
      const { key, lease_id } = await claimed()
      await on.store.ingestion.end(lease_id, done)
      const other = await claimed()
      await on.store.ingestion.end(other.lease_id, failed)
      await on.store.ingestion.redo([key.entry, other.key.entry])
      expect(await statusOf(id, files[0])).toBe('in_progress')
      expect(await statusOf(id, files[1])).toBe('failed')
      expect((await claimed()).key).toEqual(key)
      await idle()
    })

    test('what another model has embedded, or none, is embedded anew, and stays completed meanwhile', async () => {
      const { id, files } = await given(3)
      await on.store.ingestion.end((await claimed()).lease_id, { ...done, embedded_by: 'new' })
      await on.store.ingestion.end((await claimed()).lease_id, { ...done, embedded_by: 'old' })
      await on.store.ingestion.end((await claimed()).lease_id, done)
      expect(await on.store.ingestion.reembed('new')).toBe(2)
      const jobs = [await claimed(), await claimed()]
      expect(jobs).toMatchObject(files.slice(1).map((file) => ({ status: 'completed', file })))
      for (const { lease_id } of jobs) await on.store.ingestion.end(lease_id, { ...done, embedded_by: 'new' })
      expect(await on.store.ingestion.reembed('new')).toBe(0)
      expect(await statusOf(id, files[1])).toBe('completed')
    })

    test('a file or a store that is deleted is out of the queue, and its lease is lost', async () => {
      const { id, files } = await given(2)
      const { lease_id } = await claimed()
      await on.store.files.delete(files[0]?.id ?? '')
      expect(await on.store.ingestion.extend([lease_id], on.now + 5000)).toEqual([])
      expect(await on.store.ingestion.end(lease_id, done)).toBe(false)
      await on.store.vectorStores.delete(id)
      await idle()
    })
  })
}
