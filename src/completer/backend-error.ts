import OpenAI from 'openai'
import { CompletionError, keyHeader } from './completer.ts'

/** An answer that did not come, or not to its end. While nothing of it has been passed on, it may be asked for again. */
export class BrokenOffError extends CompletionError {
  constructor(message: string, options?: ErrorOptions) {
    super('server_error', message, options)
  }
}

/** A stream that was closed properly, with nothing in it. */
export class MuteError extends BrokenOffError {
  constructor() {
    super('The model backend sent an answer with nothing in it.')
  }
}

/** An answer that no model gives, such as a page. */
export class NoAnswerError extends Error {
  readonly contentType: string

  constructor(contentType: string) {
    super('This is no answer of a model.')
    this.contentType = contentType
  }
}

/** A connection that broke in the middle of a body; its errors have a code, of the system or of undici. */
export const isBrokenConnection = (error: unknown): error is Error & { code: string } =>
  error instanceof Error &&
  !(error instanceof OpenAI.APIError || error instanceof CompletionError) &&
  'code' in error &&
  typeof error.code === 'string'

/** What to look at when a call fails, as an operator or a client knows it. */
export interface Whereabouts {
  /** The model as the backend knows it, and as the run has it. */
  model: string
  asked?: string | undefined
  keyIn?: string
  urlIn?: string
  /** The key was the client's. */
  isClientKey?: boolean
}

/** What a failed call of the backend means to the client of the API. An error of ours stays as it is. */
export function completionError(error: unknown, whereabouts: Whereabouts): unknown {
  const { model, asked = model, keyIn = 'OPENAI_API_KEY', urlIn = 'OPENAI_BASE_URL', isClientKey = false } = whereabouts
  const failed = (code: CompletionError['code'], message: string) =>
    new CompletionError(code, message, { cause: error })
  if (error instanceof CompletionError) return error
  if (error instanceof OpenAI.APIConnectionError || isBrokenConnection(error)) {
    return failed('server_error', `The connection to the model backend failed: ${rootOf(error)}.`)
  }
  if (error instanceof NoAnswerError) {
    const what = error.contentType || 'something'
    return failed(
      'server_error',
      `The model backend answered with ${what} that is no answer of a model. Check ${urlIn}: for most backends it ends in /v1.`,
    )
  }
  // The second is of what is nested too deeply.
  if (error instanceof SyntaxError || error instanceof RangeError)
    return failed('server_error', 'The model backend sent a malformed stream.')
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
        isClientKey
          ? `The model backend refused the key of the header ${keyHeader}. It said: ${said}`
          : `The model backend refused this server's key. Check ${keyIn}. It said: ${said}`,
      )
    case 404: {
      const name = asked === model ? `'${model}'` : `'${model}', which stands for '${asked}'`
      return failed(
        'server_error',
        `The model backend does not serve ${name}. Use a model that GET /v1/models lists, or check ${urlIn}. It said: ${said}`,
      )
    }
    case 429:
      return failed('rate_limit_exceeded', said)
    default:
      return failed('server_error', `The model backend failed: ${said}`)
  }
}

function rootOf(error: Error): string {
  let root: unknown = error
  while (root instanceof Error && root.cause instanceof Error) root = root.cause
  // One for each address of a name, and no words of its own.
  if (root instanceof AggregateError) root = root.errors.at(-1)
  const { code, message } = root as Error & { code?: string }
  return code && !message.includes(code) ? `${code} ${message}` : message
}
