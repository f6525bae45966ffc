import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { SearchIndex } from '../search-index.ts'
import { discard, isBeyondRepair } from './database.ts'
import { createPool } from './pool.ts'
import { createThread, type Role } from './thread.ts'

export interface SqliteIndexOptions {
  /** A database of its own. Made if it is missing, and anew if it is broken or of another format. */
  file: string
  /** Told that all that was indexed is gone, and why. What `entries` lists from then on is to be compared again. */
  onError?(error: Error): void
  /** Threads end that had nothing to do for so long. */
  idleMs?: number
}

/**
 * The index in an SQLite file of its own, all of it off the caller's thread: one thread writes, others read and search
 * the state of the last commit meanwhile. Scores: see ranking.ts.
 */
export function createSqliteIndex({ file, onError = () => {}, idleMs = 30_000 }: SqliteIndexOptions): SearchIndex {
  const path = resolve(file)
  const thread = (role: Role) => () => createThread({ file: path, role, idleMs, onLost: onError })
  const writer = createPool(1, thread('writer'))
  const readers = createPool(Math.max(1, Math.min(2, availableParallelism())), thread('reader'))
  const writes = new Set<Promise<unknown>>()
  let isClosed = false
  /** That there is a good file to read. */
  let ready: Promise<unknown> | undefined
  let generation = 0

  const closed = () => new Error('The search index is closed.')

  /** Does the work with a good file; one that turns out to be broken is made anew for what comes next. */
  async function use<T>(work: () => Promise<T>): Promise<T> {
    if (isClosed) throw closed()
    ready ??= start()
    const using = ready
    try {
      await using
    } catch (error) {
      if (ready === using) ready = undefined
      throw error
    }
    const at = generation
    try {
      return await work()
    } catch (error) {
      if (at === generation && isBeyondRepair(error)) {
        generation++
        ready = startAnew(error)
        await ready
      }
      throw error
    }
  }

  /** Makes the file if need be. What an earlier process left in part is cleared by and by. */
  async function start() {
    await writer.call('sweep', [])
    sweepLater()
  }

  /** In steps, so that others come between. */
  async function sweep() {
    while (await writer.call<boolean>('sweep', [])) if (isClosed) return
  }

  /** What is not cleared now is cleared after the next put or start. */
  function sweepLater() {
    if (!isClosed) track(sweep()).catch(() => {})
  }

  async function startAnew(cause: unknown) {
    await Promise.all([readers.end(cause), writer.end(cause)])
    const became = discard(path)
    onError(new Error(`The search index ${path} is broken and was ${became}; it is made anew.`, { cause }))
    await writer.call('sweep', [])
  }

  function track<T>(write: Promise<T>): Promise<T> {
    const done = () => writes.delete(write)
    writes.add(write)
    write.then(done, done)
    return write
  }
  const write = <T>(method: string, ...args: unknown[]) => track(use(() => writer.call<T>(method, args)))
  const remove = (method: string, ...args: unknown[]) =>
    track(
      use(async () => {
        await writer.call(method, args)
        await sweep()
      }),
    )
  const read = <T>(method: string, args: unknown[], signal?: AbortSignal) =>
    use(() => readers.call<T>(method, args, signal))

  return {
    put: (key, chunks, vectors) => write<number>('put', key, chunks, vectors).finally(sweepLater),
    putVectors: (key, vectors) => write('putVectors', key, vectors),
    remove: (key) => remove('remove', key),
    removeStore: (store) => remove('removeStore', store),
    content: (key) => read('content', [key]),
    // A server without a file in any store need not make the index, nor start a thread.
    entries: async () => (existsSync(path) ? read('entries', []) : []),
    search: (request, signal) => unlessAborted(signal, () => read('search', [request], signal)),
    async close() {
      isClosed = true
      while (writes.size > 0) await Promise.allSettled(writes)
      await readers.end(closed())
      // The last to leave folds the log into the file, and only the writer can.
      if (existsSync(`${path}-wal`)) await writer.call('sweep', [])
      await writer.end(closed())
    },
  }
}

/** Rejects as soon as the signal is aborted, whatever becomes of the work. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  if (signal === undefined) return work()
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort)
  try {
    return await Promise.race([work(), aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
