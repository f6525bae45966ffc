import { APIError } from 'openai'
import { isRecord, type RawChunk } from './raw.ts'

/** By their names: servers have many, and most say with them what others say by an HTTP status. */
const statuses: readonly [RegExp, number][] = [
  [/rate_?limit|too_?many|throttl|quota|resource_?exhausted/i, 429],
  [/overloaded|unavailable|timeout/i, 503],
  [/auth|permission|api_?key|forbidden/i, 401],
  [/not_?found/i, 404],
  [/invalid|bad_?request|validation|context_?length|unprocessable/i, 400],
]

/**
 * The error in what should have been a piece of an answer, as the one that the SDK throws for the same as an HTTP
 * status, so that it is retried and told as that.
 */
export function errorIn(chunk: RawChunk, headers: Headers): APIError | undefined {
  if (chunk.error) return errorOf(chunk, headers)
  if (chunk.choices) return undefined
  const isError = chunk.object === 'error' || chunk.type === 'error' || 'message' in chunk || 'detail' in chunk
  return isError ? errorOf(chunk, headers) : undefined
}

export function errorOf(body: object, headers: Headers): APIError {
  const { error } = errorBody(body)
  return APIError.generate(statusOf({ ...body, ...error }), { error }, undefined, headers)
}

/**
 * The body of an error as OpenAI has it, `{"error": {…}}`. `{"error": "…"}` is Ollama's, `{"object": "error",
 * "message": "…"}` vLLM's and Mistral's, `[{"error": {…}}]` Gemini's, `{"detail": "…"}` FastAPI's.
 */
export function errorBody(body: unknown): { error: Record<string, unknown> } {
  const [first]: unknown[] = [body].flat()
  const around = isRecord(first) ? first : {}
  const said = isRecord(around.error) ? around.error : { ...around, message: around.error ?? around.message }
  const words = [said.message, said.detail].find((text) => typeof text === 'string' && text !== '')
  return { error: { ...said, message: words ?? JSON.stringify(first) } }
}

function statusOf(said: Record<string, unknown>): number {
  for (const value of [said.code, said.status, said.status_code]) {
    const number = Number(value)
    if (number >= 400 && number < 600) return number
  }
  // Ours is TGI's.
  const names = [said.code, said.type, said.status, said.error_type]
    .filter((name) => typeof name === 'string')
    .join(' ')
  return statuses.find(([pattern]) => pattern.test(names))?.[1] ?? 500
}
