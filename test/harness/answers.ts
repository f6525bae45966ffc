import fc from 'fast-check'
import type { RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import type { RunStep } from 'openai/resources/beta/threads/runs/steps'
import { expect } from 'vitest'
import { AnswerReader } from '../../src/completer/answer/answer.ts'
import type { CompletionChunk, CompletionRequest } from '../../src/completer/completer.ts'
import { type Harness, startApp } from './app.ts'
import type { Turn } from './backend.ts'
import { converse, lookupTool, madeBy } from './engine.ts'
import { allEvents, type SentEvent } from './sse.ts'

/** A chunk as OpenAI sends it, with what is special to a server in `more` and `choice`. */
export const chunk = (delta: unknown, finish_reason: string | null = null, choice: object = {}, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices: [{ index: 0, delta, logprobs: null, finish_reason, ...choice }],
  ...more,
})

/** A fragment of a call as OpenAI sends it. */
export const fragment = (call: object) => chunk({ tool_calls: [call] })

export const counted = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }
export const usageChunk = { ...chunk({}), choices: [], usage: counted }
export const done = 'data: [DONE]\n\n'

/** A turn that sends these and closes: objects as events, texts as they are. */
export const sending =
  (...parts: (object | string)[]): Turn =>
  ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const part of parts) {
      response.write(typeof part === 'string' ? part : `data: ${JSON.stringify(part)}\n\n`)
    }
    response.end()
  }

/** The turn of a server that streams these and then says how it ends. */
export const streaming = (...parts: (object | string)[]): Turn => sending(...parts, usageChunk, done)

/** A turn that answers with one object, as if no stream had been asked for. */
export const whole =
  (body: unknown, type = 'application/json'): Turn =>
  ({ response }) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    response.writeHead(200, { 'content-type': type }).end(text)
  }

interface Call {
  name: string
  arguments: string
}

/** What a run made of one answer; by the events of its stream, which are to say the same as what is stored. */
export async function answeredBy(turn: Turn, body: Partial<RunCreateParamsNonStreaming> = {}, given?: Harness) {
  const h = given ?? (await startApp())
  h.backend.turns.push(turn)
  const { assistant, thread } = await converse(h.client)
  const sent = await h.send('POST', `/v1/threads/${thread.id}/runs`, {
    assistant_id: assistant.id,
    stream: true,
    ...body,
  })
  const events = await allEvents(sent)
  expect(events.at(-1)?.event).toBe('done')
  const { run, steps, messages } = await madeBy(h.client, { id: events[0]?.data.id, thread_id: thread.id })
  const stored = {
    texts: messages.map(({ content }) => content.map((part) => (part.type === 'text' ? part.text.value : '')).join('')),
    calls: steps.flatMap(callsOf),
  }
  expect(streamed(events)).toEqual({ texts: stored.texts.filter(Boolean), calls: stored.calls })
  return { ...stored, run, steps, messages, events }
}

function callsOf({ step_details }: RunStep): Call[] {
  if (step_details.type !== 'tool_calls') return []
  return step_details.tool_calls.flatMap((call) =>
    call.type === 'function' ? [{ name: call.function.name, arguments: call.function.arguments }] : [],
  )
}

/** What a client puts together from the deltas. */
function streamed(events: readonly SentEvent[]) {
  const texts = new Map<string, string>()
  const calls: Call[] = []
  for (const { event, data } of events) {
    if (event === 'thread.message.delta') {
      const [part] = data.delta.content
      texts.set(data.id, (texts.get(data.id) ?? '') + part.text.value)
    } else if (event === 'thread.run.step.delta') {
      for (const { index, function: given } of data.delta.step_details.tool_calls) {
        calls[index] ??= { name: given.name, arguments: '' }
        calls[index].arguments += given.arguments
      }
    }
  }
  return { texts: [...texts.values()], calls }
}

export const request: CompletionRequest = {
  model: 'm',
  messages: [{ role: 'user', content: 'Hi' }],
  tools: [lookupTool],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  response_format: 'auto',
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  max_completion_tokens: null,
}

/** All of an answer in one: its text, its calls, and how it ended. */
export function joined(chunks: readonly CompletionChunk[]) {
  const calls: Call[] = []
  let text = ''
  for (const one of chunks) {
    if (one.type === 'text') text += one.text
    if (one.type !== 'tool_call') continue
    calls[one.index] ??= { name: one.name ?? '', arguments: '' }
    const call = calls[one.index] as Call
    call.arguments += one.arguments
  }
  const end = chunks.find((one) => one.type === 'end')
  return { text, calls, ...(end?.type === 'end' && { finish_reason: end.finish_reason, usage: end.usage }) }
}

/** A text in pieces, cut anywhere between its characters. */
export const inPieces = (text: string) => {
  const characters = [...text]
  return fc.array(fc.nat(characters.length), { maxLength: 8 }).map((cuts) => {
    const borders = [0, ...cuts.toSorted((a, b) => a - b), characters.length]
    return borders.slice(1).map((border, index) => characters.slice(borders[index], border).join(''))
  })
}

/** What an answer in these pieces is read as. */
export async function readBy(pieces: readonly string[], finish_reason = 'stop', body = request) {
  const answer = new AnswerReader(body, false)
  const headers = new Headers()
  const chunks: CompletionChunk[] = []
  for (const content of pieces) chunks.push(...answer.push(chunk({ content }), headers))
  chunks.push(...answer.push(chunk({}, finish_reason, {}, { usage: counted }), headers), ...(await answer.end()))
  return joined(chunks)
}
