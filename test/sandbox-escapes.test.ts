import { randomUUID } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { treeOf } from '../src/sandbox/process-tree.ts'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { selfTest } from '../src/sandbox/self-test.ts'
import { aFolder } from './harness/app.ts'
import { javascriptEscapes, pythonEscapes, systemEscapes } from './harness/escapes.ts'
import { call, findDrivers, logsOf, snapshotFolder } from './harness/sandbox.ts'
import { createUnprotected } from './harness/unprotected.ts'

const drivers = await findDrivers()
const secret = `secret-${randomUUID()}`
const canary = `canary-${randomUUID()}`
const neighbour = `neighbour-${randomUUID()}`
const timeoutMs = 2000
/** All of what takes as long as it may; else some. */
const isFull = process.env.SANDBOX_ESCAPES === 'all'

let folder: string
let servers: (Server | Socket)[]
let prelude: string
let reached = 0

beforeAll(async () => {
  process.env.SANDBOX_CANARY = canary
  folder = await realpath(await mkdtemp(join(tmpdir(), 'escapes-')))
  await writeFile(join(folder, 'secret.txt'), secret)
  const count = () => void reached++
  const tcp = createServer(count).listen(0, '127.0.0.1')
  await once(tcp, 'listening')
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4', count).bind(port, '127.0.0.1')
  const path = join(folder, 'socket')
  const unix = createServer(count).listen(path)
  const abstract = createServer(count).listen(`\0${path}`)
  await Promise.all([udp, unix, abstract].map((server) => once(server, 'listening')))
  servers = [tcp, udp, unix, abstract]
  const [snapshot] = await readdir(snapshotFolder)
  const known = {
    SECRET: join(folder, 'secret.txt'),
    FOLDER: folder,
    PORT: port,
    SOCKET: path,
    PID: process.pid,
    SNAPSHOT: join(snapshotFolder, snapshot ?? ''),
  }
  const constants = Object.entries(known).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)
  const inJavaScript = Object.entries(known).map(([name, value]) => `const ${name} = ${JSON.stringify(value)}; `)
  prelude = `${constants.join('\n')}
async def js(source):
    import inspect, pyodide_js
    from pyodide.code import run_js
    result = run_js('(pyodide) => {' + ${JSON.stringify(inJavaScript.join(''))} + 'return ' + source + '}')(pyodide_js)
    return await result if inspect.isawaitable(result) else result
`
})

afterAll(async () => {
  for (const server of servers) server.close()
  await rm(folder, { recursive: true })
})

