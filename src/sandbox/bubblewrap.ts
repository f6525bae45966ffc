import { execFile } from 'node:child_process'
import { existsSync, lstatSync, readlinkSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { promisify } from 'node:util'
import { findConfinement } from './confine.ts'
import { type Launch, startInterpreter } from './interpreter-process.ts'
import { defaultLimits, interpreterLimits, type Sandbox, type SandboxLimits } from './sandbox.ts'
import { seccompFilter } from './seccomp.ts'
import { createSessions } from './sessions.ts'

export interface BubblewrapOptions extends Partial<SandboxLimits> {
  /** The host's Python, with the packages that code is to have. */
  python?: string
  /** Processes and threads at once in one session. */
  processes?: number
}

const run = promisify(execFile)
const mebibyte = 1024 * 1024
const seccompDescriptor = 5

/**
 * The host's python3 in namespaces of its own. All that can be written is in memory: /mnt/data, /tmp and /dev/shm, each of
 * a bounded size. Undefined where bubblewrap or the host's Python cannot be used.
 */
export async function createBubblewrapSandbox(options: BubblewrapOptions): Promise<Sandbox | undefined> {
  const { python = '/usr/bin/python3', processes = 64, ...given } = options
  const limits = { ...defaultLimits, ...given }
  const seccomp = seccompFilter()
  const { hasPrlimit } = await findConfinement()
  if (!seccomp || !hasPrlimit) return undefined
  const source = (name: string) => readFile(new URL(`python/${name}.py`, import.meta.url), 'utf8')
  const [server, interpreter, figures] = await Promise.all(['server', 'interpreter', 'figures'].map(source))
  const bare = commandOf(python, limits, processes)
  const works = await run(bare[0] ?? '', [...bare.slice(1), '-c', 'pass'], { env: {}, timeout: 20_000 }).then(
    () => true,
    () => false,
  )
  if (!works) return undefined
  const { logBytes, fileBytes } = limits
  const [command = '', ...args] = commandOf(python, limits, processes, seccompDescriptor)
  const launch: Launch = {
    command,
    args: [...args, '-c', server ?? ''],
    env: {},
    descriptors: { orders: 3, answers: 4 },
    given: { descriptor: seccompDescriptor, bytes: seccomp },
    // Two processes are bubblewrap's own.
    folders: { depth: 2, paths: ['/mnt/data', '/tmp', '/dev/shm'] },
    init: { type: 'init', interpreter, figures, limits: { logBytes, fileBytes, ...interpreterLimits } },
  }
  return createSessions('bubblewrap', limits, async () => startInterpreter(launch, limits))
}

function commandOf(python: string, limits: SandboxLimits, processes: number, seccomp?: number): string[] {
  const { memoryMiB, fileBytes } = limits
  const tmpfs = (path: string, bytes: number) => ['--perms', '0700', '--size', String(bytes), '--tmpfs', path]
  const args = [
    ...['--unshare-all', '--unshare-user', '--disable-userns', '--die-with-parent', '--new-session', '--clearenv'],
    ...['--cap-drop', 'ALL', '--hostname', 'sandbox'],
    ...systemFolders(python),
    ...['--proc', '/proc', '--dev', '/dev'],
    ...tmpfs('/dev/shm', 64 * mebibyte),
    ...tmpfs('/tmp', Math.max(fileBytes, 64 * mebibyte)),
    ...tmpfs('/mnt/data', Math.max(4 * fileBytes, 64 * mebibyte)),
    // These would be of no bounded size.
    ...['--remount-ro', '/dev', '--remount-ro', '/'],
    ...['--chdir', '/mnt/data', '--setenv', 'PATH', '/usr/local/bin:/usr/bin:/bin', '--setenv', 'HOME', '/tmp'],
    ...['--setenv', 'LANG', 'C.UTF-8', '--setenv', 'OPENBLAS_NUM_THREADS', '2', '--setenv', 'OMP_NUM_THREADS', '2'],
    ...(seccomp === undefined ? [] : ['--seccomp', String(seccomp)]),
  ]
  // Of a user of its own the kernel counts the processes; of root it counts none.
  const bounds = ['prlimit', '--core=0', '--nofile=256', `--nproc=${processes}`, `--data=${memoryMiB * mebibyte}`]
  return [...unprivileged(), 'bwrap', ...args, ...bounds, python, '-I', '-B', '-X', 'utf8']
}

/** A server that runs as root gives that up: nobody else is this user. */
function unprivileged(): string[] {
  if (process.getuid?.() !== 0) return []
  const user = 1_879_048_192 + (process.pid % 1_000_000)
  return ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--inh-caps', '-all', '--no-new-privs']
}

/** Programs and libraries, without any file that tells of this host or its users. */
function systemFolders(python: string): string[] {
  const args = ['--ro-bind', '/usr', '/usr']
  for (const path of ['/bin', '/sbin', '/lib', '/lib32', '/lib64']) {
    if (!existsSync(path)) continue
    if (lstatSync(path).isSymbolicLink()) args.push('--symlink', readlinkSync(path), path)
    else args.push('--ro-bind', path, path)
  }
  const settings = ['ld.so.cache', 'alternatives', 'fonts', 'matplotlibrc', 'localtime', 'mime.types']
  for (const name of settings) args.push('--ro-bind-try', `/etc/${name}`, `/etc/${name}`)
  const prefix = dirname(dirname(resolve(python)))
  if (!['/', '/usr', '/usr/local'].includes(prefix)) args.push('--ro-bind', prefix, prefix)
  return args
}
