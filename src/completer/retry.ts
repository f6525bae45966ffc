import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import { BrokenOffError, isBrokenConnection } from './backend-error.ts'
import type { Place } from './gate.ts'

export interface Patience {
  /** Calls beyond the first, while no part of the answer has come. */
  maxRetries: number
  /** The wait before the first retry; it doubles from one to the next. A `retry-after` of the backend goes first. */
  backoffMs: number
}

const maxWaitMs = 60_000
/** A model that loads is asked for so often at least. */
const maxLoadingWaitMs = 5000

/**
 * Waits for the next try of a call that failed; false when there is none to be made. `attempt` counts the retries so
 * far, those while the model is loading apart, of which there is no end but the signal's. With a `place`, its gate hears of
 * the failure, and the wait ends when that lets the next try in. Rejects with the signal's reason.
 */
export async function mayRetry(
  error: unknown,
  attempt: number,
  { maxRetries, backoffMs }: Patience,
  signal: AbortSignal,
  place?: Place,
): Promise<boolean> {
  signal.throwIfAborted()
  const ms = waitMs(error, backoffMs * 2 ** attempt)
  // Begins before a gate that shuts for as long, so that this call is there when it opens.
  const mayHelp = isLoading(error) || (attempt < maxRetries && isTransient(error))
  const ready = mayHelp ? pause(ms, signal) : undefined
  if (place) tell(place, error, ms)
  if (!ready) return false
  await (place ? place.again(ready) : ready)
  return true
}

/** What the failure says of the backend; what is no answer of any kind says nothing. */
function tell(place: Place, error: unknown, waitMs: number) {
  if (!isTransient(error)) {
    if (error instanceof OpenAI.APIError) place.answered()
  } else if (isLoading(error) || (error instanceof OpenAI.APIError && error.status === 429)) place.limited(waitMs)
  else place.failed()
}

async function pause(ms: number, signal: AbortSignal) {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** The server is there, and the model will be: of llama.cpp, and of Hugging Face's. A large one takes minutes. */
export const isLoading = (error: unknown) =>
  error instanceof OpenAI.APIError && error.status === 503 && /\bloading\b/i.test(error.message)

/** Worth another try: the backend is busy, broken for the moment, or went away before it said anything. */
function isTransient(error: unknown): boolean {
  if (!(error instanceof OpenAI.APIError)) return error instanceof BrokenOffError || isBrokenConnection(error)
  if (error instanceof OpenAI.APIConnectionError) return true
  if (error.status === 429) return error.code !== 'insufficient_quota'
  return error.status !== undefined && (error.status === 408 || error.status === 409 || error.status >= 500)
}

function waitMs(error: unknown, backoff: number): number {
  const headers = error instanceof OpenAI.APIError ? error.headers : undefined
  const ms = Number(headers?.get('retry-after-ms') ?? Number.NaN)
  const asked = Number.isFinite(ms) ? ms : retryAfterMs(headers?.get('retry-after') ?? '')
  const wait = Number.isFinite(asked) && asked >= 0 ? asked : backoff * (1 + Math.random() / 4)
  return Math.min(wait, isLoading(error) ? maxLoadingWaitMs : maxWaitMs)
}

/** It may be seconds or a date. */
function retryAfterMs(value: string): number {
  const seconds = value === '' ? Number.NaN : Number(value)
  return Number.isNaN(seconds) ? Date.parse(value) - Date.now() : seconds * 1000
}
