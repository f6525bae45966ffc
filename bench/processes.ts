import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { call } from './connection.ts'

const cores = availableParallelism()
/** Whether the server has a core of its own: all else stays on the others. */
export const isPinned = cores > 1 && spawnSync('taskset', ['--version']).status === 0
const serverCores = String(cores - 1)
const otherCores = `0-${cores - 2}`

/** Moves this process, and what it starts from now on, off the server's core. */
export function pinSelf() {
  if (isPinned) spawnSync('taskset', ['-a', '-c', '-p', otherCores, String(process.pid)])
}

export interface Process {
  pid: number
  port: number
  /** From the spawn to the first answer on /healthz. */
  startMs: number
  stop(): Promise<void>
}

interface Options {
  /** On the core kept for servers. */
  isServer: boolean
  /** False: on any core. */
  isPinned?: boolean
  env?: Record<string, string>
  /** Where its output goes. */
  log: string
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

const root = fileURLToPath(new URL('..', import.meta.url))

/** What `npm start` runs. */
export function startArgs(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return scripts.start.split(' ').slice(1)
}

/** Starts one of the repository's programs, given to Node with its options; it is to listen on PORT, and waits until it answers. */
export async function start(
  args: readonly string[],
  { isServer, isPinned: pins = isPinned, env = {}, log }: Options,
): Promise<Process> {
  const port = await freePort()
  const pinned = pins ? ['taskset', '-c', isServer ? serverCores : otherCores] : []
  const [command = '', ...rest] = [...pinned, process.execPath, ...args]
  const output = openSync(log, 'a')
  const startedAt = performance.now()
  const child = spawn(command, rest, {
    cwd: root,
    env: { PATH: process.env.PATH, PORT: String(port), ...env },
    stdio: ['ignore', output, output],
  })
  running.add(child)
  child.once('exit', () => running.delete(child))
  await untilHealthy(port, child, log)
  return { pid: child.pid ?? 0, port, startMs: performance.now() - startedAt, stop: () => stop(child) }
}

async function untilHealthy(port: number, child: ChildProcess, log: string) {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`It did not start:\n${readFileSync(log, 'utf8')}`)
    try {
      await call(port, 'GET', '/healthz')
      return
    } catch {
      await delay(2)
    }
  }
}

async function stop(child: ChildProcess) {
  if (child.exitCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const hasProc = existsSync('/proc/self/stat')

/** Seconds of processor time that a process has used; NaN where the system does not tell. */
export function cpuSeconds(pid: number): number {
  if (!hasProc) return Number.NaN
  // After the command's name, which may hold anything: state is field 3, utime and stime 14 and 15, in 1/100 s.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / 100
}

/** Resident memory of a process in MiB; NaN where the system does not tell. */
export function residentMiB(pid: number): number {
  if (!hasProc) return Number.NaN
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
