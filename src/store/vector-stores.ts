import type { File } from '../schemas/files.ts'
import type { Filter } from '../schemas/filters.ts'
import type {
  Attributes,
  FileBatch,
  FileStatus,
  StaticChunking,
  VectorStore,
  VectorStoreFile,
} from '../schemas/vector-stores.ts'
import type { Page, PageQuery } from './pages.ts'

/** What is written of a store; the rest is counted from its files. */
export type StoredStore = Pick<
  VectorStore,
  'id' | 'created_at' | 'name' | 'description' | 'expires_after' | 'expires_at' | 'last_active_at' | 'metadata'
>

/** A file that is to be part of a store. */
export interface Attachment {
  file_id: string
  attributes: Attributes
  chunking_strategy: StaticChunking
}

/** Where the index keeps what a file says in a store: the `seq` numbers of the store and of the file's place in it. */
export interface EntryKey {
  store: number
  entry: number
}

/** A file of a store in the hands of one worker: `in_progress` is to be read, `completed` to be embedded anew. */
export interface Job {
  key: EntryKey
  lease_id: string
  vector_store_id: string
  status: 'in_progress' | 'completed'
  chunking_strategy: StaticChunking
  file: File
}

export type JobEnd =
  /** `embedded_by`: the embedding model of its vectors, null without. */
  | { status: 'completed'; usage_bytes: number; embedded_by: string | null }
  | { status: 'failed'; last_error: NonNullable<VectorStoreFile['last_error']> }

/** A file of a store as a search shows it. */
export interface FoundEntry {
  key: EntryKey
  file_id: string
  filename: string
  attributes: Attributes
}

/** Why nothing was attached. */
export type AttachRefusal = { refused: 'no_store' } | { refused: 'no_file'; file_id: string }

export interface VectorStoreStore {
  /** The store with its first files, all or nothing. */
  insert(store: StoredStore, files: readonly Attachment[]): Promise<AttachRefusal | undefined>
  /** `status` and counts as they are at `now` (seconds), here as below. */
  get(id: string, now: number): Promise<VectorStore | undefined>
  update(id: string, patch: Partial<Omit<StoredStore, 'id' | 'created_at'>>): Promise<boolean>
  /** With its files' places in it and its batches; the key that the index knew it by, undefined if it did not exist. */
  delete(id: string): Promise<number | undefined>
  page(query: PageQuery, now: number): Promise<Page<VectorStore>>
  /** The stores have been used: their time begins anew. */
  touch(ids: readonly string[], now: number): Promise<void>
}

export interface VectorStoreFileStore {
  /**
   * Makes files part of a store, and of a new batch if one is given; all or nothing. A file that is part of it already
   * stays as it is, except that one which failed or was cancelled begins anew.
   */
  attach(
    vector_store_id: string,
    files: readonly Attachment[],
    now: number,
    batch?: Pick<FileBatch, 'id' | 'created_at'>,
  ): Promise<AttachRefusal | undefined>
  get(vector_store_id: string, id: string): Promise<VectorStoreFile | undefined>
  update(vector_store_id: string, id: string, patch: { attributes: Attributes }): Promise<VectorStoreFile | undefined>
  /** The key of what the index has of it; undefined if it was not part of the store. */
  detach(vector_store_id: string, id: string): Promise<EntryKey | undefined>
  page(
    of: { vector_store_id: string } | { batch_id: string },
    query: PageQuery & { filter?: FileStatus },
  ): Promise<Page<VectorStoreFile>>
  key(vector_store_id: string, id: string): Promise<EntryKey | undefined>
  /** The places of a file in all stores. */
  keysOf(file_id: string): Promise<EntryKey[]>

  /** The stores' numbers in the index, in the order of the ids; unknown ids are left out. */
  storeKeys(ids: readonly string[]): Promise<number[]>
  /** The completed files of these stores whose attributes pass the filter. */
  matching(stores: readonly number[], filter: Filter): Promise<number[]>
  /** Those of the entries that are completed, in no order. */
  found(entries: readonly number[]): Promise<FoundEntry[]>
  /** Those of the entries that are still part of a store. */
  known(entries: readonly number[]): Promise<number[]>
  /** Every completed entry: what the index should have. */
  completed(): Promise<EntryKey[]>
}

export interface FileBatchStore {
  get(vector_store_id: string, id: string): Promise<FileBatch | undefined>
  /** Cancels those of its files that are in progress; their keys. Undefined if there is no such batch. */
  cancel(vector_store_id: string, id: string): Promise<EntryKey[] | undefined>
}

/** The queue of files that are to be read, or embedded anew. */
export interface IngestionStore {
  /** Takes the file that has waited longest, until the lease ends at `until` (ms). */
  claim(until: number): Promise<Job | undefined>
  /** Prolongs leases; answers those still held: the others are cancelled, removed or somebody else's. */
  extend(lease_ids: readonly string[], until: number): Promise<string[]>
  release(lease_id: string): Promise<void>
  /** False, and nothing is written, if the lease is not held any more. */
  end(lease_id: string, end: JobEnd): Promise<boolean>
  /** Puts a file off until `at` (ms). */
  postpone(lease_id: string, at: number): Promise<void>
  /** Puts completed entries that the index does not have back to `in_progress`. */
  redo(entries: readonly number[]): Promise<void>
  /** Puts completed entries that another model embedded, or none, into the queue; how many there are. */
  reembed(model: string): Promise<number>
}
