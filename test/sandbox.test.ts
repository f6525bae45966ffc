import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { treeOf } from '../src/sandbox/process-tree.ts'
import { createPyodideSandbox } from '../src/sandbox/pyodide.ts'
import type { Sandbox } from '../src/sandbox/sandbox.ts'
import { selfTest } from '../src/sandbox/self-test.ts'
import { aFolder } from './harness/app.ts'
import { call, fileOf, findDrivers, logsOf, snapshotFolder } from './harness/sandbox.ts'
import { zipOf } from './harness/sandbox-wheel.ts'

const drivers = await findDrivers()
const startsOf = (sandbox: Sandbox) => call(sandbox, '1', { session: 'first' })

describe.each(drivers)('a $driver session', ({ create }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await create({ timeoutMs: 20_000 })
    await startsOf(sandbox)
  }, 120_000)
  afterAll(() => sandbox.close())

  test('keeps stdout and stderr in order and tells the value of a last expression apart', async () => {
    const code = 'import sys\nprint("out")\nprint("err", file=sys.stderr)\nprint("out again")\n6 * 7'
    const execution = await call(sandbox, code)
    expect(execution.outputs).toEqual([{ type: 'logs', logs: 'out\nerr\nout again\n' }])
    expect(execution).toMatchObject({ value: '42', ended: undefined, written: [] })
  })

  test('shows nothing for a bare last expression, and no value for None', async () => {
    expect(await call(sandbox, '"text"')).toMatchObject({ outputs: [], value: "'text'" })
    expect(await call(sandbox, 'None')).toMatchObject({ outputs: [], value: undefined })
  })

  test('keeps variables, imports, functions and files from call to call', async () => {
    const first = await call(
      sandbox,
      'import math\nx = 4\ndef double(n): return 2 * n\nopen("a.txt", "w").write("kept")',
      {
        session: 'state',
      },
    )
    const second = await call(sandbox, 'double(x), math.sqrt(x), open("/mnt/data/a.txt").read()', { session: 'state' })
    expect([first.isFresh, second.isFresh]).toEqual([true, false])
    expect(second.value).toBe("(8, 2.0, 'kept')")
  })

  test('never meets another session', async () => {
    const each = ['one', 'two'].map(async (session) => {
      await call(sandbox, `secret = "${session}"\nopen("${session}.txt", "w").write(secret)`, { session })
      const { value } = await call(sandbox, 'import os\n(secret, sorted(os.listdir("/mnt/data")))', { session })
      return value
    })
    expect(await Promise.all(each)).toEqual(["('one', ['one.txt'])", "('two', ['two.txt'])"])
  })

  test('answers calls of one session in the order of asking', async () => {
    const codes = ['import time\nseen = []\ntime.sleep(0.2)', 'seen.append(1)', 'seen.append(2)', 'seen']
    const executions = await Promise.all(codes.map((code) => call(sandbox, code, { session: 'order' })))
    expect(executions.at(-1)?.value).toBe('[1, 2]')
  })

  test('gives a traceback of the code alone and goes on', async () => {
    const { outputs, ended } = await call(sandbox, 'kept = 1\ndef f():\n    return 1 / 0\nf()')
    const [output] = outputs
    expect(output).toMatchObject({ logs: expect.stringMatching(/^Traceback.*return 1 \/ 0.*ZeroDivisionError/s) })
    expect(output).not.toMatchObject({ logs: expect.stringContaining('interpreter') })
    expect(ended).toBeUndefined()
    expect((await call(sandbox, 'kept')).value).toBe('1')
    expect(logsOf(await call(sandbox, 'if True print(1)'))).toContain('SyntaxError')
  })

  test('awaits at the top level, and runs an event loop', async () => {
    const code = 'import asyncio\nasync def f(): return 5\nasyncio.run(f()), '
    expect((await call(sandbox, `${code}(await asyncio.sleep(0.01, 6))`.replace('asyncio.run(f()), ', ''))).value).toBe(
      '6',
    )
    expect((await call(sandbox, 'asyncio.run(f())')).value).toBe('5')
  })

  test('ends quietly at exit(), and finds no input', async () => {
    expect(await call(sandbox, 'import sys\nprint(1)\nsys.exit()\nprint(2)')).toMatchObject({
      outputs: [{ type: 'logs', logs: '1\n' }],
      ended: undefined,
    })
    expect(logsOf(await call(sandbox, 'input()'))).toContain('EOFError')
  })

  test('takes code as it is: quotes, backslashes, unicode, carriage returns and 100 kB', async () => {
    const text = `'"\\\\ \\u20ac "" ''' € 😀 ünï \u2028`
    const code = `text = ${JSON.stringify(text)}\r\nprint(text)\r\n`
    expect(logsOf(await call(sandbox, code))).toBe(`${text}\n`)
    const long = `s = '''${'ü€'.repeat(25_000)}'''\nlen(s)`
    expect((await call(sandbox, long)).value).toBe('50000')
    expect(logsOf(await call(sandbox, 'print("\\ud800 alone")'))).toContain('alone')
  })

  test('finds the files it is given, of text and of bytes, and leaves alone those that are there', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const files = [fileOf('data.csv', 'a,b\n1,2\n'), fileOf('deep/bytes.bin', bytes)]
    const session = 'files'
    const code = '(open("data.csv").read(), open("/mnt/data/deep/bytes.bin", "rb").read() == bytes(range(256)))'
    expect((await call(sandbox, code, { files, session })).value).toBe("('a,b\\n1,2\\n', True)")
    await call(sandbox, 'open("data.csv", "w").write("mine")', { files, session })
    expect((await call(sandbox, 'open("data.csv").read()', { files, session })).value).toBe("'mine'")
  })

  test('names the files that cannot be placed', async () => {
    const gone = { name: 'gone.txt', bytes: 3, open: async () => undefined }
    const large = { ...fileOf('large.txt', 'abc'), bytes: 10 ** 9 }
    const files = [gone, large, fileOf('../up.txt', 'x'), fileOf('/etc/abs.txt', 'x'), fileOf('there.txt', 'abc')]
    const execution = await call(sandbox, 'open("there.txt").read()', { files, session: 'absent' })
    expect(execution.value).toBe("'abc'")
    expect(execution.absent.sort()).toEqual(['../up.txt', '/etc/abs.txt', 'gone.txt', 'large.txt'])
  })

  test('hands over what was written or changed, and nothing else', async () => {
    const session = 'written'
    const files = [fileOf('in.csv', 'a')]
    const first = await call(sandbox, 'open("out.bin", "wb").write(bytes(range(256)))', { session, files })
    expect(first.written).toEqual([{ name: 'out.bin', bytes: Uint8Array.from({ length: 256 }, (_, byte) => byte) }])
    expect((await call(sandbox, 'open("out.bin", "rb").read(1)', { session, files })).written).toEqual([])
    const code = 'import os\nos.makedirs("sub")\nopen("sub/ü.txt", "w").write("é")\nopen("in.csv", "a").write("b")'
    const { written } = await call(sandbox, code, { session, files })
    expect(written.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()])).toEqual([
      ['in.csv', 'ab'],
      ['sub/ü.txt', 'é'],
    ])
  })

  test('reads files up to the limit and names the others', async () => {
    const small = await create({ fileBytes: 1000 })
    try {
      const code = 'open("a.txt", "w").write("a" * 900)\nopen("b.txt", "w").write("b" * 900)'
      const { written, omitted, ended } = await call(small, code)
      expect(written.map(({ name }) => name)).toEqual(['a.txt'])
      expect([omitted, ended]).toEqual([['b.txt'], undefined])
    } finally {
      await small.close()
    }
  })

  test('ends a call at its time, keeps what was printed, and starts anew', async () => {
    const quick = await create({ timeoutMs: 3000 })
    try {
      await call(quick, 'x = 1')
      const endless = 'print("begun")\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass'
      expect(await call(quick, endless)).toMatchObject({
        ended: 'timeout',
        outputs: [{ type: 'logs', logs: 'begun\n' }],
      })
      const next = await call(quick, 'x')
      expect(next.isFresh).toBe(true)
      expect(logsOf(next)).toContain('NameError')
    } finally {
      await quick.close()
    }
  })

  test('ends a call with the reason of its signal, at once or while it runs', async () => {
    const reason = new Error('cancelled')
    await expect(call(sandbox, '1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const ending = new AbortController()
    const opened = Promise.withResolvers<void>()
    const file = { name: 'x', bytes: 1, open: async () => void opened.resolve() }
    const running = call(sandbox, 'while True: pass', { session: 'cancel', files: [file], signal: ending.signal })
    await opened.promise
    ending.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect((await call(sandbox, '2 + 2', { session: 'cancel' })).value).toBe('4')
  })

  test('forgets a session that has been ended, also in the middle of a call', async () => {
    await call(sandbox, 'x = 1', { session: 'ending' })
    await sandbox.endSession('ending')
    expect(logsOf(await call(sandbox, 'x', { session: 'ending' }))).toContain('NameError')
    await sandbox.endSession('never there')
  })

  test('makes room for a new session by ending the longest unused', async () => {
    const two = await create({ sessions: 2 })
    try {
      for (const session of ['a', 'b', 'a', 'c']) await call(two, '1', { session })
      const fresh = []
      for (const session of ['a', 'c', 'b']) fresh.push((await call(two, '1', { session })).isFresh)
      expect(fresh).toEqual([false, false, true])
      const many = ['d', 'e', 'f'].map((session) => call(two, `"${session}"`, { session }))
      expect((await Promise.all(many)).map(({ value }) => value)).toEqual(["'d'", "'e'", "'f'"])
    } finally {
      await two.close()
    }
  })

  test('ends sessions that nobody uses, and leaves no process behind when it closes', async () => {
    const before = treeOf(process.pid)
    const brief = await create({ idleMs: 1 })
    await call(brief, 'x = 1')
    await expect.poll(() => treeOf(process.pid).filter((pid) => !before.includes(pid))).toEqual([])
    await call(brief, '1')
    const running = call(brief, 'while True: pass', { session: 'busy' })
    const refused = expect(running).rejects.toThrow('closed')
    await brief.close()
    await refused
    expect(treeOf(process.pid).filter((pid) => !before.includes(pid))).toEqual([])
    await expect(call(brief, '1')).rejects.toThrow('closed')
  })

  test('does nothing between calls, whatever is left in the background', async () => {
    const background = 'import asyncio\nasync def burn():\n    while True: await asyncio.sleep(0)\n'
    await call(
      sandbox,
      `${background}task = asyncio.ensure_future(burn()) if "js" in __import__("sys").modules else None`,
    )
    const states = treeOf(process.pid).flatMap((pid) => {
      const line = /worker\.js|bwrap|sandbox/.test(read(`/proc/${pid}/cmdline`)) ? read(`/proc/${pid}/stat`) : ''
      return line ? [line.replace(/^.*\) (.).*$/s, '$1')] : []
    })
    expect(states.length).toBeGreaterThan(0)
    expect(new Set(states)).toEqual(new Set(['T']))
  })

  test('passes the self-test', { timeout: 60_000 }, async () => {
    expect(await selfTest(sandbox, aFolder())).toBeUndefined()
  })
})

