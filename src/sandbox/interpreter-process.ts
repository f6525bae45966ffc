import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { constants, setPriority } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { createCall, type RunningCall } from './call.ts'
import { createFrameReader, type Frame, frameOf, type Order } from './frames.ts'
import { folderBytes, residentBytes, signalTree, stopTree, treeOf } from './process-tree.ts'
import type { Ended, ExecuteRequest, Execution, SandboxFile, SandboxLimits } from './sandbox.ts'

export interface Launch {
  command: string
  args: string[]
  env: Record<string, string>
  /** Descriptors of the process on which frames come and go. */
  descriptors: { orders: number; answers: number }
  /** Given to it on a descriptor, to its end. */
  given?: { descriptor: number; bytes: Uint8Array }
  /** Folders in memory, as the process at this depth of parents and children sees them: they count as its memory. */
  folders?: { depth: number; paths: readonly string[] }
  /** The first frame. */
  init: Order
}

export interface InterpreterProcess {
  /** One at a time. Once it told of an end other than by its own output limit, or rejected, the process is gone. */
  execute(request: ExecuteRequest): Promise<Execution>
  isAlive(): boolean
  kill(): void
  /** Resolves when the system has let it go. */
  ended: Promise<void>
}

const watchMs = 50
/** For a process to become ready, on a machine that does other things too. */
const startMs = 60_000
const keptErrorCharacters = 4096

/** Starts a process; between calls it is stopped, whatever threads and children it has. */
export function startInterpreter(launch: Launch, limits: SandboxLimits): InterpreterProcess {
  const { child, orders, errors } = spawnProcess(launch)
  const pid = child.pid ?? 0
  let isAlive = pid > 0
  let isReady = false
  let isFresh = true
  let failure: unknown
  let call: RunningCall | undefined
  const reply = createReplies()

  const kill = (cause?: unknown) => {
    if (!isAlive) return
    isAlive = false
    failure = cause
    // Whoever waits for it to be gone must not end before.
    setReferenced(child, true)
    if (pid > 0) signalTree(pid, 'SIGKILL')
  }
  const end = (reason: Ended) => {
    if (!isAlive) return
    call?.endBy(reason)
    kill()
  }
  const receive = ({ answer, data }: Frame) => {
    if (!isAlive) return
    if (answer.type === 'snapshot') return end('crashed')
    if (answer.type === 'ready') isReady = true
    if (answer.type === 'ready' || answer.type === 'missing' || answer.type === 'placed') {
      // Without this they could come without end.
      if (!reply.settle(answer)) end('crashed')
      return
    }
    const reason = call?.take(answer, data)
    if (reason) end(reason)
  }
  const read = createFrameReader(limits.fileBytes, receive)
  answersOf(child, launch).on('data', (chunk: Buffer) => {
    if (!isAlive) return
    try {
      read(chunk)
    } catch {
      end('crashed')
    }
  })
  const ended = new Promise<void>((resolve) => {
    child.once('error', (cause) => {
      isAlive = false
      failure = cause
      resolve()
    })
    child.once('close', () => {
      if (isAlive)
        call?.endBy(/out of memory|memory allocation of|Cannot allocate memory/i.test(errors()) ? 'memory' : 'crashed')
      isAlive = false
      resolve()
    })
  })
  const send = (order: Order, data?: Uint8Array) =>
    new Promise<void>((resolve) => void orders.write(frameOf(order, data), () => resolve()))
  const ask = async (order: Order, data?: Uint8Array) => {
    const answer = reply.next()
    await send(order, data)
    return answer
  }
  const ready = reply.next()
  void send(launch.init)
  setReferenced(child, false)

  /** Until the call has its end, or the process has. */
  const converse = async ({ code, files }: ExecuteRequest, onReady: () => void) => {
    await Promise.race([ready, ended])
    onReady()
    if (isAlive) await placeFiles(files, limits.fileBytes, ask, (name) => call?.absent.push(name))
    if (isAlive) await send({ type: 'execute', call: call?.id ?? '' }, Buffer.from(code))
  }

  return {
    ended,
    isAlive: () => isAlive,
    kill: () => kill(),
    async execute(request) {
      request.signal.throwIfAborted()
      const current = createCall(limits, isFresh)
      call = current
      isFresh = false
      setReferenced(child, true)
      if (pid > 0) signalTree(pid, 'SIGCONT')
      let timer = setTimeout(end, startMs, 'crashed')
      const begin = () => {
        clearTimeout(timer)
        timer = setTimeout(end, request.timeoutMs ?? limits.timeoutMs, 'timeout')
      }
      const bytes = limits.memoryMiB * 1024 * 1024
      const watch = () => {
        const pids = treeOf(pid)
        const { depth, paths } = launch.folders ?? { depth: 0, paths: [] }
        // Before it is ready it may still see the host's folders.
        const inFolders = isReady ? folderBytes(pids[depth] ?? pid, paths) : 0
        if (residentBytes(pids, bytes - inFolders) + inFolders > bytes) end('memory')
      }
      const watchdog = setInterval(watch, watchMs)
      const abort = () => kill(request.signal.reason)
      request.signal.addEventListener('abort', abort, { once: true })
      try {
        const conversing = Promise.race([converse(request, begin), ended])
        await Promise.race([Promise.all([conversing, current.done]), ended])
        if (isAlive && !(await stopTree(pid))) kill()
        if (!isAlive) await ended
        request.signal.throwIfAborted()
        if (failure !== undefined) throw failure
        if (!isReady && current.isCrashed()) throw new Error('The interpreter did not start.', { cause: errors() })
        return current.result()
      } catch (error) {
        kill()
        await ended
        throw error
      } finally {
        clearTimeout(timer)
        clearInterval(watchdog)
        request.signal.removeEventListener('abort', abort)
        if (isAlive) setReferenced(child, false)
        call = undefined
      }
    },
  }
}

