import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from 'openai/resources/chat/completions'
import type { CompletionUsage } from 'openai/resources/completions'
import type { Model } from '../schemas/models.ts'
import type { Usage } from '../schemas/usage.ts'
import { type Completer, type CompletionChunk, CompletionError, type CompletionRequest } from './completer.ts'
import { fetchDirectly } from './transport.ts'

export interface BackendOptions {
  baseURL?: string | undefined
  apiKey: string
  /** Calls beyond the first, while no part of the answer has come. */
  maxRetries: number
  /** The wait before the first retry; it doubles from one to the next. A `retry-after` of the backend goes first. */
  backoffMs: number
}

const maxWaitMs = 60_000
/** The run decides how long a call may take, and the SDK knows no other way to say so. */
const noTimeout = 2 ** 31 - 1

/** The models that a backend lists, and its answers. */
export interface Backend extends Completer {
  models(): Promise<Model[]>
}

export function connect({ baseURL, apiKey, maxRetries, backoffMs }: BackendOptions): Backend {
  // What the SDK cannot parse it would print, and that is what somebody said.
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, logLevel: 'off', fetch: fetchDirectly })

  return {
    async models() {
      const { data } = await client.models.list({ timeout: 10_000 })
      // Some backends add keys of their own, or leave out `created`.
      return data.map(({ id, created = 0, owned_by = 'backend' }) => ({ id, object: 'model', created, owned_by }))
    },

    async *complete(request, signal) {
      for (let attempt = 0; ; attempt++) {
        let begun = false
        try {
          const stream = await client.chat.completions.create(paramsOf(request), { signal, timeout: noTimeout })
          for await (const chunk of chunksOf(stream)) {
            begun = true
            yield chunk
          }
          // The SDK ends an aborted stream as if it were complete.
          signal.throwIfAborted()
          return
        } catch (error) {
          signal.throwIfAborted()
          if (begun || attempt >= maxRetries || !isTransient(error)) throw completionError(error, request.model)
          await pause(waitMs(error, backoffMs * 2 ** attempt), signal)
        }
      }
    },
  }
}

/** Rejects with the signal's reason. */
async function pause(ms: number, signal: AbortSignal) {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

function paramsOf(request: CompletionRequest): ChatCompletionCreateParamsStreaming {
  const { tools, tool_choice, parallel_tool_calls, response_format, reasoning_effort, max_completion_tokens } = request
  return {
    model: request.model,
    messages: request.messages,
    temperature: request.temperature,
    top_p: request.top_p,
    ...(tools.length > 0 && { tools, tool_choice, parallel_tool_calls }),
    ...(response_format !== 'auto' && {
      response_format: response_format as ChatCompletionCreateParamsStreaming['response_format'],
    }),
    ...(reasoning_effort !== null && {
      reasoning_effort: reasoning_effort as ChatCompletionCreateParamsStreaming['reasoning_effort'],
    }),
    ...(max_completion_tokens !== null && { max_completion_tokens }),
    stream: true,
    stream_options: { include_usage: true },
  }
}

async function* chunksOf(stream: AsyncIterable<ChatCompletionChunk>): AsyncGenerator<CompletionChunk> {
  let finish_reason: Extract<CompletionChunk, { type: 'end' }>['finish_reason'] | undefined
  let usage: CompletionUsage | null | undefined
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage
    const choice = chunk.choices?.[0]
    if (!choice) continue
    const { content, refusal, tool_calls } = choice.delta ?? {}
    if (content) yield { type: 'text', text: content }
    if (refusal) yield { type: 'refusal', text: refusal }
    for (const call of tool_calls ?? []) {
      const name = call.function?.name
      yield { type: 'tool_call', index: call.index, ...(name && { name }), arguments: call.function?.arguments ?? '' }
    }
    if (choice.finish_reason) {
      finish_reason = choice.finish_reason === 'function_call' ? 'tool_calls' : choice.finish_reason
    }
  }
  // Neither a reason nor the usage after it: what looks like an end is a connection that was closed.
  if (!finish_reason && !usage) throw new CompletionError('server_error', 'The model backend broke off its answer.')
  yield { type: 'end', finish_reason: finish_reason ?? 'stop', usage: usageOf(usage) }
}

function usageOf(usage: CompletionUsage | null | undefined): Usage {
  const prompt_tokens = usage?.prompt_tokens ?? 0
  const completion_tokens = usage?.completion_tokens ?? 0
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: usage?.total_tokens ?? prompt_tokens + completion_tokens,
    prompt_token_details: { cached_tokens: usage?.prompt_tokens_details?.cached_tokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: usage?.completion_tokens_details?.reasoning_tokens ?? 0 },
  }
}

/** Worth another try: the backend is busy, broken for the moment, or went away before it said anything. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof OpenAI.APIError)) return isBrokenConnection(error)
  if (error instanceof OpenAI.APIConnectionError) return true
  if (error.status === 429) return error.code !== 'insufficient_quota'
  return error.status !== undefined && (error.status === 408 || error.status === 409 || error.status >= 500)
}

/** A connection that broke in the middle of a body; its errors have a code, of the system or of undici. */
const isBrokenConnection = (error: unknown): error is Error & { code: string } =>
  error instanceof Error && !(error instanceof OpenAI.APIError) && 'code' in error && typeof error.code === 'string'

function waitMs(error: unknown, backoff: number): number {
  const headers = error instanceof OpenAI.APIError ? error.headers : undefined
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN)
  const seconds = Number(headers?.get('retry-after') ?? Number.NaN)
  const asked = Number.isFinite(ms) ? ms : seconds * 1000
  return Math.min(Number.isFinite(asked) && asked >= 0 ? asked : backoff * (1 + Math.random() / 4), maxWaitMs)
}

function completionError(error: unknown, model: string): unknown {
  const failed = (code: CompletionError['code'], message: string) =>
    new CompletionError(code, message, { cause: error })
  if (error instanceof OpenAI.APIConnectionError || isBrokenConnection(error)) {
    return failed('server_error', `The connection to the model backend failed: ${rootOf(error)}.`)
  }
  if (error instanceof SyntaxError) return failed('server_error', 'The model backend sent a malformed stream.')
  if (!(error instanceof OpenAI.APIError)) return error
  // The SDK puts the status before the backend's words.
  const said = error.message.replace(/^\d{3} /, '')
  switch (error.status) {
    case 400:
    case 413:
    case 422:
      return failed('invalid_prompt', said)
    case 401:
    case 403:
      return failed(
        'server_error',
        `The model backend refused this server's key. Check OPENAI_API_KEY. It said: ${said}`,
      )
    case 404:
      return failed(
        'server_error',
        `The model backend does not serve '${model}'. Use a model that GET /v1/models lists, or check OPENAI_BASE_URL. It said: ${said}`,
      )
    case 429:
      return failed('rate_limit_exceeded', said)
    default:
      return failed('server_error', `The model backend failed: ${said}`)
  }
}

function rootOf(error: Error): string {
  let root: unknown = error
  while (root instanceof Error && root.cause instanceof Error) root = root.cause
  const { code, message } = root as Error & { code?: string }
  return code && !message.includes(code) ? `${code} ${message}` : message
}
