import { type Clock, seconds } from '../clock.ts'
import { ApiError, invalidRequest, notFound } from '../errors.ts'
import { newFileBatchId } from '../ids.ts'
import type { Ingestor } from '../retrieval/ingest.ts'
import type { Passage, Retriever } from '../retrieval/retriever.ts'
import { keywordsOf } from '../retrieval/rewrite.ts'
import type { SearchIndex } from '../retrieval/search-index.ts'
import { type Filter, sizeOf } from '../schemas/filters.ts'
import type {
  CreateFileBatch,
  CreateVectorStore,
  CreateVectorStoreFile,
  FileBatch,
  ModifyVectorStore,
  SearchVectorStore,
  VectorStore,
  VectorStoreFile,
} from '../schemas/vector-stores.ts'
import type { Store } from '../store/store.ts'
import type { Attachment } from '../store/vector-stores.ts'
import { attachmentOf, attachmentsOf, expiryOf, newVectorStore, refusalError } from './new-vector-store.ts'

/** Every method throws an ApiError if what it names does not exist. */
export interface VectorStoreService {
  create(body: CreateVectorStore): Promise<VectorStore>
  get(id: string): Promise<VectorStore>
  modify(id: string, body: ModifyVectorStore): Promise<VectorStore>
  /** The files themselves stay. */
  delete(id: string): Promise<void>
  /** Throws an ApiError if the store has expired. */
  search(id: string, body: SearchVectorStore): Promise<{ queries: string[]; passages: Passage[] }>

  attach(id: string, body: CreateVectorStoreFile): Promise<VectorStoreFile>
  file(id: string, file_id: string): Promise<VectorStoreFile>
  detach(id: string, file_id: string): Promise<void>
  /** The text of a file, piece by piece; empty while it is not completed. */
  content(id: string, file_id: string): Promise<string[]>

  createBatch(id: string, body: CreateFileBatch): Promise<FileBatch>
  batch(id: string, batch_id: string): Promise<FileBatch>
  cancelBatch(id: string, batch_id: string): Promise<FileBatch>
}

export interface VectorStoreServiceOptions {
  store: Store
  index: SearchIndex
  ingestor: Ingestor
  retriever: Retriever
  clock: Clock
}

export function createVectorStoreService(options: VectorStoreServiceOptions): VectorStoreService {
  const { store, index, ingestor, retriever, clock } = options
  const now = () => seconds(clock)

  async function existing(id: string): Promise<VectorStore> {
    const found = await store.vectorStores.get(id, now())
    if (!found) throw notFound('vector store', id)
    return found
  }

  /** A store in which something can be done. */
  async function live(id: string): Promise<VectorStore> {
    const found = await existing(id)
    if (found.status === 'expired') throw invalidRequest(`Vector store ${id} is expired.`)
    return found
  }

  async function existingFile(id: string, file_id: string): Promise<VectorStoreFile> {
    const file = await store.vectorStoreFiles.get(id, file_id)
    if (file) return file
    await existing(id)
    throw noFile(id, file_id)
  }

  async function existingBatch(id: string, batch_id: string): Promise<FileBatch> {
    const batch = await store.fileBatches.get(id, batch_id)
    if (batch) return batch
    await existing(id)
    throw notFound('file batch', batch_id)
  }

  async function attach(id: string, list: Attachment[], batch?: Pick<FileBatch, 'id' | 'created_at'>) {
    await live(id)
    const refusal = await store.vectorStoreFiles.attach(id, list, now(), batch)
    if (refusal) throw refusalError(refusal, id)
    ingestor.wake()
  }

  return {
    async create(body) {
      const stored = newVectorStore(body, now())
      const refusal = await store.vectorStores.insert(stored, attachmentsOf(body))
      if (refusal) throw refusalError(refusal, stored.id)
      ingestor.wake()
      return existing(stored.id)
    },

    get: existing,

    async modify(id, { name, expires_after, metadata }) {
      const before = await existing(id)
      await store.vectorStores.update(id, {
        ...(name !== undefined && { name }),
        ...(metadata !== undefined && { metadata: metadata ?? {} }),
        ...(expires_after !== undefined && {
          expires_after,
          expires_at: expiryOf(expires_after, before.last_active_at ?? before.created_at),
        }),
      })
      return existing(id)
    },

    async delete(id) {
      const number = await store.vectorStores.delete(id)
      if (number === undefined) throw notFound('vector store', id)
      await ingestor.forgetStore(number)
    },

    async search(id, { query, rewrite_query, max_num_results, filters, ranking_options }) {
      await live(id)
      if (filters) checkSize(filters)
      const asked = typeof query === 'string' ? [query] : query
      const queries = rewrite_query ? asked.map(keywordsOf) : asked
      await store.vectorStores.touch([id], now())
      const passages = await retriever.search(
        {
          vector_store_ids: [id],
          queries,
          limit: max_num_results ?? 10,
          score_threshold: ranking_options?.score_threshold ?? 0,
          filter: filters ?? undefined,
        },
        AbortSignal.timeout(searchMs),
      )
      return { queries, passages }
    },

    async attach(id, body) {
      await attach(id, [attachmentOf(body)])
      return existingFile(id, body.file_id)
    },

    file: existingFile,

    async detach(id, file_id) {
      await existing(id)
      const key = await store.vectorStoreFiles.detach(id, file_id)
      if (!key) throw noFile(id, file_id)
      await store.vectorStores.touch([id], now())
      await ingestor.forget([key])
    },

    async content(id, file_id) {
      const { status } = await existingFile(id, file_id)
      const key = await store.vectorStoreFiles.key(id, file_id)
      return (status === 'completed' && key && (await index.content(key))) || []
    },

    async createBatch(id, body) {
      await existing(id)
      const batch = { id: newFileBatchId(), created_at: now() }
      await attach(id, attachmentsOfBatch(body), batch)
      return existingBatch(id, batch.id)
    },

    batch: existingBatch,

    async cancelBatch(id, batch_id) {
      await existingBatch(id, batch_id)
      await ingestor.cancel((await store.fileBatches.cancel(id, batch_id)) ?? [])
      return existingBatch(id, batch_id)
    },
  }
}

/** A search is a matter of milliseconds, its embedding of seconds. */
const searchMs = 30_000

const maxComparisons = 1000

function checkSize(filters: Filter) {
  const size = sizeOf(filters)
  if (size <= maxComparisons) return
  const rule = `Expected at most ${maxComparisons} comparisons, but got ${size} instead`
  throw invalidRequest(`Invalid 'filters': too many filters. ${rule}.`, { param: 'filters', code: 'invalid_value' })
}

const noFile = (id: string, file_id: string) =>
  new ApiError(404, `No file found with id '${file_id}' in vector store '${id}'.`)

function attachmentsOfBatch({ file_ids, files, ...settings }: CreateFileBatch): Attachment[] {
  if (file_ids && files) {
    throw invalidRequest("Only one of 'file_ids' and 'files' may be given.", { param: 'files', code: 'invalid_value' })
  }
  if (file_ids) return [...new Set(file_ids)].map((file_id) => attachmentOf({ file_id, ...settings }))
  if (files) return files.map((file, index) => attachmentOf(file, `files[${index}].`))
  throw invalidRequest("Missing required parameter: 'file_ids'.", {
    param: 'file_ids',
    code: 'missing_required_parameter',
  })
}
