import type OpenAI from 'openai'
import { isRecord } from '../answer/raw.ts'
import { within } from '../transport.ts'

/** A run waits no longer than this for what a server says of itself. */
export const patienceMs = 2000
/** A server may have been started anew by then, or a model made anew. */
export const staleMs = 300_000

/** What a server says beside its OpenAI-compatible API, which has no keys if there is no such answer. Rejects never. */
export async function askBeside(client: OpenAI, path: string, body?: object): Promise<Record<string, unknown>> {
  const url = new URL(`../${path}`, `${client.baseURL.replace(/\/$/, '')}/`).href
  const ask = (signal: AbortSignal) => (body ? client.post(url, { body, signal }) : client.get(url, { signal }))
  try {
    const answer: unknown = await within(patienceMs, async (signal) => ask(signal))
    return isRecord(answer) ? answer : {}
  } catch {
    return {}
  }
}
