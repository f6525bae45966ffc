import { spawn } from 'node:child_process'
import { createFrameReader } from './frames.ts'
import type { Launch } from './interpreter-process.ts'

const timeoutMs = 120_000
const maxBytes = 256 * 1024 * 1024

/** Starts Python from nothing, in the same confinement, and takes its memory. Runs nobody's code. */
export async function makeSnapshot({ command, args, env }: Launch): Promise<Uint8Array> {
  const child = spawn(command, args, {
    env,
    cwd: '/',
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  })
  let snapshot: Uint8Array | undefined
  let errors = ''
  const read = createFrameReader(maxBytes, ({ answer, data }) => {
    if (answer.type === 'snapshot') snapshot = data
  })
  child.stdout.on('data', read)
  child.stderr.on('data', (chunk: Buffer) => {
    errors = (errors + chunk.toString('latin1')).slice(-4096)
  })
  await new Promise((resolve, reject) => child.once('close', resolve).once('error', reject))
  if (!snapshot) throw new Error('Python could not be prepared.', { cause: errors })
  return snapshot
}
