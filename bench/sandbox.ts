import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBubblewrapSandbox } from '../src/sandbox/bubblewrap.ts'
import { residentBytes, treeOf } from '../src/sandbox/process-tree.ts'
import { createPyodideSandbox } from '../src/sandbox/pyodide.ts'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { below, type Figure, markdownTable, median } from './table.ts'

const rounds = 5
const warmCalls = 50
const many = 20

const folder = mkdtempSync(join(tmpdir(), 'sandbox-bench-'))
const signal = new AbortController().signal
const call = async (sandbox: Sandbox, session: string, code = 'sum(range(1000))') => {
  const start = performance.now()
  const { ended } = await sandbox.execute({ session, code, files: [], signal })
  if (ended) throw new Error(`A call ended by ${ended}.`)
  return performance.now() - start
}
const childrenMiB = () => {
  const pids = treeOf(process.pid).slice(1)
  // Asked for no more than nothing, it tells what is shared only once.
  return residentBytes(pids, 0) / 1024 / 1024
}

async function measure(sandbox: Sandbox, firstMs: number): Promise<Figure[]> {
  const { driver } = sandbox
  const one = async (session: string) => {
    const ms = await call(sandbox, session)
    await sandbox.endSession(session)
    return ms
  }
  const starts: number[] = []
  for (let round = 0; round < rounds; round++) starts.push(await one(`start ${round}`))
  await call(sandbox, 'warm')
  const warm: number[] = []
  for (let round = 0; round < warmCalls; round++) warm.push(await call(sandbox, 'warm'))
  const idle = childrenMiB()
  await sandbox.endSession('warm')
  const sessions = Array.from({ length: many }, (_, at) => `many ${at}`)
  const start = performance.now()
  await Promise.all(sessions.map((session) => call(sandbox, session)))
  const allMs = performance.now() - start
  const again = performance.now()
  await Promise.all(sessions.map((session) => call(sandbox, session)))
  const againMs = performance.now() - again
  const manyMiB = childrenMiB()
  await sandbox.close()
  return [
    { name: `${driver}: first call of all (ms)`, ours: firstMs },
    { name: `${driver}: first call of a session (ms)`, ours: median(starts), target: below(2000) },
    { name: `${driver}: later call (ms)`, ours: median(warm), digits: 1, target: below(50) },
    { name: `${driver}: memory of an idle session (MiB)`, ours: idle, target: below(300) },
    { name: `${driver}: first calls of ${many} sessions at once (ms)`, ours: allMs },
    { name: `${driver}: later calls of ${many} sessions at once (ms)`, ours: againMs },
    { name: `${driver}: memory of ${many} idle sessions (MiB)`, ours: manyMiB },
  ]
}

try {
  const figures: Figure[] = []
  const bubblewrap = await createBubblewrapSandbox({})
  for (const sandbox of [createPyodideSandbox({ folder }), ...(bubblewrap ? [bubblewrap] : [])]) {
    const firstMs = await call(sandbox, 'first')
    await sandbox.endSession('first')
    figures.push(...(await measure(sandbox, firstMs)))
  }
  console.log(markdownTable(figures))
} finally {
  rmSync(folder, { recursive: true })
}
