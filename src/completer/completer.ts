import type {
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
  ChatCompletionToolChoiceOption,
} from 'openai/resources/chat/completions'
import type { LastError } from '../schemas/runs.ts'
import type { ResponseFormat } from '../schemas/tools.ts'
import type { Usage } from '../schemas/usage.ts'
import type { Gate, Place } from './gate.ts'

/** The header by which a client brings its own key for a backend. */
export const keyHeader = 'x-backend-key'

export interface CompletionRequest {
  model: string
  messages: ChatCompletionMessageParam[]
  tools: ChatCompletionFunctionTool[]
  tool_choice: ChatCompletionToolChoiceOption
  parallel_tool_calls: boolean
  response_format: ResponseFormat
  temperature: number
  top_p: number
  reasoning_effort: string | null
  /** What is left of the run's budget. */
  max_completion_tokens: number | null
  /** The backend's key that the client has brought for the run. */
  client_key?: string | undefined
}

/**
 * What a backend wants back with the calls of an answer, thoughts and signatures, under the names that it has for them:
 * some refuse the next call of the model without.
 */
export interface Reasoning {
  message: Record<string, unknown>
  /** By the indexes of the calls. */
  calls: Record<number, Record<string, unknown>>
}

export type CompletionChunk =
  | { type: 'text' | 'refusal'; text: string }
  /** The first chunk of an `index` carries the name; the arguments are pieces of a JSON text. */
  | { type: 'tool_call'; index: number; name?: string; arguments: string }
  /** Exactly one, at the end. */
  | {
      type: 'end'
      finish_reason: 'stop' | 'length' | 'tool_calls' | 'content_filter'
      usage: Usage
      /** The backend has not counted the prompt; it was counted here. */
      isEstimate?: boolean
      reasoning?: Reasoning | undefined
    }

export interface Completer {
  /**
   * One answer of the model, as it comes. Rejects with a CompletionError when there is none to be had, and with the
   * signal's reason once that aborts; the connection to the backend is closed then. `place`: where the model has a gate,
   * and has to be left by whoever took it.
   */
  complete(request: CompletionRequest, signal: AbortSignal, place?: Place): AsyncIterable<CompletionChunk>
  /** How many tokens prompt and answer may have together; undefined if that is not known. */
  windowOf(model: string): Promise<number | undefined>
}

/** Every model that can be asked, each where it is. */
export interface Models extends Completer {
  /** What its backend calls a model. */
  nameOf(model: string): string
  /** What the calls to a model have to pass; undefined if nothing. */
  gateOf(model: string): Gate | undefined
  /** Those of all backends. */
  readonly gates: readonly Gate[]
}

/** Some backends repeat all that they were sent. */
const longestMessage = 2000

/** The run's fault or the backend's: becomes the run's `last_error`. The message is read by the API's client. */
export class CompletionError extends Error {
  readonly code: LastError['code']

  constructor(code: LastError['code'], message: string, options?: ErrorOptions) {
    super(message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message, options)
    this.name = 'CompletionError'
    this.code = code
  }
}

/** The prompt was longer than the model's window; `window`: how many tokens that has, if the backend told. */
export class WindowError extends CompletionError {
  readonly window: number | undefined

  constructor(message: string, window: number | undefined, options?: ErrorOptions) {
    super('invalid_prompt', message, options)
    this.window = window
  }
}
