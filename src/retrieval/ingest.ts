import type { Blobs } from '../blobs.ts'
import type { Clock } from '../clock.ts'
import { CompletionError } from '../completer/completer.ts'
import { createPump } from '../pump.ts'
import type { Store } from '../store/store.ts'
import type { EntryKey, Job, JobEnd } from '../store/vector-stores.ts'
import { ExtractionError, type Extractor } from './extract.ts'
import type { SearchIndex } from './search-index.ts'
import type { Embed } from './vectors.ts'

export interface IngestorOptions {
  store: Store
  blobs: Blobs
  index: SearchIndex
  extractor: Extractor
  /** Absent: what is found is found by its words alone. */
  embed?: Embed | undefined
  clock: Clock
  /** Files that are read at the same time. */
  concurrency: number
  /** How long a process that has died keeps its files from others. */
  leaseMs: number
  beatMs: number
  /** Hears of failures that are our own. */
  onError(error: unknown, file_id?: string): void
}

/** Reads the files of vector stores into the index. The queue is in the store, so a restart goes on with it. */
export interface Ingestor {
  start(): void
  wake(): void
  /** Reads one file of the queue; false if there was none. */
  tick(): Promise<boolean>
  /** Ends the work on files that were cancelled. */
  cancel(keys: readonly EntryKey[]): Promise<void>
  /**
   * Ends the work on files that have left their stores; nothing of them is found from then on. Their words leave the
   * disk by and by, and after a restart if need be: see `erased`.
   */
  forget(keys: readonly EntryKey[]): Promise<void>
  forgetStore(store: number): Promise<void>
  /** Resolves when the index has nothing left of what was forgotten. */
  erased(): Promise<void>
  /** Resolves when no file of the store is in progress, or when `signal` aborts. `aside` is given what there is to wait for. */
  settled(vector_store_id: string, signal: AbortSignal, aside?: (news: Promise<void>) => Promise<void>): Promise<void>
  /** Brings the index in line with the store: drops what is gone, and reads again what the index has lost. */
  reconcile(): Promise<void>
  /** What is in hand goes back to the queue. */
  stop(): Promise<void>
}

/** An embedding that failed is tried again after this. */
const postponedMs = 300_000

interface Hand {
  job: Job
  controller: AbortController
  ended: Promise<unknown>
}

