import { readFile } from 'node:fs/promises'
import { startInterpreter } from '../../src/sandbox/interpreter-process.ts'
import { defaultLimits, interpreterLimits, type Sandbox } from '../../src/sandbox/sandbox.ts'
import { createSessions } from '../../src/sandbox/sessions.ts'

/** The host's Python with a /mnt/data of its own, and with all else that the host has. */
export async function createUnprotected(): Promise<Sandbox> {
  const source = (name: string) => readFile(new URL(`../../src/sandbox/python/${name}.py`, import.meta.url), 'utf8')
  const [server = '', interpreter, figures] = await Promise.all(['server', 'interpreter', 'figures'].map(source))
  const { logBytes, fileBytes } = defaultLimits
  const launch = () => ({
    command: 'bwrap',
    args: ['--dev-bind', '/', '/', '--tmpfs', '/mnt', '--dir', '/mnt/data', '/usr/bin/python3', '-I', '-c', server],
    env: { ...process.env } as Record<string, string>,
    descriptors: { orders: 3, answers: 4 },
    init: { type: 'init' as const, interpreter, figures, limits: { logBytes, fileBytes, ...interpreterLimits } },
  })
  return createSessions('bubblewrap', defaultLimits, async () => startInterpreter(launch(), defaultLimits))
}
