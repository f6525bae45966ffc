import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import type { Turn } from './backend.ts'

/** The backend answers with a status and this body, as it is. */
export const refuseAs =
  (status: number, body: unknown): Turn =>
  ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

/** As OpenAI wraps what it says. */
export const openAIError = (message: string, more: object = {}) => ({
  error: { message, type: 'invalid_request_error', param: null, code: null, ...more },
})

/** A backend that refuses such requests, and answers the others. */
export const strict =
  (isRefused: (body: ChatCompletionCreateParams) => unknown, status: number, body: unknown): Turn =>
  (exchange) =>
    isRefused(exchange.body) ? refuseAs(status, body)(exchange) : exchange.text('Hello.')