export function createIngestor(options: IngestorOptions): Ingestor {
  const { store, blobs, index, extractor, embed, clock, concurrency, leaseMs, beatMs, onError } = options
  const hands = new Set<Hand>()
  const waiting = new Set<() => void>()
  const erasing = new Set<Promise<void>>()
  const pump = createPump({ concurrency, claim, onError })
  let timer: NodeJS.Timeout | undefined
  let extendedAt = 0

  async function claim() {
    const job = await store.ingestion.claim(clock() + leaseMs)
    if (!job) return undefined
    const controller = new AbortController()
    const hand: Hand = { job, controller, ended: Promise.resolve() }
    // A file that was cancelled and attached again may still be in hand.
    const before = [...hands].find((other) => other.job.key.entry === job.key.entry)?.ended
    hand.ended = Promise.resolve(before)
      .then(() => work(job, controller.signal))
      .catch((error) => onError(error, job.file.id))
      .finally(() => {
        hands.delete(hand)
        for (const look of waiting) look()
      })
    hands.add(hand)
    return hand
  }

  async function work(job: Job, signal: AbortSignal) {
    let end: JobEnd
    try {
      end = job.status === 'completed' ? await embedAnew(job, signal) : await read(job, signal)
    } catch (error) {
      // Whoever interrupts the work has said in the store what becomes of the file.
      if (signal.aborted) return
      // It is found by its words meanwhile, unless it had to be read again and could not be.
      if (job.status === 'completed' && !(error instanceof ExtractionError)) {
        onError(error, job.file.id)
        return store.ingestion.postpone(job.lease_id, clock() + postponedMs)
      }
      end = { status: 'failed', last_error: lastErrorOf(error) }
      if (end.last_error.code === 'server_error') onError(error, job.file.id)
    }
    const isKept = await store.ingestion.end(job.lease_id, end)
    if (!isKept && end.status === 'completed') erase(index.remove(job.key))
  }

  async function read({ key, file, chunking_strategy }: Job, signal: AbortSignal): Promise<JobEnd> {
    const { id, filename, bytes } = file
    const document = { filename, bytes, open: () => blobs.get(id) }
    const chunks = await extractor.chunksOf(document, chunking_strategy.static, signal)
    const vectors = await embed?.(chunks, signal)
    signal.throwIfAborted()
    const usage_bytes = await index.put(key, chunks, vectors)
    return { status: 'completed', usage_bytes, embedded_by: vectors?.model ?? null }
  }

  async function embedAnew(job: Job, signal: AbortSignal): Promise<JobEnd> {
    const chunks = await index.content(job.key)
    if (!chunks || !embed) return read(job, signal)
    const vectors = await embed(chunks, signal)
    if (!(await index.putVectors(job.key, vectors))) return read(job, signal)
    const usage_bytes = bytesOf(chunks) + bytesOf(vectors.vectors)
    return { status: 'completed', usage_bytes, embedded_by: vectors.model }
  }

  async function extendLeases() {
    if (hands.size === 0 || clock() - extendedAt < leaseMs / 3) return
    extendedAt = clock()
    const mine = [...hands]
    const ids = mine.map(({ job }) => job.lease_id)
    const held = new Set(await store.ingestion.extend(ids, clock() + leaseMs))
    for (const { job, controller } of mine) if (!held.has(job.lease_id)) controller.abort('lease_lost')
  }

  async function beat() {
    await extendLeases()
    pump.wake()
  }

  /** Resolves when nobody works on these any more. */
  async function interrupt(isMeant: (key: EntryKey) => boolean) {
    const meant = [...hands].filter(({ job }) => isMeant(job.key))
    for (const { controller } of meant) controller.abort('cancelled')
    await Promise.all(meant.map(({ ended }) => ended))
    for (const look of waiting) look()
  }

  /** Nobody waits for it: that takes some hundredths of a second for each chunk. */
  function erase(removal: Promise<void>) {
    const erased = removal.catch((error) => onError(error)).finally(() => erasing.delete(erased))
    erasing.add(erased)
  }

  function interruptAll(keys: readonly EntryKey[]) {
    const entries = new Set(keys.map(({ entry }) => entry))
    return interrupt(({ entry }) => entries.has(entry))
  }

  return {
    start() {
      timer = setInterval(() => void beat().catch(onError), beatMs)
      pump.start()
    },
    wake: pump.wake,
    tick: pump.tick,

    cancel: interruptAll,

    async forget(keys) {
      await interruptAll(keys)
      for (const key of keys) erase(index.remove(key))
    },

    async forgetStore(number) {
      await interrupt((key) => key.store === number)
      erase(index.removeStore(number))
    },
    async erased() {
      while (erasing.size > 0) await Promise.all(erasing)
    },

    async settled(vector_store_id, signal, aside = (news) => news) {
      for (;;) {
        // Listening comes before looking, so that no end falls between.
        const { promise: news, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
        try {
          const vectorStore = await store.vectorStores.get(vector_store_id, 0)
          if (signal.aborted || !vectorStore || vectorStore.file_counts.in_progress === 0) return
          await aside(news)
        } finally {
          waiting.delete(resolve)
        }
      }
    },

    async reconcile() {
      const completed = await store.vectorStoreFiles.completed()
      const indexed = await index.entries()
      const known = new Set(await store.vectorStoreFiles.known(indexed.map(({ entry }) => entry)))
      for (const key of indexed) if (!known.has(key.entry)) erase(index.remove(key))
      const found = new Set(indexed.map(({ entry }) => entry))
      await store.ingestion.redo(completed.map(({ entry }) => entry).filter((entry) => !found.has(entry)))
      pump.wake()
      // The answer tells the model, and with it which files another one has embedded.
      if (completed.length > 0) await embed?.(['a'], AbortSignal.timeout(60_000)).catch((error) => onError(error))
    },

    async stop() {
      clearInterval(timer)
      await pump.stop()
      const given = [...hands]
      for (const { controller } of given) controller.abort('shutdown')
      await Promise.all(given.map(({ ended }) => ended))
      for (const { job } of given) await store.ingestion.release(job.lease_id)
    },
  }
}

const bytesOf = (list: readonly (string | Float32Array)[]) =>
  list.reduce((sum, one) => sum + (typeof one === 'string' ? Buffer.byteLength(one) : one.byteLength), 0)

function lastErrorOf(error: unknown) {
  if (error instanceof ExtractionError) return { code: error.code, message: error.message }
  // What the backend said helps whoever set it up.
  if (error instanceof CompletionError) return { code: 'server_error' as const, message: error.message }
  return { code: 'server_error' as const, message: 'An internal error occurred.' }
}
