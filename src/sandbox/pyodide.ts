import { createHash, randomUUID } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { type Confinement, findConfinement } from './confine.ts'
import { type Launch, startInterpreter } from './interpreter-process.ts'
import { defaultLimits, interpreterLimits, type Sandbox, type SandboxLimits } from './sandbox.ts'
import { createSessions } from './sessions.ts'
import { makeSnapshot } from './snapshot.ts'
import { indexWheels } from './wheels.ts'

export interface PyodideOptions extends Partial<SandboxLimits> {
  /** Where the memory snapshot is kept from one start of the server to the next. */
  folder: string
  /** A folder of wheels for Pyodide's platform; each is unpacked when something in it is first imported. */
  wheels?: string | undefined
}

/** V8 maps so much for the code it makes before anything runs; the limit on data counts it. */
const codeRangeMiB = 640

/**
 * Python as WebAssembly inside Deno. The boundary is Deno's permissions (none) and what the system limits for the process:
 * it can write to no file at all, and read wheels alone. /mnt/data is in its memory.
 */
export function createPyodideSandbox({ folder, wheels, ...given }: PyodideOptions): Sandbox {
  const limits = { ...defaultLimits, ...given }
  let prepared: ReturnType<typeof prepare> | undefined
  return createSessions('pyodide', limits, async () => {
    prepared ??= prepare(folder, wheels)
    // What failed once, as for want of disk, may not fail again.
    prepared.catch(() => {
      prepared = undefined
    })
    const { confinement, snapshot, init } = await prepared
    const args = [
      ...permissionsFor([snapshot, ...(wheels ? [realpathSync(wheels)] : [])]),
      'serve',
      pyodideUrl(),
      snapshot,
    ]
    const { memoryMiB, logBytes, fileBytes } = limits
    return startInterpreter(
      launchOf(confinement, memoryMiB, args, {
        ...init,
        limits: { logBytes, fileBytes, ...interpreterLimits },
      }),
      limits,
    )
  })
}

async function prepare(folder: string, wheels: string | undefined) {
  const confinement = await findConfinement()
  const [snapshot, figures, wheelIndex] = await Promise.all([
    snapshotIn(folder, confinement),
    readFile(pathOf('python/figures.py'), 'utf8'),
    wheels ? indexWheels(wheels) : {},
  ])
  const init = { type: 'init' as const, figures, wheelIndex, wheels: wheels && realpathSync(wheels) }
  return { confinement, snapshot, init }
}

const pathOf = (name: string) => realpathSync(fileURLToPath(new URL(name, import.meta.url)))
const resolve = createRequire(import.meta.url).resolve
const pyodideFolder = () => realpathSync(dirname(resolve('pyodide/package.json')))
const pyodideUrl = () => `${pathToFileURL(pyodideFolder()).href}/`

/** The binary itself: the package's own script would need Node beside it. */
function denoPath(): string {
  const { platform, arch } = process
  const name = `@deno/${platform}-${arch}${platform === 'linux' ? '-glibc' : ''}`
  const from = createRequire(resolve('deno/package.json'))
  return join(dirname(from.resolve(`${name}/package.json`)), platform === 'win32' ? 'deno.exe' : 'deno')
}

function permissionsFor(paths: readonly string[]): string[] {
  const denied = ['net', 'env', 'run', 'ffi', 'sys', 'write', 'import'].map((name) => `--deny-${name}`)
  const quiet = ['--quiet', '--no-prompt', '--no-config', '--no-lock', '--no-npm', '--no-remote', '--cached-only']
  const readable = [pyodideFolder(), ...paths].map((path) => path.replaceAll(',', ',,'))
  return ['run', ...quiet, '--no-code-cache', ...denied, `--allow-read=${readable.join(',')}`, pathOf('deno/worker.js')]
}

function launchOf(
  { privileges, hasPrlimit }: Confinement,
  memoryMiB: number,
  args: string[],
  init: Launch['init'],
): Launch {
  const data = (memoryMiB + codeRangeMiB) * 1024 * 1024
  const limited = hasPrlimit ? ['prlimit', '--core=0', '--fsize=0', '--nofile=64', `--data=${data}`] : []
  const heap = `--v8-flags=--max-old-space-size=${Math.floor(memoryMiB / 2)},--max-semi-space-size=8`
  const [run = 'run', ...rest] = args
  const [command = denoPath(), ...before] = [...privileges, ...limited, denoPath()]
  return {
    command,
    args: [...before, run, heap, ...rest],
    // Without a folder for its cache Deno finds one, where code could leave things.
    env: {
      PATH: process.env.PATH || '/usr/local/bin:/usr/bin:/bin',
      DENO_DIR: '/dev/null/none',
      DENO_NO_UPDATE_CHECK: '1',
      NO_COLOR: '1',
    },
    descriptors: { orders: 0, answers: 1 },
    init,
  }
}

/** The path of the snapshot, which is made first if there is none for these versions. */
async function snapshotIn(folder: string, confinement: Confinement): Promise<string> {
  const sources = ['deno/worker.js', 'python/interpreter.py', 'python/wheels.py'].map(pathOf)
  const key = createHash('sha256')
  for (const path of [resolve('pyodide/package.json'), resolve('deno/package.json'), ...sources])
    key.update(await readFile(path))
  const path = join(folder, `python-${key.digest('hex').slice(0, 16)}.snapshot`)
  await mkdir(folder, { recursive: true })
  const exists = await access(path).then(
    () => true,
    () => false,
  )
  if (!exists) {
    const python = dirname(pathOf('python/interpreter.py'))
    const args = [...permissionsFor([python]), 'snapshot', pyodideUrl(), python]
    const bytes = await makeSnapshot(launchOf(confinement, defaultLimits.memoryMiB, args, { type: 'init' }))
    const draft = `${path}.${randomUUID()}`
    const file = await open(draft, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
      await file.close()
      await rename(draft, path)
    } catch (error) {
      await rm(draft, { force: true })
      throw error
    }
  }
  return realpathSync(path)
}
