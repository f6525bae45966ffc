import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { openToRead, openToWrite } from './database.ts'
import { createReader } from './reader.ts'
import type { Answer, Call, Role } from './thread.ts'
import { createWriter } from './writer.ts'

/* The thread that has a connection of its own: the writer, or a reader. It ends once its port is closed. */

const { file, role } = workerData as { file: string; role: Role }
const port = parentPort
if (port === null) throw new Error('This file is run as a worker thread.')
// Requests go before searches and writing. Only Linux knows priorities of threads; elsewhere it would be the server's.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_BELOW_NORMAL)
const answer = (message: Answer) => port.postMessage(message)

function openWriter() {
  const db = openToWrite(file, ({ message, cause }) => answer({ lost: { message, cause: String(cause) } }))
  const writer = createWriter(db)
  return { db, methods: writer as unknown as Methods, tidy: writer.tidy }
}

function openReader() {
  const db = openToRead(file)
  return { db, methods: createReader(db) as unknown as Methods, tidy: () => {} }
}

type Methods = Record<string, (...args: readonly unknown[]) => unknown>
type Opened = ReturnType<typeof openWriter>
let opened: Opened | undefined

function run({ method, args }: Extract<Call, { method: string }>): Answer {
  try {
    opened ??= role === 'writer' ? openWriter() : openReader()
    return { value: opened.methods[method]?.(...args) }
  } catch (error) {
    const { message, stack, code } = error as Error & { code?: string }
    return { error: { message, stack, code } }
  }
}

port.on('message', (call: Call) => {
  if ('method' in call) return answer(run(call))
  try {
    opened?.tidy()
  } catch {
    // Only tidying: the next to write tidies too, and a broken file is told by what reads it.
  }
  opened?.db.close()
  port.close()
})
