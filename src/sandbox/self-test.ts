import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdir, realpath, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { treeOf } from './process-tree.ts'
import type { Sandbox } from './sandbox.ts'

/** Each gives something true if it could do what must be impossible. */
const attempts = `
def javascript(source):
    from pyodide.code import run_js
    return run_js(source)

def reads_a_file_of_the_host():
    return open(PATH).read()

def reads_a_file_of_the_host_by_javascript():
    return javascript('Deno.readTextFileSync(' + json.dumps(PATH) + ')')

def reaches_the_network():
    import socket
    return socket.create_connection(('127.0.0.1', PORT), 2).send(b'x')

async def reaches_the_network_by_javascript():
    from pyodide.http import pyfetch
    return await pyfetch('http://127.0.0.1:%d' % PORT)

def sees_the_environment():
    return [name for name in os.environ if name == NAME]

def sees_the_environment_by_javascript():
    return javascript('Deno.env.get(' + json.dumps(NAME) + ')')

def starts_a_process_of_the_host_by_javascript():
    return javascript("new Deno.Command('/bin/true').outputSync()")

def signals_the_server():
    os.kill(PID, 0)
    return True

def writes_to_the_host():
    open(PATH, 'a').write('x')
    return True

import inspect, json, os
for name, attempt in list(globals().items()):
    if not inspect.isfunction(attempt) or name == 'javascript':
        continue
    try:
        result = attempt()
        if inspect.iscoroutine(result):
            result = await result
        if result:
            print(name.replace('_', ' '))
    except BaseException:
        pass
print('done')
`

/** What the calls of runs may take is no measure for it. */
const timeoutMs = 60_000

/**
 * Tries what must be impossible; the reason why the driver cannot be used, or undefined. `dir` is where the server has its
 * files: it is tried on one of these.
 */
export async function selfTest(sandbox: Sandbox, dir: string): Promise<string | undefined> {
  const session = `self-test ${randomUUID()}`
  const canary = 'SANDBOX_SELF_TEST'
  process.env[canary] = session
  await mkdir(dir, { recursive: true })
  const path = join(await realpath(dir), 'self-test.txt')
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening')
    await writeFile(path, 'secret')
    const { port } = server.address() as AddressInfo
    const known = { PATH: path, PORT: port, NAME: canary, PID: process.pid }
    const given = Object.entries(known).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
    const signal = AbortSignal.timeout(120_000)
    const { outputs, ended } = await sandbox.execute({
      session,
      code: given.join('') + attempts,
      files: [],
      signal,
      timeoutMs,
    })
    const lines = outputs.flatMap((output) => (output.type === 'logs' ? output.logs.trim().split('\n') : []))
    if (ended || lines.pop() !== 'done') return `The self-test did not come to its end (${ended ?? lines.join('; ')}).`
    if (lines.length > 0) return `Code in it ${lines.join(', ')}.`
    return await outlivesItsKill(sandbox, session)
  } catch (error) {
    return `It does not start: ${error instanceof Error ? error.message : error}`
  } finally {
    delete process.env[canary]
    server.close()
    await sandbox.endSession(session)
    await rm(path, { force: true })
  }
}

async function outlivesItsKill(sandbox: Sandbox, session: string): Promise<string | undefined> {
  const before = new Set(ours())
  const call = (code: string, ms: number) =>
    sandbox.execute({ session, code, files: [], signal: AbortSignal.timeout(ms), timeoutMs })
  const ignoring = 'import signal\nfor one in (signal.SIGTERM, signal.SIGINT): signal.signal(one, signal.SIG_IGN)'
  const { ended } = await call(ignoring, 60_000)
  if (ended) return `A call ended by itself (${ended}).`
  const isEnded = await call('while True: pass', 200).then(
    () => false,
    () => true,
  )
  if (!isEnded) return 'A call that was cancelled went on.'
  return ours().some((pid) => !before.has(pid)) ? 'A process outlived its kill.' : undefined
}

/** Processes of ours that run such code. */
function ours(): number[] {
  return treeOf(process.pid).filter((pid) => {
    try {
      return /worker\.js|bwrap/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    } catch {
      return false
    }
  })
}
