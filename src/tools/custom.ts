import { pathToFileURL } from 'node:url'
import type { Logger } from 'pino'
import { ConfigError } from '../config.ts'
import type { FunctionCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { builtInTools, type CustomType } from '../schemas/tools.ts'
import { type ArgumentCheck, createArgumentCheck } from './arguments.ts'
import type { ServerTool } from './registry.ts'

export interface CustomToolContext {
  run: Run
  logger: Logger
  /** Aborts when the run is cancelled or has expired, the server stops, or the call takes too long. */
  signal: AbortSignal
}

/** What a module named in TOOLS exports. */
export interface CustomTool {
  /** By which an assistant enables it and the model calls it: letters, digits, `_` and `-`. */
  name: string
  /** Tells the model what it is for. */
  description: string
  /** A JSON schema of an object; what does not fit it is refused before `call`. */
  parameters: Record<string, unknown>
  /** How long a call may take; 60 seconds unless told otherwise. */
  timeoutMs?: number
  /** What the model is told. Whatever is thrown is told to the model too, and ends no run. */
  call(args: never, context: CustomToolContext): string | Promise<string>
}

const defaultTimeoutMs = 60_000
/** A model reads no more at once; about 25,000 tokens. */
const maxCharacters = 100_000

/** The tools of these modules, by their paths from `folder`. Throws a ConfigError that says what is wrong with one. */
export async function loadTools(paths: readonly string[], folder: string, logger: Logger): Promise<ServerTool[]> {
  const tools: ServerTool[] = []
  for (const path of paths) {
    const exported = await import(new URL(path, pathToFileURL(`${folder}/`)).href).catch((error: Error) => {
      throw new ConfigError(`TOOLS names '${path}', which cannot be loaded: ${error.message}`, { cause: error })
    })
    const tool = exported.default ?? exported
    const flaw = flawOf(tool)
    if (flaw) throw new ConfigError(`TOOLS names '${path}', but ${flaw}.`)
    const { name, parameters }: CustomTool = tool
    const check = await createArgumentCheck(parameters).catch((error: Error) => {
      throw new ConfigError(`The parameters of the tool '${name}' are no JSON schema: ${error.message}`)
    })
    tools.push(createCustomTool(tool, check, logger))
  }
  return tools
}

function flawOf({ name, description, parameters, call, timeoutMs }: Partial<CustomTool>): string | undefined {
  if (typeof name !== 'string' || !/^[a-zA-Z0-9_-]{1,64}$/.test(name)) return 'it exports no good `name`'
  if (builtInTools.includes(name)) return `its name '${name}' is taken`
  if (typeof description !== 'string' || description === '') return 'it exports no `description`'
  if (typeof parameters !== 'object' || parameters === null) return 'it exports no JSON schema as `parameters`'
  if (typeof call !== 'function') return 'it exports no function `call`'
  if (timeoutMs !== undefined && !(timeoutMs > 0)) return 'its `timeoutMs` is no time'
  return undefined
}

/** A tool of the operator's: in run steps it is a function call with its output. */
export function createCustomTool(tool: CustomTool, check: ArgumentCheck, logger: Logger): ServerTool {
  const { name, description, parameters, timeoutMs = defaultTimeoutMs } = tool

  async function outputOf(written: string, run: Run, running: AbortSignal): Promise<string> {
    const args = parsed(written)
    if (args === undefined) return 'The arguments are not valid JSON. Call again with a JSON object.'
    const flaw = check(args)
    if (flaw !== undefined) return `The arguments do not fit: ${flaw}. Call again.`
    running.throwIfAborted()
    const timeout = AbortSignal.timeout(timeoutMs)
    const signal = AbortSignal.any([running, timeout])
    const called = Promise.resolve().then(() => tool.call(args as never, { run, logger, signal }))
    const output = await Promise.race([called, aborted(signal)])
    if (typeof output !== 'string') throw new TypeError(`it returned no text but ${typeof output}`)
    return output
  }

  return {
    type: name,
    describe: async () => ({ type: 'function', function: { name, description, parameters } }),
    begin: (_run, id) => ({ id, type: 'function', function: { name, arguments: '', output: null } }),
    ready: async () => {},
    async answer(call, { run, signal }) {
      if (call.type !== 'function') throw new Error(`The tool '${name}' does not answer such calls.`)
      const startedAt = performance.now()
      const line = () => ({ run_id: run.id, tool: name, ms: Math.round(performance.now() - startedAt) })
      try {
        const output = await outputOf(call.function.arguments, run, signal)
        logger.info(line(), 'tool')
        return answered(call, output)
      } catch (error) {
        signal.throwIfAborted()
        logger.warn({ ...line(), err: error }, 'tool')
        return answered(call, `The tool failed: ${reasonOf(error, timeoutMs)}.`)
      }
    },
  }
}

const answered = (call: FunctionCall, output: string): FunctionCall => ({
  ...call,
  function: { ...call.function, output: cut(output) },
})

const cut = (output: string) =>
  output.length <= maxCharacters
    ? output
    : `${output.slice(0, maxCharacters)}\n[The output was longer and is cut here.]`

/** A model that has nothing to say to a tool writes nothing at all. */
export function parsed(written: string): unknown {
  try {
    return JSON.parse(written.trim() || '{}')
  } catch {
    return undefined
  }
}

/** A tool that does not listen to its signal is left alone with its work. */
const aborted = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

function reasonOf(error: unknown, timeoutMs: number): string {
  if (error instanceof DOMException && error.name === 'TimeoutError') return `it took longer than ${timeoutMs} ms`
  return error instanceof Error ? error.message : String(error)
}

/** The types by which assistants may enable tools of the operator's. */
export const customTypesOf = (tools: readonly ServerTool[]): ReadonlySet<string> =>
  new Set(tools.map(({ type }) => type as CustomType))
