import { createBubblewrapSandbox } from '../../src/sandbox/bubblewrap.ts'
import { createPyodideSandbox } from '../../src/sandbox/pyodide.ts'
import type { Execution, Sandbox, SandboxFile, SandboxLimits } from '../../src/sandbox/sandbox.ts'

/** Made once for all test files and runs. */
export const snapshotFolder = new URL('../../node_modules/.cache/sandbox', import.meta.url).pathname

type Create = (limits?: Partial<SandboxLimits>) => Promise<Sandbox>

const bubblewrap = async (limits: Partial<SandboxLimits> = {}) => {
  const sandbox = await createBubblewrapSandbox(limits)
  if (!sandbox) throw new Error('bubblewrap cannot be used here.')
  return sandbox
}

/** Those that this machine can run. */
export async function findDrivers(): Promise<{ driver: Sandbox['driver']; create: Create }[]> {
  const pyodide: Create = async (limits = {}) => createPyodideSandbox({ folder: snapshotFolder, ...limits })
  const probe = await createBubblewrapSandbox({})
  await probe?.close()
  return [
    { driver: 'pyodide', create: pyodide },
    ...(probe ? [{ driver: 'bubblewrap' as const, create: bubblewrap }] : []),
  ]
}

export function fileOf(name: string, content: string | Uint8Array): SandboxFile {
  const bytes = Buffer.from(content)
  const open = async () =>
    (async function* () {
      yield bytes
    })()
  return { name, bytes: bytes.length, open }
}

export interface CallOptions {
  session?: string
  files?: SandboxFile[]
  signal?: AbortSignal
}

export const call = (sandbox: Sandbox, code: string, options: CallOptions = {}) =>
  sandbox.execute({ session: 's', files: [], signal: new AbortController().signal, code, ...options })

export const logsOf = ({ outputs }: Execution) =>
  outputs.map((output) => (output.type === 'logs' ? output.logs : '')).join('')