const read = (path: string) => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

test('nothing goes on when the server is killed, be it idle or in the middle of a call', async () => {
  const host = new URL('harness/sandbox-host.ts', import.meta.url).pathname
  const child = spawn(process.execPath, [host], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(child.stdout, 'data')
  const pids: number[] = JSON.parse(String(line))
  const running = () => pids.filter((pid) => /\) [^ZX]/.test(read(`/proc/${pid}/stat`)))
  expect(running().length).toBeGreaterThanOrEqual(1 + 2 * drivers.length)
  child.kill('SIGKILL')
  await expect.poll(running).toEqual([])
})

/** Drivers whose Python has matplotlib on this machine. */
const drawing = await Promise.all(
  drivers.map(async ({ create }) => {
    const sandbox = await create()
    const { value } = await call(sandbox, '__import__("importlib.util").util.find_spec("matplotlib") is not None')
    await sandbox.close()
    return value === 'True'
  }),
)

describe.each(drivers.filter((_, at) => drawing[at]))('matplotlib in $driver', ({ create }) => {
  test('gives a picture for each figure that is shown, and for each left open', async () => {
    const sandbox = await create()
    const code = `import matplotlib.pyplot as plt
print("before")
plt.plot([1, 2]); plt.show()
print("between")
plt.figure(); plt.plot([2, 1])
plt.figure(); plt.plot([3, 1])`
    const { outputs, written } = await call(sandbox, code)
    expect(outputs.map((output) => (output.type === 'image' ? output.name : output.logs))).toEqual([
      'before\n',
      'figure-1-1.png',
      'between\n',
      'figure-1-2.png',
      'figure-1-3.png',
    ])
    for (const output of outputs) {
      if (output.type === 'image') expect(Buffer.from(output.bytes.subarray(0, 4)).toString('latin1')).toBe('\x89PNG')
    }
    expect(written).toEqual([])
    const next = await call(sandbox, 'plt.plot([1]); plt.savefig("/mnt/data/plot.png"); plt.close()')
    expect([next.outputs, next.written.map(({ name }) => name)]).toEqual([[], ['plot.png']])
    await sandbox.close()
  })
})

