import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Blobs } from './blobs.ts'
import type { Clock } from './clock.ts'
import type { Embedder } from './completer/embeddings.ts'
import type { Config } from './config.ts'
import { createExtractor } from './retrieval/extract.ts'
import { createIngestor } from './retrieval/ingest.ts'
import { createRetriever } from './retrieval/retriever.ts'
import { createSqliteIndex } from './retrieval/sqlite-index/sqlite-index.ts'
import { createEmbed } from './retrieval/vectors.ts'
import type { Store } from './store/store.ts'

interface Options {
  config: Config
  logger: Logger
  store: Store
  blobs: Blobs
  /** Absent: no embedding model is configured. */
  embedder: (() => Promise<Embedder>) | undefined
  clock: Clock
  leaseMs: number
  beatMs: number
}

/** One file may take this long to read, and its process this much memory. */
const limits = { timeoutMs: 30_000, memoryMiB: 512 }

/** What reads files and finds in them. Nothing of it is started. */
export function createRetrievalServices({ config, logger, store, blobs, embedder, clock, leaseMs, beatMs }: Options) {
  const concurrency = config.INGESTION_CONCURRENCY
  const index = createSqliteIndex({
    file: join(config.DATA_DIR, 'search.db'),
    onError: (error) => {
      logger.error(error, 'the search index is lost; it is made anew from the files')
      ingestor.reconcile().catch((failure) => logger.error(failure, 'the search index could not be made anew'))
    },
  })
  const extractor = createExtractor({ concurrency, ...limits })
  const embed =
    embedder &&
    createEmbed(embedder, async (model) => {
      const count = await store.ingestion.reembed(model)
      if (count > 0) logger.warn(`${count} files of vector stores have no vectors of ${model} yet and get them now`)
      ingestor.wake()
    })
  const ingestor = createIngestor({
    ...{ store, blobs, index, extractor, embed, clock, concurrency, leaseMs, beatMs },
    onError: (error, file_id) => logger.error({ err: error, file_id }, 'a file could not be ingested'),
  })
  const retriever = createRetriever({
    ...{ store, index, embed },
    onError: (error) => logger.warn(error, 'the query could not be embedded, so its words alone were searched'),
  })
  return {
    index,
    ingestor,
    retriever,
    async close() {
      await ingestor.stop()
      await Promise.all([extractor.close(), index.close()])
    },
  }
}
