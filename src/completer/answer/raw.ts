/**
 * What a server sends as a chunk of an answer, or as a whole one. Only its shape is believed: every value is looked at
 * before it is used.
 */
export interface RawChunk {
  choices?: unknown
  usage?: unknown
  error?: unknown
  object?: unknown
  type?: unknown
  message?: unknown
  detail?: unknown
  x_groq?: unknown
}

export interface RawChoice {
  delta?: unknown
  /** In an answer that is not streamed; some servers send it in chunks too. */
  message?: unknown
  finish_reason?: unknown
  usage?: unknown
  error?: unknown
}

export interface RawDelta {
  content?: unknown
  refusal?: unknown
  reasoning_content?: unknown
  reasoning?: unknown
  /** OpenRouter's. */
  reasoning_details?: unknown
  tool_calls?: unknown
  /** What tool calls were before they were many. */
  function_call?: unknown
}

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What can be a number of tokens, or a time. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0

/** The text of a `content`. Mistral sends a list of parts, of which those of the type `thinking` are no text. */
export function textIn(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => (isRecord(part) && typeof part.text === 'string' ? part.text : '')).join('')
}
