import { Agent, interceptors, request } from 'undici'

// A model on a small machine may think for longer than undici waits by default, 300 s. How long a call may take is the
// matter of its run, which ends it by its signal.
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 }).compose(
  interceptors.redirect({ maxRedirections: 5 }),
)

/**
 * What the SDK needs of `fetch`. The body is read straight from the socket: through the web's streams, a streamed
 * answer costs this process a fifth more. Rejects with undici's errors, which have a `code`, and so does reading the
 * body; with the signal's reason when it aborts.
 */
export async function fetchDirectly(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const url = String(input)
  const { statusCode, headers, body } = await request(url, {
    dispatcher,
    method: (init.method ?? 'GET') as 'GET' | 'POST',
    headers: new Headers(init.headers),
    body: init.body as string | null,
    signal: init.signal ?? null,
  })
  return {
    url,
    status: statusCode,
    ok: statusCode >= 200 && statusCode < 300,
    headers: new Headers(headers as Record<string, string>),
    body,
    text: () => body.text(),
    json: () => body.json(),
  } as unknown as Response
}