function spawnProcess({ command, args, env, descriptors, given }: Launch) {
  const stdio: StdioOptions = ['ignore', 'ignore', 'pipe']
  for (const one of [descriptors.orders, descriptors.answers, given?.descriptor])
    if (one !== undefined) stdio[one] = 'pipe'
  // In a session of its own, a terminal's signals do not reach it.
  const child = spawn(command, args, { env, stdio, cwd: '/', detached: true })
  try {
    // Requests go before anybody's code.
    if (child.pid) setPriority(child.pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It has ended already.
  }
  let text = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    text = (text + chunk.toString('latin1')).slice(-keptErrorCharacters)
  })
  // That a pipe broke means that the process has ended, of which 'close' tells more.
  for (const stream of child.stdio) stream?.on('error', () => {})
  if (given) (child.stdio[given.descriptor] as Writable).end(given.bytes)
  return { child, orders: child.stdio[descriptors.orders] as Writable, errors: () => text }
}

const answersOf = (child: ChildProcess, { descriptors }: Launch) => child.stdio[descriptors.answers] as Readable

type Reply = Extract<Frame['answer'], { type: 'ready' | 'missing' | 'placed' }>

/** One answer is waited for at a time. */
function createReplies() {
  let waiting: ((reply: Reply) => void) | undefined
  return {
    next: () => {
      const { promise, resolve } = Promise.withResolvers<Reply>()
      waiting = resolve
      return promise
    },
    /** False if nobody waits. */
    settle: (reply: Reply) => {
      const isAwaited = waiting !== undefined
      waiting?.(reply)
      waiting = undefined
      return isAwaited
    },
  }
}

/** Sends the files that are not there yet; tells the names of those that cannot be. */
async function placeFiles(
  files: readonly SandboxFile[],
  maxBytes: number,
  ask: (order: Order, data?: Uint8Array) => Promise<Reply>,
  fail: (name: string) => void,
): Promise<void> {
  if (files.length === 0) return
  const reply = await ask({ type: 'missing', names: files.map(({ name, alias }) => alias ?? name) })
  const missing = new Set(reply.type === 'missing' ? reply.names : [])
  let room = maxBytes
  for (const file of files.filter(({ name, alias }) => missing.has(alias ?? name))) {
    const bytes = file.bytes <= room ? await bytesOf(file) : undefined
    if (!bytes) {
      fail(file.name)
      continue
    }
    room -= bytes.length
    const { name, alias } = file
    const placed = await ask({ type: 'place', name, alias }, bytes)
    if (placed.type !== 'placed' || !placed.ok) fail(file.name)
  }
}

async function bytesOf(file: SandboxFile): Promise<Uint8Array | undefined> {
  const source = await file.open()
  if (!source) return undefined
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of source) {
    size += part.length
    if (size > file.bytes) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function setReferenced(child: ChildProcess, isReferenced: boolean): void {
  const method = isReferenced ? 'ref' : 'unref'
  child[method]()
  for (const stream of child.stdio) if (stream && !stream.destroyed) (stream as Socket)[method]()
}
