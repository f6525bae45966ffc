/*
 * The process inside Deno: Python as WebAssembly, with frames coming by stdin and going by stdout. Whatever runs in here
 * can reach all of JavaScript, so nothing in this file protects anything; the permissions and limits that the process was
 * started with do, and the server checks all that it is told.
 */
const [mode, pyodideUrl, source] = Deno.args

/** Made once, and loaded in a fifth of the time in which Python starts. */
async function makeSnapshot() {
  const { loadPyodide } = await import(`${pyodideUrl}pyodide.mjs`)
  const pyodide = await loadPyodide({ indexURL: new URL(pyodideUrl).pathname, _makeSnapshot: true, env: {} })
  for (const name of ['interpreter', 'wheels']) addModule(pyodide, name, Deno.readTextFileSync(`${source}/${name}.py`))
  send({ type: 'snapshot' }, pyodide.makeMemorySnapshot())
}

function addModule(pyodide, name, text) {
  const json = JSON.stringify(JSON.stringify({ name: `sandbox_${name}`, text }))
  pyodide.runPython(`
def _add(of):
    import sys, types
    made = types.ModuleType(of['name'])
    made.__file__ = '<' + of['name'] + '>'
    sys.modules[of['name']] = made
    exec(compile(of['text'], made.__file__, 'exec'), made.__dict__)
import json
_add(json.loads(${json}))
del _add
`)
}

async function serve() {
  const { loadPyodide } = await import(`${pyodideUrl}pyodide.mjs`)
  const { header: init } = await receive()
  const indexURL = new URL(pyodideUrl).pathname
  const pyodide = await loadPyodide({ indexURL, _loadSnapshot: Deno.readFileSync(source), env: {} })
  // From here on only wheels can be read.
  for (const path of [indexURL, source]) await Deno.permissions.revoke({ name: 'read', path })
  const write = (bytes) => {
    send({ type: 'logs' }, bytes.slice())
    return bytes.length
  }
  pyodide.setStdout({ write })
  pyodide.setStderr({ write })
  pyodide.setStdin({ stdin: () => null })

  const give = (header, data) => sendText(header, data.toJs?.() ?? new Uint8Array())
  const unpack = (wheel, extractDir) =>
    pyodide.unpackArchive(Deno.readFileSync(`${init.wheels}/${wheel}`), 'wheel', { extractDir })
  const start = pyodide.runPython(`
def _start(send, unpack, init):
    import asyncio, importlib.abc, importlib.util, json, os, random, sys
    from pyodide.ffi import run_sync
    from sandbox_interpreter import Interpreter
    from sandbox_wheels import WheelFinder
    init = json.loads(init)

    def system(command):
        raise OSError('There are no processes here.')

    # As it is, it takes the interpreter with it.
    os.system = system
    # All interpreters come from one snapshot.
    random.seed()
    interpreter = Interpreter(send, run_sync)

    class Figures(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name, path, target=None):
            return importlib.util.spec_from_loader(name, self) if name == 'sandbox_figures' else None

        def exec_module(self, made):
            exec(compile(init['figures'], '<sandbox_figures>', 'exec'), made.__dict__)
            made.emit = interpreter.image

    sys.meta_path.insert(0, Figures())
    sys.meta_path.append(WheelFinder(init['wheelIndex'], unpack))
    interpreter.start(init['limits'])
    return interpreter
_start
`)
  const interpreter = start(give, unpack, JSON.stringify(init))
  start.destroy()
  pyodide.runPython('del _start')
  send({ type: 'ready' })
  for (;;) {
    const { header, data } = await receive()
    if (header.type === 'missing') {
      const names = interpreter.missing(pyodide.toPy(header.names)).toJs()
      send({ type: 'missing', names })
    } else if (header.type === 'place') {
      send({ type: 'placed', ok: place(pyodide, interpreter, header, data) })
    } else if (header.type === 'execute') {
      await interpreter.execute.callPromising(new TextDecoder().decode(data), header.call)
    }
  }
}

function place(pyodide, interpreter, { name, alias }, data) {
  try {
    interpreter.place(name, pyodide.toPy(data), alias)
    return true
  } catch {
    return false
  }
}

const input = Deno.stdin.readable.getReader({ mode: 'byob' })

async function readExactly(size) {
  const { value, done } = size ? await input.read(new Uint8Array(size), { min: size }) : { value: new Uint8Array() }
  if (done || value.length < size) Deno.exit()
  return value
}

async function receive() {
  const sizes = new DataView((await readExactly(8)).buffer)
  const [headerSize, dataSize] = [sizes.getUint32(0, true), sizes.getUint32(4, true)]
  const header = JSON.parse(new TextDecoder().decode(await readExactly(headerSize)))
  return { header, data: await readExactly(dataSize) }
}

const send = (header, data = new Uint8Array()) => sendText(JSON.stringify(header), data)

function sendText(text, data) {
  const header = new TextEncoder().encode(text)
  const sizes = new DataView(new ArrayBuffer(8))
  sizes.setUint32(0, header.length, true)
  sizes.setUint32(4, data.length, true)
  for (let part of [new Uint8Array(sizes.buffer), header, data])
    while (part.length > 0) part = part.subarray(Deno.stdout.writeSync(part))
}

// A terminal and a service manager signal all processes; the server decides what that means.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) Deno.addSignalListener(signal, () => {})
if (mode === 'snapshot') await makeSnapshot()
else await serve()
Deno.exit()
