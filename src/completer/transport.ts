import type { Readable } from 'node:stream'
import { Agent, type Dispatcher, request } from 'undici'
import { stalled } from './answer/idle.ts'

// How long a backend may be silent is watched where its answers are read; undici would count a reader that takes its
// time as silence of the backend.
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 })
const maxRedirections = 5
/** An error has no more to say than this, and says it at once. */
const mostErrorCharacters = 100_000
const errorMs = 2000

/**
 * What the SDK needs of `fetch`. The body is read straight from the socket: through the web's streams, a streamed
 * answer costs this process a fifth more. Rejects with undici's errors, which have a `code`, and so does reading the
 * body; with the signal's reason when it aborts.
 */
export async function fetchDirectly(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  let url = String(input)
  const options = {
    dispatcher,
    method: (init.method ?? 'GET') as 'GET' | 'POST',
    headers: init.headers as Headers,
    body: init.body as string | null,
    signal: init.signal ?? null,
  }
  let answer = await send(url, options)
  for (let count = 0; count < maxRedirections && isRedirection(answer); count++) {
    await answer.body.dump()
    const from = url
    url = new URL(String(answer.headers.location), from).href
    // The key is for the backend alone, and may be in any header.
    if (new URL(url).origin !== new URL(from).origin) options.headers = withoutKeys(options.headers)
    answer = await send(url, options)
  }
  const { statusCode, headers, body } = answer
  const ok = statusCode >= 200 && statusCode < 300
  return {
    url,
    status: statusCode,
    ok,
    headers: new Headers(headers as Record<string, string>),
    body,
    text: () => (ok ? body.text() : beginningOf(body)),
    json: () => body.json(),
  } as unknown as Response
}

/**
 * The SDK's own timeout ends with the headers of an answer, and the body that it reads after them may not come. Rejects with
 * a BrokenOffError when all of that takes longer, and with the reason of the signal once that aborts.
 */
export async function within<T>(
  ms: number,
  ask: (signal: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), ms)
  try {
    return await ask(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
  } catch (error) {
    signal?.throwIfAborted()
    throw late.signal.aborted ? stalled(ms) : error
  } finally {
    clearTimeout(timer)
  }
}

/** What comes of a body before it is too late or too much; the status tells more than the rest would. */
async function beginningOf(body: Readable): Promise<string> {
  const late = setTimeout(() => body.destroy(), errorMs)
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const bytes of body) {
      text += decoder.decode(bytes, { stream: true })
      if (text.length > mostErrorCharacters) break
    }
    return text
  } catch {
    return text
  } finally {
    clearTimeout(late)
  }
}

/** undici notices that a signal aborts only once it is connected, for which it may need ten seconds. */
async function send(
  url: string,
  options: NonNullable<Parameters<typeof request<null>>[1]> & { signal: AbortSignal | null },
): Promise<Dispatcher.ResponseData> {
  const { signal } = options
  signal?.throwIfAborted()
  const sent = request(url, options).catch((error) => {
    throw isUnconnected(error) ? unconnected(error) : error
  })
  if (!signal) return sent
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    sent.then(resolve, reject)
  })
}

const isUnconnected = (error: unknown): error is Error & { code: string } =>
  error instanceof Error && 'code' in error && (error.code === 'UND_ERR_CONNECT_TIMEOUT' || error.code === 'ETIMEDOUT')

/** The SDK would take an error that speaks of a timeout for its own, and so for silence after the request. */
const unconnected = ({ code }: { code: string }) => Object.assign(new Error('nobody answers at its address'), { code })

/** Of those that say to send the same again, elsewhere. */
const isRedirection = ({ statusCode, headers }: Dispatcher.ResponseData) =>
  (statusCode === 307 || statusCode === 308) && headers.location !== undefined

function withoutKeys(headers: Headers): Headers {
  const rest = new Headers()
  for (const name of ['accept', 'content-type', 'user-agent']) {
    const value = headers.get(name)
    if (value !== null) rest.set(name, value)
  }
  return rest
}
