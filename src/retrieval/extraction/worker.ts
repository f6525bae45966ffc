import { constants, setPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import { chunksOf } from './chunk.ts'
import { textOf } from './document-text.ts'
import { ExtractionError, internalError } from './error.ts'
import { byteLimitsOf, formatOf } from './formats.ts'
import type { Answer, Order } from './protocol.ts'

/*
 * The process in which documents are parsed: whatever a document does to a parser, it does it here. It is killed when it
 * takes too long, kills itself when it grows too large (watchdog.ts), and ends with the server.
 */

type Job = Extract<Order, { type: 'job' }>

const batchCharacters = 256 * 1024

let job: Job | undefined
let received = new Uint8Array()
let size = 0

/** Resolves when the server has room for more. */
const answer = (message: Answer) =>
  new Promise<void>((resolve) => process.send?.(message, undefined, {}, () => resolve()))

function fail(failed: Job, error: unknown): void {
  if (job === failed) job = undefined
  received = new Uint8Array()
  const { code, message } = error instanceof ExtractionError ? error : internalError()
  void answer({ type: 'failed', job: failed.job, code, message, resident: process.memoryUsage.rss() })
}

function receive(order: Order): void {
  if (order.type === 'job') {
    job = order
    received = new Uint8Array(order.bytes)
    size = 0
    return
  }
  // Bytes may be on their way when their job has failed.
  if (order.job !== job?.job) return
  if (order.type === 'end') return void work(job).catch(fail.bind(undefined, job))
  if (size + order.bytes.length > received.length) {
    fail(job, internalError())
  } else {
    received.set(order.bytes, size)
    size += order.bytes.length
  }
}

async function work(current: Job): Promise<void> {
  const format = formatOf(current.filename)
  const text = await textOf(takeReceived(), format, byteLimitsOf(format, current.memoryMiB))
  let batch: string[] = []
  let length = 0
  for (const chunk of chunksOf(text, current.sizes)) {
    batch.push(chunk)
    length += chunk.length
    if (length < batchCharacters) continue
    await answer({ type: 'chunks', job: current.job, chunks: batch })
    batch = []
    length = 0
  }
  if (batch.length > 0) await answer({ type: 'chunks', job: current.job, chunks: batch })
  await answer({ type: 'done', job: current.job, resident: process.memoryUsage.rss() })
}

function takeReceived(): Uint8Array {
  const bytes = received.subarray(0, size)
  received = new Uint8Array()
  return bytes
}

// Requests go before the reading of files.
setPriority(constants.priority.PRIORITY_LOW)
// A terminal and a service manager signal all processes; the server decides what that means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => process.exit())
process.on('message', receive)
new Worker(new URL('./watchdog.ts', import.meta.url), { argv: process.argv.slice(2), execArgv: [] }).unref()
void answer({ type: 'ready' })
