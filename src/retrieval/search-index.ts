import type { EntryKey } from '../store/vector-stores.ts'

/*
 * The index of what the files of vector stores say. It is derived: the main database is the truth about which file is in
 * which store, and what the index has beyond that is harmless, is found by `entries`, and may be removed at any time.
 */

export interface IndexedEntry extends EntryKey {
  /** The embedding model of its vectors; null: it has none. */
  model: string | null
}

/** One vector for each chunk, in the order of the chunks, all of one length. */
export interface Vectors {
  model: string
  vectors: readonly Float32Array[]
}

export interface SearchQuery {
  /** Any text: it has no syntax. */
  text: string
  vector?: Float32Array
}

export interface SearchRequest {
  stores: readonly number[]
  /** What any of them finds is found. */
  queries: readonly SearchQuery[]
  /** The embedding model of the queries' vectors. Only vectors of that model and length are compared. */
  model?: string
  /** Only these entries of the stores; absent: all. */
  entries?: readonly number[]
  limit: number
}

export interface Hit extends EntryKey {
  /** Counts the entry's chunks from 0. */
  position: number
  text: string
  /** 0..1, the same measure for every query. */
  score: number
}

export interface SearchIndex {
  /**
   * Replaces all that is indexed of the entry. It is kept when this resolves, and never found in part: a put that was
   * broken off leaves an entry that is not indexed. Resolves with the bytes of the text and the vectors.
   */
  put(key: EntryKey, chunks: readonly string[], vectors?: Vectors): Promise<number>
  /**
   * Adds or replaces the vectors of an indexed entry. False if it is not, or no longer, indexed with as many chunks.
   */
  putVectors(key: EntryKey, vectors: Vectors): Promise<boolean>
  /** The chunks in their order; undefined if the entry is not indexed. */
  content(key: EntryKey): Promise<string[] | undefined>
  /** Nothing of its words stays in the index. */
  remove(key: EntryKey): Promise<void>
  removeStore(store: number): Promise<void>
  entries(): Promise<IndexedEntry[]>
  /** Best first. Rejects with the signal's reason when it is aborted. */
  search(request: SearchRequest, signal?: AbortSignal): Promise<Hit[]>
  /** Waits for what is being written. Calls after it, and searches still waiting, are rejected. */
  close(): Promise<void>
}
