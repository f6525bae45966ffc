import { type ChildProcess, fork } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChunkSizes } from './chunk.ts'
import { ExtractionError, internalError, unparsable } from './error.ts'
import type { Answer, Order } from './protocol.ts'

/** A document, or what comes to it. */
export interface Document {
  filename: string
  /** No more than so many may come. */
  bytes: number
  /** The bytes; undefined if there are none any more. */
  open(): Promise<AsyncIterable<Uint8Array> | undefined>
}

export interface WorkerProcess {
  /** One at a time. When it rejects for another reason than the document, the process is gone. */
  chunksOf(document: Document, sizes: ChunkSizes, signal: AbortSignal): Promise<string[]>
  isAlive(): boolean
  kill(): void
  /** Resolves when the system has let it go. */
  ended: Promise<unknown>
}

export interface WorkerProcessOptions {
  timeoutMs: number
  memoryMiB: number
}

interface Task {
  job: number
  chunks: string[]
  resolve(chunks: string[]): void
  reject(error: unknown): void
}

/** What is left for growing by within the time in which the watchdog looks again. */
const headroom = 0.875

/** All that it may read: its own code, packages where they really are. It may write nothing and start nothing. */
function readablePaths(): string[] {
  const pathOf = (name: string) => fileURLToPath(new URL(`../../../${name}`, import.meta.url))
  const packages = pathOf('node_modules')
  const folders = [pathOf('src/retrieval/extraction'), packages, realpathSync(packages)]
  return [...folders.map((folder) => join(folder, '*')), pathOf('package.json')]
}

/** A process that parses documents. It is told none of our environment, and holds up nobody's end while it is idle. */
export function startWorkerProcess({ timeoutMs, memoryMiB }: WorkerProcessOptions): WorkerProcess {
  const child = fork(new URL('./worker.ts', import.meta.url), [String(Math.floor(memoryMiB * headroom))], {
    env: {},
    execArgv: [
      '--permission',
      '--allow-worker',
      ...readablePaths().map((path) => `--allow-fs-read=${path}`),
      `--max-old-space-size=${Math.floor(memoryMiB * 0.75)}`,
      '--max-semi-space-size=8',
    ],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  let isReady = false
  let isAlive = true
  let job = 0
  let task: Task | undefined
  const ready = Promise.withResolvers<void>()
  ready.promise.catch(() => {})

  const end = (error: unknown) => {
    isAlive = false
    child.kill('SIGKILL')
    ready.reject(error)
    task?.reject(error)
  }
  child.on('message', (answer: Answer) => {
    if (answer.type === 'ready') {
      isReady = true
      return ready.resolve()
    }
    if (answer.job !== task?.job) return
    if (answer.type === 'chunks') {
      for (const chunk of answer.chunks) task.chunks.push(chunk)
      return
    }
    if (answer.type === 'done') task.resolve(task.chunks)
    else task.reject(new ExtractionError(answer.code, answer.message))
    // What one document left behind must not count against the next.
    if (answer.resident > (memoryMiB / 2) * 1024 * 1024) end(internalError())
  })
  child.on('error', (cause) => end(internalError({ cause })))
  // A signal that we did not send is the watchdog's, V8's or the system's: each means that there was no more memory.
  child.on('exit', (code, signal) => {
    const cause = new Error(`The process ended with ${signal ?? code}.`)
    end(isReady ? unparsable(signal ? 'too large' : undefined, { cause }) : internalError({ cause }))
  })
  setReferenced(child, false)

  return {
    ended: new Promise((resolve) => child.once('exit', resolve).once('error', resolve)),
    isAlive: () => isAlive,
    kill: () => {
      // Whoever waits for it to be gone must not end before.
      child.ref()
      end(internalError())
    },
    async chunksOf(document, sizes, signal) {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<string[]>()
      const current: Task = { job: ++job, chunks: [], resolve, reject }
      task = current
      setReferenced(child, true)
      const timer = setTimeout(() => end(unparsable('too large')), timeoutMs)
      const abort = () => end(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      try {
        const send = (order: Order) => sendTo(child, order)
        const sending = ready.promise.then(async () => {
          const { filename, bytes } = document
          await send({ type: 'job', job: current.job, filename, bytes, sizes, memoryMiB })
          await sendBytes(document, current.job, send, promise)
        })
        sending.catch((cause) => end(cause instanceof ExtractionError ? cause : internalError({ cause })))
        return await promise
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
        setReferenced(child, false)
        task = undefined
      }
    },
  }
}

/** Until all bytes are sent, or there is an answer without them. */
async function sendBytes(
  document: Document,
  job: number,
  send: (order: Order) => Promise<void>,
  answer: Promise<unknown>,
): Promise<void> {
  let isAnswered = false
  const done = () => {
    isAnswered = true
  }
  answer.then(done, done)
  const source = await document.open()
  if (!source) throw internalError()
  for await (const bytes of source) {
    if (isAnswered) return
    await send({ type: 'bytes', job, bytes })
  }
  if (!isAnswered) await send({ type: 'end', job })
}

/** Resolves when the message is on its way, which is how a process that is busy slows us down. */
const sendTo = (child: ChildProcess, order: Order) =>
  new Promise<void>((resolve) => {
    // An error means that the process has ended, of which 'exit' tells more.
    child.send(order, () => resolve())
  })

function setReferenced(child: ChildProcess, isReferenced: boolean): void {
  const method = isReferenced ? 'ref' : 'unref'
  child[method]()
  child.channel?.[method]()
}
