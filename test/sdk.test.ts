import { AssistantStream } from 'openai/lib/AssistantStream'
import type { Message } from 'openai/resources/beta/threads/messages'
import type { Run } from 'openai/resources/beta/threads/runs/runs'
import type { RunStep } from 'openai/resources/beta/threads/runs/steps'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { checkEvent } from './harness/openapi.ts'
import { readEvents } from './harness/sse.ts'

const paris = '{"city":"Paris"}'
const rome = '{"city":"Rome"}'
const tools = ['get_weather', 'get_time'].map((name) => ({
  type: 'function' as const,
  function: { name, parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}))

async function start(h: Harness) {
  const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm', tools })
  const { id: thread_id } = await h.client.beta.threads.create({ messages: [{ role: 'user', content: 'Hi' }] })
  return { assistant_id, thread_id, runs: h.client.beta.threads.runs }
}

const outputsFor = ({ required_action }: Run, output: string) =>
  (required_action?.submit_tool_outputs.tool_calls ?? []).map(({ id }) => ({ tool_call_id: id, output }))

const emissions = [
  'textCreated',
  'textDelta',
  'textDone',
  'toolCallCreated',
  'toolCallDelta',
  'toolCallDone',
  'messageDone',
  'runStepDone',
  'end',
] as const

/** The events with their ids, deltas once per object; what the helper emits, repeats once; messages at their ends. */
function recorded(stream: AssistantStream) {
  const events: string[] = []
  const names: string[] = []
  const messages: Message[] = []
  for (const name of emissions) stream.on(name, () => names.at(-1) !== name && names.push(name))
  stream.on('event', ({ event, data }) => {
    checkEvent(event, data)
    const told = `${event} ${'id' in data ? data.id : ''}`
    if (!event.endsWith('.delta') || !events.includes(told)) events.push(told)
  })
  stream.on('messageDone', (message) => messages.push(structuredClone(message)))
  return { events, names, messages }
}

/** Accumulated parts keep the `index` of their deltas, which stored ones do not have. */
function withoutIndex<T extends object>(parts: T[]): T[] {
  return parts.map((part) => Object.fromEntries(Object.entries(part).filter(([key]) => key !== 'index')) as T)
}

const accumulatedStep = (step: RunStep): RunStep =>
  step.step_details.type === 'message_creation'
    ? step
    : { ...step, step_details: { ...step.step_details, tool_calls: withoutIndex(step.step_details.tool_calls) } }

// The helper accumulates a message's content and leaves all else as it was when the message began.
const asBegun = (message: Message): Message => ({
  ...message,
  status: 'in_progress',
  completed_at: null,
  incomplete_at: null,
  incomplete_details: null,
})

async function stored(h: Harness, { id, thread_id }: Run) {
  const { runs, messages } = h.client.beta.threads
  const run = await runs.retrieve(id, { thread_id })
  const { data: steps } = await runs.steps.list(id, { thread_id, order: 'asc' })
  const { data } = await messages.list(thread_id, { run_id: id, order: 'asc' })
  return { run, steps, messages: data }
}

/** Objects that were open at the same time may be told one after the other, but each of their events once. */
const expectSame = (told: string[], live: string[]) => expect(told.toSorted()).toEqual(live.toSorted())

/** What the helper has at its end is what is stored now. */
async function expectStored(h: Harness, stream: AssistantStream, { messages }: { messages: Message[] }) {
  const run = await stream.finalRun()
  const now = await stored(h, run)
  expect(run).toEqual(now.run)
  expect((await stream.finalRunSteps()).map(accumulatedStep)).toEqual(now.steps)
  expect(messages).toEqual(now.messages)
  const accumulated = await stream.finalMessages()
  expect(accumulated.map((one) => ({ ...one, content: withoutIndex(one.content) }))).toEqual(now.messages.map(asBegun))
  return now
}

/** The SDK's helper over the events of the attached stream, each checked. */
async function attach(h: Harness, { id, thread_id }: Pick<Run, 'id' | 'thread_id'>) {
  const response = await h.send('GET', `/v1/threads/${thread_id}/runs/${id}/stream`)
  const stream = AssistantStream.fromReadableStream(ReadableStream.from(linesOf(response)))
  return { stream, record: recorded(stream) }
}

async function* linesOf(response: Response) {
  for await (const event of readEvents(response)) {
    if (event.event !== 'done') yield new TextEncoder().encode(`${JSON.stringify(event)}\n`)
  }
}

/** Resolves when an event with this text in it has come. */
const told = (stream: AssistantStream, text: string) =>
  new Promise<void>((resolve) => {
    stream.on('event', (event) => JSON.stringify(event).includes(text) && resolve())
  })

const currentRun = (stream: AssistantStream): Run => {
  const run = stream.currentRun()
  if (!run) throw new Error('There is no run yet.')
  return run
}

const callsTwice: Turn = ({ calls }) =>
  calls({ name: 'get_weather', arguments: paris }, { name: 'get_time', arguments: rome })

interface Scenario {
  name: string
  turn: Turn
  status: Run['status']
  emits: string
  /** What it emits when all is told afterwards, if that differs by more than deltas. */
  emitsLater?: string
  cancelled?: true
}

const text = 'textCreated textDelta textDone messageDone runStepDone'
const call = 'toolCallCreated toolCallDelta toolCallDone'
const callsWhole = 'toolCallCreated toolCallDone toolCallCreated toolCallDone'
const scenarios: Scenario[] = [
  { name: 'a text', turn: ({ text }) => text('Hel', 'lo.'), status: 'completed', emits: `${text} end` },
  {
    name: 'one function call',
    turn: ({ calls }) => calls({ name: 'get_weather', arguments: paris }),
    status: 'requires_action',
    emits: `${call} end`,
  },
  { name: 'parallel function calls', turn: callsTwice, status: 'requires_action', emits: `${call} ${call} end` },
  {
    name: 'a text and then calls',
    turn(exchange) {
      exchange.chunk({ role: 'assistant', content: 'Let me look.' })
      return callsTwice(exchange)
    },
    status: 'requires_action',
    emits: `${text} ${call} ${call} end`,
    emitsLater: `${text} ${callsWhole} end`,
  },
  {
    name: 'a refusal',
    turn({ chunk, end }) {
      for (const refusal of ['I will ', 'not.']) chunk({ refusal })
      chunk({}, 'stop')
      end()
    },
    status: 'completed',
    emits: 'messageDone runStepDone end',
  },
  {
    name: 'a failure in the middle of a text',
    turn({ chunk, response }) {
      chunk({ content: 'Hel' })
      response.end('data: {"error":{"message":"Out of memory."}}\n\n')
    },
    status: 'failed',
    emits: `${text} end`,
  },
  {
    name: 'a failure before the first word',
    turn: ({ response }) => void response.writeHead(400).end('{"error":{"message":"No."}}'),
    status: 'failed',
    emits: 'end',
  },
  {
    name: 'a cancel in the middle of a text',
    async turn({ chunk, closed }) {
      chunk({ content: 'Hel' })
      await closed
    },
    status: 'cancelled',
    emits: `${text} end`,
    cancelled: true,
  },
  {
    name: 'a text cut off by the token limit',
    turn({ chunk, end }) {
      for (const content of ['Hel', 'lo']) chunk({ content })
      chunk({}, 'length')
      end()
    },
    status: 'incomplete',
    emits: `${text} end`,
  },
]

describe.each(scenarios)('the stream helper over $name', ({ turn, status, emits, emitsLater, cancelled }) => {
  async function play() {
    const h = await startApp()
    h.backend.turns.push(turn)
    const { assistant_id, thread_id, runs } = await start(h)
    const stream = runs.stream(thread_id, { assistant_id })
    const record = recorded(stream)
    if (cancelled) stream.once('textDelta', () => void runs.cancel(currentRun(stream).id, { thread_id }))
    return { h, stream, record }
  }

  test('emits its events and ends with what GET answers', async () => {
    const { h, stream, record } = await play()
    const { run } = await expectStored(h, stream, record)
    expect(run.status).toBe(status)
    expect(record.names.join(' ')).toBe(emits)
  })

  test('is repeated by attaching at the end', async () => {
    const { h, stream, record } = await play()
    const attached = await attach(h, await stream.finalRun())
    await expectStored(h, attached.stream, attached.record)
    // A call that comes whole in one delta has no further ones.
    expect(attached.record.names.join(' ')).toBe(emitsLater ?? emits.replaceAll(' toolCallDelta', ''))
    // A cancelled run does not keep what it was when it was asked to cancel.
    const kept = record.events.filter((event) => !event.startsWith('thread.run.cancelling'))
    expectSame(attached.record.events, kept)
    expect(attached.record.messages).toEqual(record.messages)
  })

  test('goes through toReadableStream and fromReadableStream unchanged', async () => {
    const { h, stream } = await play()
    const copy = AssistantStream.fromReadableStream(stream.toReadableStream())
    const record = recorded(copy)
    await expectStored(h, copy, record)
    expect(record.names.join(' ')).toBe(emits)
  })
})

describe('the poll helpers', () => {
  test('createAndPoll and submitToolOutputsAndPoll take a run with two rounds of calls to its end', async () => {
    const h = await startApp()
    h.backend.turns.push(callsTwice, ({ calls }) => calls({ name: 'get_time', arguments: paris }))
    const { assistant_id, thread_id, runs } = await start(h)
    const first = await runs.createAndPoll(thread_id, { assistant_id }, { pollIntervalMs: 5 })
    expect(outputsFor(first, '').length).toBe(2)
    const submit = (run: Run) =>
      runs.submitToolOutputsAndPoll(run.id, { thread_id, tool_outputs: outputsFor(run, 'noon') }, { pollIntervalMs: 5 })
    const second = await submit(first)
    expect(second).toMatchObject({ id: first.id, status: 'requires_action' })
    expect(await submit(second)).toMatchObject({ id: first.id, status: 'completed', required_action: null })
    const { steps, messages } = await stored(h, first)
    expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'tool_calls completed',
      'tool_calls completed',
      'message_creation completed',
    ])
    expect(messages).toMatchObject([{ content: [{ text: { value: 'Hello.' } }] }])
  })

  test('createAndRunPoll waits as the server asks and not for the 5 seconds of the SDK', async () => {
    const h = await startApp()
    const { assistant_id } = await start(h)
    const begun = performance.now()
    const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
    const run = await h.client.beta.threads.createAndRunPoll({ assistant_id, thread })
    expect(run.status).toBe('completed')
    expect(performance.now() - begun).toBeLessThan(4000)
  })

  test('createAndRunStream brings the thread and ends with what GET answers', async () => {
    const h = await startApp()
    const { assistant_id } = await start(h)
    const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
    const stream = h.client.beta.threads.createAndRunStream({ assistant_id, thread })
    const { run } = await expectStored(h, stream, recorded(stream))
    expect(run.status).toBe('completed')
  })
})

