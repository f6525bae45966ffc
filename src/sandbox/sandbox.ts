/** A file under /mnt/data. */
export interface SandboxFile {
  /** Its path there, as `data.csv` or `out/data.csv`. */
  name: string
  /** A second name, by a link. */
  alias?: string
  /** No more than so many may come. */
  bytes: number
  /** The bytes; undefined if there are none any more. */
  open(): Promise<AsyncIterable<Uint8Array> | undefined>
}

export interface ExecuteRequest {
  /** State lives per session: one thread of conversation. */
  session: string
  code: string
  /** Placed under /mnt/data before the code runs, if they are not there yet (by name). */
  files: readonly SandboxFile[]
  /** Ends the call, and with it the session's process: there is no other sure way. */
  signal: AbortSignal
  /** Instead of the limit of all calls. */
  timeoutMs?: number
}

export type Output = { type: 'logs'; logs: string } | { type: 'image'; name: string; bytes: Uint8Array }

/** Why a call ended before its end. After all but some cases of `output` the session's state is lost. */
export type Ended = 'timeout' | 'memory' | 'output' | 'crashed'

export interface Execution {
  /** stdout, stderr and tracebacks as logs, in order; one image for each shown figure. A bare last expression shows nothing here. */
  outputs: Output[]
  /** repr of a bare last expression, for the model. */
  value: string | undefined
  /** Files that the code wrote or changed under /mnt/data. */
  written: { name: string; bytes: Uint8Array }[]
  /** Names of files that were to be placed and could not be: gone, too large, or with a name that is none. */
  absent: string[]
  /** Names of files that were written but are more than is read. */
  omitted: string[]
  /** No variables and files of earlier calls are there: it is the session's first call, or its process was ended since. */
  isFresh: boolean
  ended: Ended | undefined
}

/** Runs code that nobody trusts. What it wrote, printed and drew may be anything, within the limits. */
export interface Sandbox {
  readonly driver: 'pyodide' | 'bubblewrap'
  /** One call at a time per session, in the order of asking; sessions run in parallel. Rejects with the signal's reason. */
  execute(request: ExecuteRequest): Promise<Execution>
  /** Ends its process, also in the middle of a call. A session that is not there is no error. */
  endSession(session: string): Promise<void>
  /** Ends all; nothing is left running or on disk. */
  close(): Promise<void>
}

export interface SandboxLimits {
  /** For one call, from when its process is ready to its last output. */
  timeoutMs: number
  /** For one session, all of it. */
  memoryMiB: number
  /** For the logs of one call. */
  logBytes: number
  /** For the images and written files of one call together, and for the placed files of one call. */
  fileBytes: number
  /** A session without calls ends after so long. */
  idleMs: number
  /** Alive at once; the longest unused makes room for a new one. */
  sessions: number
}

export const defaultLimits: SandboxLimits = {
  timeoutMs: 60_000,
  memoryMiB: 768,
  logBytes: 1_000_000,
  fileBytes: 50_000_000,
  idleMs: 3_600_000,
  sessions: 20,
}

/** What the interpreter itself keeps to, for nothing but what the model reads. */
export const interpreterLimits = { valueCharacters: 10_000, images: 20 }
