import { readdirSync, readFileSync, statfsSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/*
 * What Linux tells of processes. Where it tells nothing, as on other systems, a process has no children and no size, and
 * the limits that it was started with are all there are.
 */

/** A process and all that came of it. */
export function treeOf(pid: number): number[] {
  const found = [pid]
  for (const one of found) {
    for (const task of entriesOf(`/proc/${one}/task`)) {
      const children = contentOf(`/proc/${one}/task/${task}/children`)
      for (const child of children.split(' ')) if (child) found.push(Number(child))
    }
  }
  return found
}

/** What the processes hold of the machine's memory. */
export function residentBytes(pids: readonly number[], limit: number): number {
  const bytes = sumOf(pids, 'status', /^VmRSS:\s+(\d+) kB/m)
  // Pages that are shared between processes were counted for each; the exact answer takes longer.
  return bytes > limit && pids.length > 1 ? sumOf(pids, 'smaps_rollup', /^Pss:\s+(\d+) kB/m) || bytes : bytes
}

/** What folders of a process hold that are in memory. A file's entry is no part of a file system's size, and kept in memory too. */
export function folderBytes(pid: number, folders: readonly string[]): number {
  let bytes = 0
  for (const folder of folders) {
    try {
      const { blocks, bfree, bsize, files, ffree } = statfsSync(`/proc/${pid}/root${folder}`)
      bytes += (blocks - bfree) * bsize + (files - ffree) * entryBytes
    } catch {
      // The process has ended.
    }
  }
  return bytes
}

const entryBytes = 1024

function sumOf(pids: readonly number[], file: string, pattern: RegExp): number {
  const sizes = pids.map((pid) => Number(pattern.exec(contentOf(`/proc/${pid}/${file}`))?.[1] ?? 0))
  return sizes.reduce((sum, kib) => sum + kib * 1024, 0)
}

/** Stops them all, however they multiply meanwhile; false if that cannot be done. */
export async function stopTree(pid: number): Promise<boolean> {
  for (let round = 0; round < 100; round++) {
    const running = treeOf(pid).filter((one) => /^\d+ \(.*\) [^TtZX] /s.test(contentOf(`/proc/${one}/stat`)))
    if (running.length === 0) return true
    for (const one of running) signal(one, 'SIGSTOP')
    // All threads of a process have to notice; a call into the kernel may take its time.
    await delay(round < 10 ? 1 : 10)
  }
  return false
}

export function signalTree(pid: number, name: NodeJS.Signals): void {
  for (const one of treeOf(pid)) signal(one, name)
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It has ended.
  }
}

function contentOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path)
  } catch {
    return []
  }
}
