import { turn, type WaitingLine } from '../waiting-line.ts'
import type { ChunkSizes } from './extraction/chunk.ts'
import { unparsable, unsupported } from './extraction/error.ts'
import { byteLimitsOf, formatOf } from './extraction/formats.ts'
import { type Document, startWorkerProcess, type WorkerProcess } from './extraction/worker-process.ts'

export type { ChunkSizes } from './extraction/chunk.ts'
export { ExtractionError } from './extraction/error.ts'
export type { Document } from './extraction/worker-process.ts'

export interface Extractor {
  /**
   * The text of a document in overlapping chunks, each a part of it as it stands, in order; never empty. Documents that
   * exceed the concurrency wait for each other. Rejects with an ExtractionError, or with the signal's reason, or, once
   * closed, with another Error, which says nothing of the document.
   */
  chunksOf(document: Document, sizes: ChunkSizes, signal: AbortSignal): Promise<string[]>
  /** Ends all processes at once, and resolves when they are gone. */
  close(): Promise<void>
}

export interface ExtractorOptions {
  /** Documents at once, each in a process of its own. */
  concurrency: number
  /** For one document, from its first byte to its last chunk. */
  timeoutMs: number
  /** For one process, all of it. */
  memoryMiB: number
  /** A process with nothing to do ends after so long. */
  idleMs?: number
}

/**
 * Documents come from anybody and their parsers were written by many, so they meet in processes of their own: one that
 * takes too long or too much memory, or crashes, is killed and fails its document alone. Processes start when there is
 * something to do, and are used again.
 */
export function createExtractor({ concurrency, idleMs = 10_000, ...limits }: ExtractorOptions): Extractor {
  const processes = new Set<WorkerProcess>()
  const idle: { process: WorkerProcess; timer: NodeJS.Timeout }[] = []
  const waiting: WaitingLine = []
  const closing = new AbortController()
  let busy = 0

  const take = (): WorkerProcess => {
    for (let one = idle.pop(); one; one = idle.pop()) {
      clearTimeout(one.timer)
      if (one.process.isAlive()) return one.process
      processes.delete(one.process)
    }
    const process = startWorkerProcess(limits)
    processes.add(process)
    return process
  }
  const drop = (process: WorkerProcess) => {
    process.kill()
    processes.delete(process)
  }
  const giveBack = (process: WorkerProcess) => {
    if (!process.isAlive() || closing.signal.aborted) return drop(process)
    const timer = setTimeout(() => {
      idle.splice(idle.indexOf(entry), 1)
      drop(process)
    }, idleMs)
    const entry = { process, timer: timer.unref() }
    idle.push(entry)
  }

  return {
    async chunksOf(document, sizes, signal) {
      refuseAtSight(document, limits.memoryMiB)
      const ending = AbortSignal.any([signal, closing.signal])
      if (busy < concurrency) busy++
      else await turn(waiting, ending)
      try {
        ending.throwIfAborted()
        const process = take()
        return await process.chunksOf(document, sizes, ending).finally(() => giveBack(process))
      } finally {
        // Who waits takes the place over, so that nobody else can.
        const next = waiting.shift()
        if (next) next()
        else busy--
      }
    },
    async close() {
      closing.abort(new Error('The extractor is closed.'))
      for (const { timer } of idle.splice(0)) clearTimeout(timer)
      const ended = Array.from(processes, (process) => process.ended)
      for (const process of processes) drop(process)
      await Promise.all(ended)
    },
  }
}

/** What needs no process to be known. */
function refuseAtSight({ filename, bytes }: Document, memoryMiB: number): void {
  const format = formatOf(filename)
  if (format === 'unsupported') throw unsupported()
  if (bytes === 0) throw unparsable('empty')
  if (bytes > byteLimitsOf(format, memoryMiB).file) throw unparsable('too large')
}
