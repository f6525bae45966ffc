import OpenAI from 'openai'
import type { ChatCompletionChunk, ChatCompletionCreateParamsStreaming } from 'openai/resources/chat/completions'
import type { CompletionUsage } from 'openai/resources/completions'
import type { Model } from '../schemas/models.ts'
import type { Usage } from '../schemas/usage.ts'
import { completionError } from './backend-error.ts'
import { type Completer, type CompletionChunk, CompletionError, type CompletionRequest } from './completer.ts'
import { createEmbedder, type Embedder } from './embeddings.ts'
import { mayRetry, type Patience } from './retry.ts'
import { fetchDirectly } from './transport.ts'

export interface BackendOptions extends Patience {
  baseURL?: string | undefined
  apiKey: string
}

/** The run decides how long a call may take, and the SDK knows no other way to say so. */
const noTimeout = 2 ** 31 - 1

/** The models that a backend lists, its answers, and the vectors of its embedding models. */
export interface Backend extends Completer {
  models(): Promise<Model[]>
  /** To be made once and kept: it learns how many texts the backend takes at once. */
  embedder(model: string): Embedder
}

export function connect({ baseURL, apiKey, ...patience }: BackendOptions): Backend {
  // What the SDK cannot parse it would print, and that is what somebody said.
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, logLevel: 'off', fetch: fetchDirectly })

  return {
    async models() {
      const { data } = await client.models.list({ timeout: 10_000 })
      // Some backends add keys of their own, or leave out `created`.
      return data.map(({ id, created = 0, owned_by = 'backend' }) => ({ id, object: 'model', created, owned_by }))
    },

    windowOf: async () => undefined,

    embedder: (model) => createEmbedder(client, model, patience),

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
          if (begun || !(await mayRetry(error, attempt, patience, signal))) throw completionError(error, request.model)
        }
      }
    },
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