describe.each(drivers)('code in $driver', ({ driver, create }) => {
  let sandbox: Sandbox
  let before: number[]
  let neighbours: number[]
  beforeAll(async () => {
    before = treeOf(process.pid)
    sandbox = await create({ timeoutMs, memoryMiB: 512, sessions: 3 })
    await call(sandbox, `neighbour = "${neighbour}"\nopen("${neighbour}", "w").write(neighbour)`, {
      session: 'neighbour',
    })
    neighbours = treeOf(process.pid)
  }, 120_000)
  afterAll(() => sandbox.close())

  const escapes = [...pythonEscapes, ...(driver === 'pyodide' ? javascriptEscapes : systemEscapes)]
  const slow =
    /^(recurses|aborts|ends itself|crashes|never answers|takes (shared )?memory as b|takes shared|starts Workers|gives a W)/
  test.each(escapes.filter(({ name }) => isFull || !slow.test(name)))('is held when it: $name', async ({ code }) => {
    reached = 0
    const execution = await call(sandbox, prelude + code)
    const all = JSON.stringify([execution.outputs, execution.value, execution.written.map(({ name }) => name)])
    const written = execution.written.map(({ bytes }) => Buffer.from(bytes).toString('latin1')).join()
    for (const shown of [all, written]) {
      for (const hidden of [secret, canary, neighbour]) expect(shown).not.toContain(hidden)
    }
    expect(logsOf(execution).replace(/^ .*$/gm, '')).not.toContain('ESCAPED')
    expect(execution.written.filter(({ name }) => /^\/|\.\.\//.test(name))).toEqual([])
    expect(logsOf(execution).length).toBeLessThanOrEqual(1_000_000)
    expect((await readdir(folder)).sort()).toEqual(['secret.txt', 'socket'])
    expect(await readFile(join(folder, 'secret.txt'), 'utf8')).toBe(secret)
    expect((await call(sandbox, '6 * 7')).value).toBe('42')
    expect(reached).toBe(0)
  })

  const bombs = {
    'prints without end': 'while True: print("x" * 100)',
    'writes without end to the descriptor': 'import os\nwhile True: os.write(1, b"x" * 10000)',
    'loops and catches everything': 'while True:\n    try:\n        while True: pass\n    except BaseException: pass',
    sleeps: 'import time\ntime.sleep(1000)',
    'fills memory': 'all = []\nwhile True: all.append(bytearray(b"x") * 10_000_000)',
    'fills memory and catches it':
      'all = []\nwhile True:\n    try: all.append(bytearray(b"x") * 1_000_000)\n    except MemoryError: pass',
    'fills the disk': 'n = 0\nwhile True:\n    n += 1\n    open(f"/mnt/data/{n}", "wb").write(b"x" * 10_000_000)',
    'fills other folders':
      'n = 0\nwhile True:\n    n += 1\n    for f in ("/tmp", "/dev/shm"):\n        try: open(f"{f}/{n}", "wb").write(b"x" * 10_000_000)\n        except OSError: pass',
    'writes many files': 'n = 0\nwhile True:\n    n += 1\n    open(f"/mnt/data/{n}", "w").write("x")',
    'inflates a bomb': 'import zlib\nall = [zlib.decompress(zlib.compress(bytes(100_000_000))) for _ in range(100)]',
    ...(driver === 'bubblewrap' && {
      'forks without end': 'import os\nwhile True:\n    try: os.fork()\n    except OSError: pass',
      'fills memory from many processes':
        'import os, time\nfor _ in range(20):\n    if os.fork() == 0: break\nall = bytearray(b"x") * 100_000_000\ntime.sleep(100)',
      'starts programs that print': 'import os\nos.system("yes")',
      'starts threads':
        'import threading, time\nwhile True:\n    try: threading.Thread(target=lambda: time.sleep(100)).start()\n    except RuntimeError: pass',
    }),
  }
  const usual = [
    'prints without end',
    'loops and catches everything',
    'fills memory',
    'fills the disk',
    'forks without end',
    'fills memory from many processes',
  ]
  const tried = Object.entries(bombs).filter(([name]) => isFull || usual.includes(name))
  test.each(tried)('is stopped when it %s', async (_, code) => {
    const started = performance.now()
    const { ended, outputs } = await call(sandbox, code)
    expect(performance.now() - started).toBeLessThan(timeoutMs + 3000)
    expect(ended !== undefined || outputs.length > 0).toBe(true)
    await sandbox.endSession('s')
    expect(treeOf(process.pid).filter((pid) => !neighbours.includes(pid))).toEqual([])
    expect((await call(sandbox, '6 * 7')).value).toBe('42')
  })

  test('leaves the neighbours alone, and nothing behind', async () => {
    const { value } = await call(sandbox, 'neighbour == open(neighbour).read() and neighbour', { session: 'neighbour' })
    expect(value).toBe(`'${neighbour}'`)
    await sandbox.close()
    expect(treeOf(process.pid).filter((pid) => !before.includes(pid))).toEqual([])
  })
})

describe.runIf(drivers.some(({ driver }) => driver === 'bubblewrap'))('an interpreter without protection', () => {
  test('does not pass the self-test', async () => {
    const unprotected = await createUnprotected()
    expect(await selfTest(unprotected, aFolder())).toMatch(
      /reads a file of the host.*reaches the network.*sees the environment.*signals the server.*writes to the host/,
    )
    await unprotected.close()
  })
})