describe('submitting outputs where the run asks for them', () => {
  test('a stream opened in the requires_action handler goes to its end', async () => {
    const h = await startApp()
    h.backend.turns.push(callsTwice)
    const { assistant_id, thread_id, runs } = await start(h)
    const first = runs.stream(thread_id, { assistant_id })
    const { promise, resolve } = Promise.withResolvers<AssistantStream>()
    first.on('event', ({ event, data }) => {
      if (event !== 'thread.run.requires_action') return
      resolve(runs.submitToolOutputsStream(data.id, { thread_id, tool_outputs: outputsFor(data, 'sunny') }))
    })
    const second = await promise
    const { run, steps } = await expectStored(h, second, recorded(second))
    expect(run.status).toBe('completed')
    expect(steps.map(({ type }) => type)).toEqual(['tool_calls', 'message_creation'])
    expect(await first.finalRun()).toMatchObject({ id: run.id, status: 'requires_action' })
  })

  test('the second stream can be read to its end before the end of the first has been', async () => {
    const h = await startApp()
    h.backend.turns.push(callsTwice)
    const { assistant_id, thread_id, runs } = await start(h)
    const first = (await runs.create(thread_id, { assistant_id, stream: true }))[Symbol.asyncIterator]()
    for (let next = await first.next(); !next.done; next = await first.next()) {
      const { event, data } = next.value
      if (event !== 'thread.run.requires_action') continue
      const second = runs.submitToolOutputsStream(data.id, { thread_id, tool_outputs: outputsFor(data, 'sunny') })
      expect((await second.finalRun()).status).toBe('completed')
      expect(await first.next()).toEqual({ done: true, value: undefined })
      return
    }
    throw new Error('The run never asked for outputs.')
  })
})

