import type { CompletionChunk } from '../completer.ts'

export type FinishReason = Extract<CompletionChunk, { type: 'end' }>['finish_reason']

/** What servers say beside OpenAI's own words. `model_length` is Mistral's, `sensitive` Zhipu's, capitals Gemini's. */
const reasons: Record<string, FinishReason | 'error'> = {
  length: 'length',
  max_tokens: 'length',
  model_length: 'length',
  content_filter: 'content_filter',
  safety: 'content_filter',
  sensitive: 'content_filter',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  error: 'error',
  network_error: 'error',
  insufficient_system_resource: 'error',
}

/** Why an answer ended. `error`: it is none. Whatever else a server says, such as `eos_token`, is a normal end. */
export const finishReasonOf = (given: unknown): FinishReason | 'error' =>
  given === 'stop' ? 'stop' : (reasons[String(given).toLowerCase()] ?? 'stop')
