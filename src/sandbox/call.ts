import { randomUUID } from 'node:crypto'
import { type Answer, isFileName } from './frames.ts'
import type { Ended, Execution, SandboxLimits } from './sandbox.ts'

type Told = Extract<Answer, { type: 'logs' | 'image' | 'written' | 'done' }>

/** What is known of a call while it runs. */
export interface RunningCall {
  /** Known to nobody before the call. */
  id: string
  /** Why the call has to be ended, if it is more than may be, or is no answer to it. */
  take(answer: Told, data: Uint8Array): Ended | undefined
  endBy(reason: Ended): void
  isCrashed(): boolean
  done: Promise<void>
  absent: string[]
  result(): Execution
}

/** A frame counts as so many bytes at least, so that there cannot be endless empty ones. */
const leastFrameBytes = 16
const maxFiles = 1000

export function createCall(limits: SandboxLimits, isFresh: boolean): RunningCall {
  const id = randomUUID()
  const done = Promise.withResolvers<void>()
  const absent: string[] = []
  const execution: Execution = {
    outputs: [],
    value: undefined,
    written: [],
    absent,
    omitted: [],
    isFresh,
    ended: undefined,
  }
  const logs = createLogs(execution.outputs)
  let logBytes = 0
  let fileBytes = 0
  let files = 0
  let isDone = false
  let late = 0

  const takeFile = (type: 'image' | 'written', name: string | undefined, bytes: Uint8Array) => {
    fileBytes += bytes.length
    files++
    if (fileBytes > limits.fileBytes || files > maxFiles) return false
    if (name === undefined || !isFileName(name)) return true
    logs.close()
    if (type === 'image') execution.outputs.push({ type, name, bytes })
    else execution.written.push({ name, bytes })
    return true
  }

  return {
    id,
    absent,
    done: done.promise,
    isCrashed: () => execution.ended === 'crashed',
    endBy(reason) {
      execution.ended ??= reason
      done.resolve()
    },
    take(answer, data) {
      // Whatever is said after the end is not said by the call.
      if (isDone) return ++late > maxFiles ? 'crashed' : undefined
      if (answer.type === 'logs') {
        logs.add(data.subarray(0, Math.max(0, limits.logBytes - logBytes)))
        logBytes += Math.max(data.length, leastFrameBytes)
        return logBytes > limits.logBytes + leastFrameBytes * maxFiles ? 'output' : undefined
      }
      if (answer.type !== 'done') return takeFile(answer.type, answer.name, data) ? undefined : 'output'
      if (answer.call !== id) return 'crashed'
      isDone = true
      execution.value = answer.value
      execution.omitted = answer.omitted
      execution.ended = answer.ended
      done.resolve()
      return undefined
    },
    result() {
      logs.close()
      return execution
    },
  }
}

/** Joins what is printed in one go; a character may be cut in two by whoever wrote it. */
function createLogs(outputs: Execution['outputs']) {
  let parts: Uint8Array[] = []
  return {
    add(data: Uint8Array) {
      if (data.length > 0) parts.push(data)
    },
    close() {
      if (parts.length > 0) outputs.push({ type: 'logs', logs: Buffer.concat(parts).toString('utf8') })
      parts = []
    },
  }
}
