import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export type Role = 'writer' | 'reader'
export type Call = { method: string; args: readonly unknown[] } | { end: true }
export type Answer =
  | { value: unknown }
  | { error: { message: string; stack?: string; code?: string } }
  | { lost: { message: string; cause: string } }

interface Options {
  file: string
  role: Role
  idleMs: number
  onLost(error: Error): void
}

/** Statements and little else: large results are SQLite's own memory. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 }

/**
 * A worker thread that is started by the first call, and ended when there was none for `idleMs`: a thread with its
 * connection has some ten megabytes. One call at a time.
 */
export function createThread({ file, role, idleMs, onLost }: Options) {
  let worker: Worker | undefined
  let ending: Promise<unknown> = Promise.resolve()
  let idle: NodeJS.Timeout | undefined
  let settle: { resolve(value: unknown): void; reject(error: unknown): void } | undefined

  function start(): Worker {
    // The main thread's --import is for what the main thread loads.
    const started = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { file, role },
      execArgv: [],
      resourceLimits,
      name: `search ${role}`,
    })
    started.on('message', (answer: Answer) => {
      if ('lost' in answer) onLost(new Error(answer.lost.message, { cause: answer.lost.cause }))
      else if ('error' in answer) settle?.reject(Object.assign(new Error(answer.error.message), answer.error))
      else settle?.resolve(answer.value)
    })
    let isGone = false
    // A failure is followed by the exit, when the next call may have begun already.
    const gone = (error: Error) => {
      if (isGone) return
      isGone = true
      if (worker === started) worker = undefined
      settle?.reject(error)
    }
    started.on('error', gone)
    started.on('exit', () => gone(new Error(`The search index's ${role} thread has ended.`)))
    return started
  }

  async function end() {
    clearTimeout(idle)
    if (worker) {
      const leaving = worker
      worker = undefined
      leaving.ref()
      ending = once(leaving, 'exit')
      leaving.postMessage({ end: true } satisfies Call)
    }
    await ending
  }

  return {
    async call<T>(method: string, args: readonly unknown[]): Promise<T> {
      clearTimeout(idle)
      // The one before must have left the file.
      await ending
      worker ??= start()
      worker.ref()
      try {
        return await new Promise<T>((resolve, reject) => {
          settle = { resolve: resolve as (value: unknown) => void, reject }
          worker?.postMessage({ method, args } satisfies Call)
        })
      } finally {
        settle = undefined
        // Nobody waits for a thread that does nothing.
        worker?.unref()
        clearTimeout(idle)
        idle = setTimeout(end, idleMs).unref()
      }
    },
    /** Ends the thread after the call under way. */
    end,
  }
}

export type Thread = ReturnType<typeof createThread>