/** A turn that stops in its middle until `goOn` is called. */
function pausing(before: Turn, after: Turn) {
  const { promise, resolve: goOn } = Promise.withResolvers<void>()
  const turn: Turn = async (exchange) => {
    await before(exchange)
    await promise
    await after(exchange)
  }
  return { turn, goOn }
}

const halfText = () =>
  pausing(
    ({ chunk }) => {
      for (const content of ['Half ', 'a text']) chunk({ content })
    },
    ({ text }) => text(' and ', 'the rest.'),
  )

const halfCall = () =>
  pausing(
    ({ chunk }) => {
      const one = { index: 0, id: 'a', type: 'function', function: { name: 'get_weather', arguments: paris } }
      chunk({ content: 'Let me look.' })
      chunk({ tool_calls: [one] })
      chunk({ tool_calls: [{ ...one, index: 1, function: { name: 'get_time', arguments: '{"city":"Half' } }] })
    },
    ({ chunk, end }) => {
      chunk({ tool_calls: [{ index: 1, function: { arguments: 'way"}' } }] })
      chunk({}, 'tool_calls')
      end()
    },
  )

describe('attaching to a run', () => {
  test.each([
    { where: 'a text', mark: 'a text', half: halfText, status: 'completed' },
    { where: "a call's arguments", mark: 'Half', half: halfCall, status: 'requires_action' },
  ])('in the middle of $where ends with what GET answers', async ({ half, mark, status }) => {
    const h = await startApp()
    const { turn, goOn } = half()
    h.backend.turns.push(turn)
    const { assistant_id, thread_id, runs } = await start(h)
    const stream = runs.stream(thread_id, { assistant_id })
    const record = recorded(stream)
    await told(stream, mark)
    const attached = await attach(h, currentRun(stream))
    await told(attached.stream, mark)
    goOn()
    const { run } = await expectStored(h, attached.stream, attached.record)
    expect(run.status).toBe(status)
    await expectStored(h, stream, record)
    expectSame(attached.record.events, record.events)
    expect(attached.record.messages).toEqual(record.messages)
  })

  test('in the middle of the answer to outputs tells of the calls too', async () => {
    const h = await startApp()
    const { turn, goOn } = halfText()
    h.backend.turns.push(callsTwice, turn)
    const { assistant_id, thread_id, runs } = await start(h)
    const asking = await runs.createAndPoll(thread_id, { assistant_id }, { pollIntervalMs: 5 })
    const tool_outputs = outputsFor(asking, 'sunny')
    const second = runs.submitToolOutputsStream(asking.id, { thread_id, tool_outputs })
    await told(second, 'a text')
    const attached = await attach(h, asking)
    await told(attached.stream, 'a text')
    goOn()
    const { steps } = await expectStored(h, attached.stream, attached.record)
    expect(steps.map(({ type }) => type)).toEqual(['tool_calls', 'message_creation'])
    expect(attached.record.names.join(' ')).toBe(`${callsWhole} runStepDone ${text} end`)
  })

  test('while it is queued, anew or again, waits for what comes', async () => {
    const h = await startApp({ started: false })
    h.backend.turns.push(callsTwice)
    const { assistant_id, thread_id, runs } = await start(h)
    const queued = await runs.create(thread_id, { assistant_id })
    const early = await attach(h, queued)
    await told(early.stream, 'thread.run.queued')
    await h.services.executor.tick()
    const { run: asking } = await expectStored(h, early.stream, early.record)

    await runs.submitToolOutputs(queued.id, { thread_id, tool_outputs: outputsFor(asking, 'sunny') })
    const late = await attach(h, queued)
    await told(late.stream, 'sunny')
    await h.services.executor.tick()
    const { run } = await expectStored(h, late.stream, late.record)
    expect([asking.status, run.status]).toEqual(['requires_action', 'completed'])
    expect(late.record.names.join(' ')).toBe(`${callsWhole} runStepDone ${text} end`)
  })

  test('at any event, in both halves of a run with calls, ends with what GET answers', async () => {
    const h = await startApp()
    const pieces = Array.from({ length: 20 }, (_, index) => `piece ${index} `)
    h.backend.turns.push(callsTwice, ({ text }) => text(...pieces))
    const { assistant_id, thread_id, runs } = await start(h)
    const attachedDuring = async (stream: AssistantStream) => {
      const attaching: ReturnType<typeof attach>[] = []
      stream.on('runStepCreated', ({ run_id: id }) => {
        stream.on('event', () => attaching.push(attach(h, { id, thread_id })))
      })
      await stream.done()
      return Promise.all(attaching)
    }
    const first = runs.stream(thread_id, { assistant_id })
    for (const { stream, record } of await attachedDuring(first)) await expectStored(h, stream, record)
    const asking = await first.finalRun()
    const params = { thread_id, tool_outputs: outputsFor(asking, 'sunny') }
    const all = await attachedDuring(runs.submitToolOutputsStream(asking.id, params))
    expect(all.length).toBeGreaterThan(pieces.length)
    for (const { stream, record } of all) await expectStored(h, stream, record)
  })

  /** SQLite answers at once; other stores would not. */
  function whileTheStoreIsRead(h: Harness, happens: () => Promise<unknown>) {
    const { snapshot } = h.services.store.runs
    h.services.store.runs.snapshot = async (of) => {
      await happens()
      return snapshot(of)
    }
  }

  const sayFirst: Turn = ({ chunk }) => chunk({ content: 'First ' })

  test.each([
    { what: 'a text begins', before: () => {}, at: 'thread.run.in_progress', rest: halfText, mark: 'a text' },
    { what: 'a text goes on', before: sayFirst, at: 'First ', rest: halfText, mark: 'a text' },
    { what: 'calls begin', before: sayFirst, at: 'First ', rest: halfCall, mark: 'Half' },
  ])('tells once what happens while the store is read: $what', async ({ before, at, rest, mark }) => {
    const h = await startApp()
    const { turn, goOn: end } = rest()
    const { turn: whole, goOn } = pausing(before, turn)
    h.backend.turns.push(whole)
    const { assistant_id, thread_id, runs } = await start(h)
    const stream = runs.stream(thread_id, { assistant_id })
    const record = recorded(stream)
    await told(stream, at)
    whileTheStoreIsRead(h, () => {
      goOn()
      return told(stream, mark)
    })
    const attached = await attach(h, currentRun(stream))
    end()
    await expectStored(h, attached.stream, attached.record)
    expectSame(attached.record.events, record.events)
  })

  test('tells once what happens while the store is read: calls are made and answered', async () => {
    const h = await startApp()
    const calling = pausing(sayFirst, callsTwice)
    const answering = halfText()
    h.backend.turns.push(calling.turn, answering.turn)
    const { assistant_id, thread_id, runs } = await start(h)
    const first = runs.stream(thread_id, { assistant_id })
    await told(first, 'First ')
    whileTheStoreIsRead(h, async () => {
      calling.goOn()
      const asking = await first.finalRun()
      const tool_outputs = outputsFor(asking, 'sunny')
      await told(runs.submitToolOutputsStream(asking.id, { thread_id, tool_outputs }), 'a text')
    })
    const { stream, record } = await attach(h, currentRun(first))
    answering.goOn()
    const { steps } = await expectStored(h, stream, record)
    expect(steps.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls', 'message_creation'])
    expect(record.names.join(' ')).toBe(`${text} ${callsWhole} runStepDone ${text} end`)
  })
})
