import type { ChunkSizes } from './chunk.ts'
import type { ExtractionErrorCode } from './error.ts'

/** From the server to the process that extracts: a job, its bytes, and that these are all. One job at a time. */
export type Order =
  | { type: 'job'; job: number; filename: string; bytes: number; sizes: ChunkSizes; memoryMiB: number }
  | { type: 'bytes'; job: number; bytes: Uint8Array }
  | { type: 'end'; job: number }

/** The other way: that it listens; chunks, and at last how the job ended. An answer may come before all bytes went. */
export type Answer = { type: 'ready' } | { type: 'chunks'; job: number; chunks: string[] } | End

interface Ended {
  job: number
  /** Bytes of memory that the process has. */
  resident: number
}

type End = (Ended & { type: 'done' }) | (Ended & { type: 'failed'; code: ExtractionErrorCode; message: string })
