import type OpenAI from 'openai'
import type { AssistantCreateParams } from 'openai/resources/beta/assistants'
import type { Run, RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import { expect } from 'vitest'
import type { Harness } from './app.ts'
import type { Turn } from './backend.ts'
import { readEvents, type SentEvent } from './sse.ts'

type Exchange = Parameters<Turn>[0]

export const lookupTool = {
  type: 'function' as const,
  function: { name: 'lookup', parameters: { type: 'object', properties: { q: { type: 'string' } } } },
}

/** An assistant, a thread with a question, and a way to run the one on the other. */
export async function converse(client: OpenAI, settings: Partial<AssistantCreateParams> = {}, question = 'Hi') {
  const assistant = await client.beta.assistants.create({ model: 'm', tools: [lookupTool], ...settings })
  const thread = await client.beta.threads.create({ messages: [{ role: 'user', content: question }] })
  const run = (body: Partial<RunCreateParamsNonStreaming> = {}) =>
    client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id, ...body })
  return { assistant, thread, run }
}

/** The run once it waits for its client or is over. */
export const atRest = (client: OpenAI, { id, thread_id }: Pick<Run, 'id' | 'thread_id'>) =>
  client.beta.threads.runs.poll(id, { thread_id }, { pollIntervalMs: 2 })

/** A run as it is now and what it has made, oldest first. */
export async function madeBy(client: OpenAI, { id, thread_id }: Pick<Run, 'id' | 'thread_id'>) {
  const run = await client.beta.threads.runs.retrieve(id, { thread_id })
  const { data: steps } = await client.beta.threads.runs.steps.list(id, { thread_id, order: 'asc', limit: 100 })
  const { data: messages } = await client.beta.threads.messages.list(thread_id, {
    run_id: id,
    order: 'asc',
    limit: 100,
  })
  return { run, steps, messages }
}

export const outputsFor = (run: Run, output = 'sunny') =>
  (run.required_action?.submit_tool_outputs.tool_calls ?? []).map(({ id }) => ({ tool_call_id: id, output }))

/** A turn that says these pieces and then nothing more; `held` resolves when it has come so far. */
export function holding(...pieces: string[]): { turn: Turn; held: Promise<Exchange> } {
  const { promise: held, resolve } = Promise.withResolvers<Exchange>()
  const turn: Turn = (exchange) => {
    for (const content of pieces) exchange.chunk({ content })
    resolve(exchange)
  }
  return { turn, held }
}

/** The rest of an answer that was held. */
export function finish({ chunk, end }: Exchange, ...pieces: string[]) {
  for (const content of pieces) chunk({ content })
  chunk({}, 'stop')
  end()
}

/** The events of a run from its beginning on, as a client that attaches to it gets them. */
export async function eventsOf(h: Harness, { id, thread_id }: Pick<Run, 'id' | 'thread_id'>) {
  return readEvents(await h.send('GET', `/v1/threads/${thread_id}/runs/${id}/stream`))
}

/** Reads on until an event of this name has come. */
export async function until(events: AsyncIterator<SentEvent>, name: string): Promise<SentEvent> {
  for (;;) {
    const { value, done } = await events.next()
    if (done) throw new Error(`The stream ended without ${name}.`)
    if (value.event === name) return value
  }
}

/** Nothing of a run that is over may be open or contradict its status, and its thread is free. */
export async function checkEnded(h: Harness, of: Pick<Run, 'id' | 'thread_id'>) {
  const made = await madeBy(h.client, of)
  const { run, steps, messages } = made
  expect(ends).toHaveProperty(run.status)
  expect({
    status: run.status,
    ended: (['completed_at', 'failed_at', 'cancelled_at'] as const).filter((key) => run[key] !== null),
    expires: run.expires_at !== null,
    failure: run.last_error !== null,
    shortfall: run.incomplete_details !== null,
    waiting: run.required_action !== null,
    counted: run.usage !== null,
  }).toEqual({
    status: run.status,
    ended: ends[run.status],
    expires: run.status === 'expired',
    failure: run.status === 'failed',
    shortfall: run.status === 'incomplete',
    waiting: false,
    counted: true,
  })
  for (const step of steps) {
    expect(['completed', run.status]).toContain(step.status)
    expect(step.usage).not.toBeNull()
  }
  for (const message of messages) {
    expect(['completed', 'incomplete']).toContain(message.status)
    expect(message.status === 'incomplete').toBe(message.incomplete_details !== null)
  }
  const opening = steps.flatMap(({ step_details: details }) =>
    details.type === 'message_creation' ? [details.message_creation.message_id] : [],
  )
  expect(messages.map(({ id }) => id)).toEqual(opening)
  expect(await h.services.store.runs.active(of.thread_id)).toBeUndefined()
  const sent = await h.client.beta.threads.messages.create(of.thread_id, { role: 'user', content: 'Next.' })
  expect(sent.thread_id).toBe(of.thread_id)
  return made
}

const ends: Record<string, string[]> = {
  completed: ['completed_at'],
  incomplete: ['completed_at'],
  failed: ['failed_at'],
  cancelled: ['cancelled_at'],
  expired: [],
}