describe('pyodide', () => {
  test('imports packages from a folder of wheels', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wheels-'))
    const files = {
      'greeting/__init__.py': 'import single\ndef greet(): return "hello " + single.name',
      'greeting/x.txt': 'x',
    }
    await writeFile(join(folder, 'greeting-1.0-py3-none-any.whl'), zipOf(files))
    await writeFile(join(folder, 'single-1.0-py3-none-any.whl'), zipOf({ 'single.py': 'name = "wheel"' }))
    const sandbox = createPyodideSandbox({ folder: snapshotFolder, wheels: folder })
    try {
      const { value, written } = await call(sandbox, 'import greeting\ngreeting.greet()')
      expect([value, written]).toEqual(["'hello wheel'", []])
      expect(logsOf(await call(sandbox, 'import missing_one'))).toContain('ModuleNotFoundError')
    } finally {
      await sandbox.close()
      await rm(folder, { recursive: true })
    }
  })

  test('keeps its snapshot for the next start, and nothing else', { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'snapshot-'))
    try {
      const times: number[] = []
      for (let start = 0; start < 2; start++) {
        const sandbox = createPyodideSandbox({ folder })
        await call(sandbox, 'open("x.txt", "w").write("x")')
        await sandbox.close()
        const [name = '', ...others] = await readdir(folder)
        expect(others).toEqual([])
        times.push((await readFile(join(folder, name))).length)
      }
      expect(times[0]).toBe(times[1])
    } finally {
      await rm(folder, { recursive: true })
    }
  })

  test('seeds each session of its own, though all come from one snapshot', async () => {
    const sandbox = createPyodideSandbox({ folder: snapshotFolder })
    const values = await Promise.all(
      ['a', 'b'].map((session) => call(sandbox, 'import random\nrandom.random()', { session })),
    )
    expect(values[0]?.value).not.toBe(values[1]?.value)
    await sandbox.close()
  })
})
