import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Config } from './config.ts'
import type { Sandbox, SandboxLimits } from './sandbox/sandbox.ts'

export interface CodeSandbox {
  /** The sandbox, or in a sentence that there is none. Which it is is found out once, by trying to break out of it. */
  ready(): Promise<Sandbox | string>
  /** What can be imported besides the standard library, in a sentence. */
  packages(): Promise<string>
  /** Ends what runs for a thread, and forgets it. */
  endSession(thread_id: string): Promise<void>
  close(): Promise<void>
}

type Driver = Sandbox['driver']

const driversOf: Record<Config['CODE_INTERPRETER'], Driver[]> = {
  auto: ['pyodide', 'bubblewrap'],
  pyodide: ['pyodide'],
  bubblewrap: ['bubblewrap'],
  off: [],
}

/** Nothing of it is loaded before it is asked for. */
export function createCodeSandbox(config: Config, logger: Logger): CodeSandbox {
  let found: Promise<Sandbox | string> | undefined
  let opened: Sandbox | undefined
  let isClosing = false

  async function find(): Promise<Sandbox | string> {
    if (config.CODE_INTERPRETER === 'off') return 'code_interpreter is switched off on this server.'
    for (const driver of driversOf[config.CODE_INTERPRETER]) {
      opened = await open(driver, config)
      const { selfTest } = await import('./sandbox/self-test.ts')
      if (isClosing) return stopped
      const flaw = opened ? await selfTest(opened, join(config.DATA_DIR, 'sandbox')) : 'It is not to be had here.'
      if (isClosing) return stopped
      if (opened && flaw === undefined) {
        logger.info(`code_interpreter: ${isolations[driver]}; what must be impossible was tried, and is`)
        return opened
      }
      await opened?.close()
      logger.error(`code_interpreter: ${driver} cannot be used. ${flaw}`)
    }
    return 'code_interpreter is off on this server, because code could not be isolated; the log of its start says why.'
  }

  return {
    ready() {
      found ??= find().catch((error) => {
        logger.error(error, 'code_interpreter is off: its isolation could not be tested')
        return 'code_interpreter is off on this server, because its isolation could not be tested.'
      })
      return found
    },

    async packages() {
      const sandbox = await this.ready()
      if (typeof sandbox === 'string' || sandbox.driver === 'bubblewrap') return ''
      const wheels = config.CODE_INTERPRETER_WHEELS ? await readdir(config.CODE_INTERPRETER_WHEELS) : []
      const names = wheels.filter((name) => name.endsWith('.whl')).map((name) => name.split('-')[0])
      return names.length > 0
        ? `Packages besides the standard library: ${names.join(', ')}.`
        : 'Only the standard library is there: neither numpy nor pandas nor matplotlib.'
    },

    async endSession(thread_id) {
      await opened?.endSession(thread_id)
    },

    /** Also in the middle of the test, which ends with what it tests. */
    async close() {
      isClosing = true
      await opened?.close()
      await found
    },
  }
}

const stopped = 'The server is stopping.'

const isolations: Record<Driver, string> = {
  pyodide: 'Python as WebAssembly in Deno without permissions',
  bubblewrap: "the host's Python in namespaces of its own",
}

async function open(driver: Driver, config: Config): Promise<Sandbox | undefined> {
  const limits: Partial<SandboxLimits> = {
    timeoutMs: config.CODE_INTERPRETER_TIMEOUT_SECONDS * 1000,
    idleMs: config.CODE_INTERPRETER_IDLE_SECONDS * 1000,
    memoryMiB: config.CODE_INTERPRETER_MEMORY_MIB,
    sessions: config.CODE_INTERPRETER_SESSIONS,
  }
  if (driver === 'pyodide') {
    const { createPyodideSandbox } = await import('./sandbox/pyodide.ts')
    const folder = join(config.DATA_DIR, 'sandbox')
    return createPyodideSandbox({ folder, wheels: config.CODE_INTERPRETER_WHEELS, ...limits })
  }
  const { createBubblewrapSandbox } = await import('./sandbox/bubblewrap.ts')
  return createBubblewrapSandbox({ python: config.CODE_INTERPRETER_PYTHON, ...limits })
}
