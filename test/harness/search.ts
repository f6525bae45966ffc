import type { AssistantCreateParams } from 'openai/resources/beta/assistants'
import type { Message } from 'openai/resources/beta/threads/messages'
import type { RunStep } from 'openai/resources/beta/threads/runs/steps'
import type { Harness } from './app.ts'
import type { EmbeddingTurn, Turn } from './backend.ts'
import { converse } from './engine.ts'
import type { SentEvent } from './sse.ts'

export const searchTool = { type: 'file_search' as const }

/** Uploads files by their names, without reading them into any store. */
export async function upload(h: Harness, texts: Record<string, string>): Promise<string[]> {
  const ids: string[] = []
  for (const [name, text] of Object.entries(texts)) {
    ids.push((await h.client.files.create({ file: new File([text], name), purpose: 'assistants' })).id)
  }
  return ids
}

/** Reads all files that wait for it. */
export async function ingest(h: Harness) {
  while (await h.services.ingestor.tick());
}

/** A vector store with these files, read to the last. */
export async function storeOf(h: Harness, texts: Record<string, string>) {
  const file_ids = await upload(h, texts)
  const { id } = await h.client.vectorStores.create({ file_ids })
  await ingest(h)
  return { id, file_ids }
}

export const searched = (...vector_store_ids: string[]) => ({ file_search: { vector_store_ids } })

/** An assistant with `file_search` and a store of these files, a thread with a question, and ways to run it. */
export async function askFiles(
  h: Harness,
  texts: Record<string, string>,
  settings: Partial<AssistantCreateParams> = {},
  question = 'When does Phoenix begin?',
) {
  const store = await storeOf(h, texts)
  const made = await converse(
    h.client,
    { tools: [searchTool], tool_resources: searched(store.id), ...settings },
    question,
  )
  const url = `/v1/threads/${made.thread.id}/runs`
  const stream = (body: object = {}, query = '') =>
    h.send('POST', `${url}${query}`, { assistant_id: made.assistant.id, stream: true, ...body })
  return { ...made, ...store, url, stream }
}

/** A turn that makes searches, one for each query. */
export const searching =
  (...queries: string[]): Turn =>
  ({ calls }) =>
    calls(...queries.map((query) => ({ name: 'file_search', arguments: JSON.stringify({ query }) })))

/** A turn that says this character by character. */
export const saying =
  (text: string): Turn =>
  (exchange) =>
    exchange.text(...text)

/** The next embedding that is asked for waits until its vectors are given; with an embedding model, so does a search. */
export function holdSearch(h: Pick<Harness, 'backend'>): Promise<Parameters<EmbeddingTurn>[0]> {
  const { promise, resolve } = Promise.withResolvers<Parameters<EmbeddingTurn>[0]>()
  h.backend.embeddingTurns.push(resolve)
  return promise
}

export const dataOf = (events: readonly SentEvent[], name: string) =>
  events.filter(({ event }) => event === name).map(({ data }) => data)

/** The texts of all deltas, one by one. */
export const piecesOf = (events: readonly SentEvent[]): string[] =>
  dataOf(events, 'thread.message.delta').flatMap(({ delta }) =>
    delta.content.map((part: { text: { value: string } }) => part.text.value),
  )

/** What the model was told by tools, in its n-th request. */
export function toldIn(h: Harness, n: number): string[] {
  const messages = h.backend.requests[n]?.messages ?? []
  return messages.flatMap((message) => (message.role === 'tool' ? [String(message.content)] : []))
}

export function callsOf(step: RunStep | undefined) {
  return step?.step_details.type === 'tool_calls' ? step.step_details.tool_calls : []
}

/** The results of all searches of a step. */
export const resultsOf = (step: RunStep | undefined) =>
  callsOf(step).map((call) => (call.type === 'file_search' ? (call.file_search.results ?? []) : []))

/** The text of a message that has one part of it. */
export function onlyText(message: Message | undefined) {
  const [part, ...others] = message?.content ?? []
  if (part?.type !== 'text' || others.length > 0) throw new Error(`No single text: ${JSON.stringify(message?.content)}`)
  return part.text
}
