import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { ConfigError } from '../config.ts'
import type { ToolCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { isFunction } from '../schemas/tools.ts'
import type { Usage } from '../schemas/usage.ts'

/** How a run waits for something else than its own tools and model. */
export interface Waiting {
  signal: AbortSignal
  /** Others may have what the run holds meanwhile. */
  aside<T>(waiting: Promise<T>): Promise<T>
}

export interface ToolContext extends Waiting {
  run: Run
  /** How many calls of this tool the run has made before. */
  earlier: number
  /** The model sees calls of this tool, of this run or of earlier ones. */
  hasCalled: boolean
  /** What the run may still spend; null for no limit. */
  budget: Pick<Run, 'max_completion_tokens' | 'max_prompt_tokens'>
  /** The id of a file of these bytes, which exists once the answer is kept, and never if it is not. */
  makeFile(filename: string, bytes: Uint8Array): Promise<string>
  /** Adds to what the run has spent, once the answer is kept. */
  spend(usage: Usage): void
  /** Writes into the metadata of the step, at once. */
  note(key: string, value: string): Promise<void>
}

/** A tool that runs here. The model knows it as a function whose name is its type. */
export interface ServerTool<Call extends ToolCall = ToolCall> {
  /** By which an assistant enables it. */
  readonly type: string
  /** The calls of one turn go on from where the one before ended; otherwise they are answered all at once. */
  readonly isStateful?: boolean
  describe(run: Run): Promise<ChatCompletionFunctionTool>
  /** A call as its step shows it until it is answered. */
  begin(run: Run, id: string): Call
  /**
   * Reads the arguments of a new call, piece by piece as the model writes them; puts what clients are to see of them into
   * the call, and gives each piece of that as a delta has it. Absent: clients see nothing of them.
   */
  reader?(call: Call): (piece: string) => Partial<Call> | undefined
  /** Resolves when the first turn of a run may begin. Rejects with the signal's reason. */
  ready(run: Run, waiting: Waiting): Promise<void>
  /**
   * The call with its outcome, and with what the model is told of it as its output. What fails is told to the model,
   * and ends no run. May be called again for the same call after a crash. Rejects with the signal's reason, or because a
   * file could not be made.
   */
  answer(call: Call, context: ToolContext): Promise<Call>
}

/** The server's tools that a run may call, by the names that the model knows. */
export type RunTools = ReadonlyMap<string, ServerTool>

export interface ToolRegistry {
  /** A function of the client's by the same name goes first. */
  of(run: Run): RunTools
}

/** Throws a ConfigError if two tools have one type. */
export function createRegistry(tools: readonly ServerTool[]): ToolRegistry {
  const byType = new Map<string, ServerTool>()
  for (const tool of tools) {
    if (byType.has(tool.type)) throw new ConfigError(`Two tools have the same type: '${tool.type}'.`)
    byType.set(tool.type, tool)
  }
  return {
    of(run) {
      const found = new Map<string, ServerTool>()
      for (const { type } of run.tools) {
        const tool = byType.get(type)
        if (tool) found.set(type, tool)
      }
      for (const tool of run.tools.filter(isFunction)) found.delete(tool.function.name)
      return found
    },
  }
}

/** The name by which the model called. */
export const nameOf = (call: ToolCall): string => (call.type === 'function' ? call.function.name : call.type)

export const isAnswered = (call: ToolCall): boolean =>
  call.type === 'function' ? call.function.output !== null : call.model_call?.output != null
