import OpenAI from 'openai'
import type { ChatCompletionCreateParamsStreaming } from 'openai/resources/chat/completions'
import type { Model } from '../schemas/models.ts'
import { AnswerReader } from './answer/answer.ts'
import { errorBody } from './answer/error-object.ts'
import { defaultIdleMs, type IdleMs, stalled } from './answer/idle.ts'
import { readAnswer } from './answer/response.ts'
import { ThinkingModels } from './answer/thinking.ts'
import { completionError } from './backend-error.ts'
import type { Completer, CompletionRequest } from './completer.ts'
import { createEmbedder, type Embedder } from './embeddings.ts'
import { mayRetry, type Patience } from './retry.ts'
import { fetchDirectly } from './transport.ts'

export interface BackendOptions extends Patience {
  baseURL?: string | undefined
  apiKey: string
  /** How long the backend may be silent. How long a call may take in all, the run decides. */
  idleMs?: IdleMs
}

/** The models that a backend lists, its answers, and the vectors of its embedding models. */
export interface Backend extends Completer {
  models(): Promise<Model[]>
  /** To be made once and kept: it learns how many texts the backend takes at once. */
  embedder(model: string): Embedder
}

/** The SDK finds the words of an error only where OpenAI has them. */
class BackendClient extends OpenAI {
  protected override makeStatusError(status: number, body: object, message: string | undefined, headers: Headers) {
    return super.makeStatusError(status, body && errorBody(body), message, headers)
  }
}

export function connect({ baseURL, apiKey, idleMs = defaultIdleMs, ...patience }: BackendOptions): Backend {
  // What the SDK cannot parse it would print, and that is what somebody said.
  const client = new BackendClient({ baseURL, apiKey, maxRetries: 0, logLevel: 'off', fetch: fetchDirectly })
  const thinking = new ThinkingModels()

  return {
    async models() {
      const { data } = await client.models.list({ timeout: 10_000 })
      // Some backends add keys of their own, or leave out `created`.
      return data.map(({ id, created = 0, owned_by = 'backend' }) => ({ id, object: 'model', created, owned_by }))
    },

    windowOf: async () => undefined,

    embedder: (model) => createEmbedder(client, model, patience),

    async *complete(request, signal, place) {
      for (let attempt = 0; ; attempt++) {
        let begun = false
        try {
          const { model } = request
          const response = await client.chat.completions
            .create(paramsOf(request), { signal, timeout: idleMs.first })
            .asResponse()
          const answer = new AnswerReader(request, thinking.areOpened(model))
          for await (const chunk of readAnswer(response, answer, idleMs)) {
            if (!begun) place?.answered()
            begun = true
            yield chunk
          }
          signal.throwIfAborted()
          thinking.learn(model, answer.thoughts)
          return
        } catch (error) {
          signal.throwIfAborted()
          const failure = error instanceof OpenAI.APIConnectionTimeoutError ? stalled(idleMs.first) : error
          if (begun || !(await mayRetry(failure, attempt, patience, signal, place))) {
            throw completionError(failure, request.model)
          }
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
