import type { Filter } from '../schemas/filters.ts'
import type { Store } from '../store/store.ts'
import type { FoundEntry } from '../store/vector-stores.ts'
import type { Hit, SearchIndex } from './search-index.ts'
import type { Embed } from './vectors.ts'

export interface Retrieval {
  vector_store_ids: readonly string[]
  queries: readonly string[]
  limit: number
  /** What scores less is left out; 0..1. */
  score_threshold: number
  filter?: Filter | undefined
}

export interface Passage extends Omit<FoundEntry, 'key'> {
  text: string
  score: number
}

export interface Retriever {
  /** The best passages of the stores, best first; stores that do not exist have none. Rejects with the signal's reason. */
  search(retrieval: Retrieval, signal: AbortSignal): Promise<Passage[]>
}

export interface RetrieverOptions {
  store: Store
  index: SearchIndex
  embed?: Embed | undefined
  /** Hears of searches that had to do without vectors. */
  onError(error: unknown): void
}

export function createRetriever({ store, index, embed, onError }: RetrieverOptions): Retriever {
  /** Words alone still find much: a search need not fail with the embedding model. */
  async function vectorsOf(queries: readonly string[], signal: AbortSignal) {
    try {
      return await embed?.(queries, signal)
    } catch (error) {
      signal.throwIfAborted()
      onError(error)
      return undefined
    }
  }

  return {
    async search({ vector_store_ids, queries, limit, score_threshold, filter }, signal) {
      const { vectorStoreFiles } = store
      const stores = await vectorStoreFiles.storeKeys(vector_store_ids)
      const entries = filter && (await vectorStoreFiles.matching(stores, filter))
      if (stores.length === 0 || entries?.length === 0) return []
      const named = await vectorsOf(queries, signal)
      const hits = await index.search(
        {
          stores,
          queries: queries.map((text, at) => ({ text, ...withVector(named?.vectors[at]) })),
          ...(named && { model: named.model }),
          ...(entries && { entries }),
          limit,
        },
        signal,
      )
      const good = hits.filter(({ score }) => score >= score_threshold)
      const found = await vectorStoreFiles.found(good.map(({ entry }) => entry))
      return passagesOf(good, found)
    },
  }
}

const withVector = (vector: Float32Array | undefined) => (vector ? { vector } : {})

/** What the index still has of files that are gone is no passage. */
function passagesOf(hits: readonly Hit[], found: readonly FoundEntry[]): Passage[] {
  const files = new Map(found.map(({ key, ...file }) => [key.entry, file]))
  return hits.flatMap(({ entry, text, score }) => {
    const file = files.get(entry)
    return file ? [{ ...file, text, score }] : []
  })
}
