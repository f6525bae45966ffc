import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { allEvents, namesOf, readEvents, type SentEvent } from './harness/sse.ts'

const weatherTool = {
  type: 'function' as const,
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}
const paris = { name: 'get_weather', arguments: '{"city":"Paris"}' }
const rome = { name: 'get_weather', arguments: '{"city":"Rome"}' }

async function start(h: Harness) {
  const tools = [weatherTool]
  const assistant = await h.client.beta.assistants.create({ model: 'm', tools, instructions: 'Be brief.' })
  const thread = await h.client.beta.threads.create({ messages: [{ role: 'user', content: 'Hi' }] })
  const url = `/v1/threads/${thread.id}/runs`
  return {
    thread,
    stream: (body: object = {}) => h.send('POST', url, { assistant_id: assistant.id, stream: true, ...body }),
    submit: (run: { id: string }, outputs: object[], stream = true) =>
      h.send('POST', `${url}/${run.id}/submit_tool_outputs`, { tool_outputs: outputs, stream }),
  }
}

const beginning = 'R.created R.queued R.in_progress'
const opened = 'S.created S.in_progress M.created M.in_progress'
const text = `${opened} M.delta M.completed S.completed`
const calling = 'S.created S.in_progress S.delta'

const dataOf = (events: SentEvent[], name: string) =>
  events.filter(({ event }) => event === name).map(({ data }) => data)

describe('the order of events', () => {
  test('(a) a text, whose pieces and whole are what is stored', async () => {
    const h = await startApp()
    const { stream, thread } = await start(h)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(`${beginning} ${text} R.completed done`)
    expect(events[1]?.data).toEqual(events[0]?.data)
    expect(dataOf(events, 'thread.message.delta').map(({ delta }) => delta)).toEqual([
      { content: [{ index: 0, type: 'text', text: { value: 'Hel', annotations: [] } }] },
      { content: [{ index: 0, type: 'text', text: { value: 'lo.' } }] },
    ])
    const [created] = dataOf(events, 'thread.message.created')
    expect(created).toMatchObject({ content: [], attachments: [], status: 'in_progress', completed_at: null })
    expect(dataOf(events, 'thread.message.delta')[0].id).toBe(created.id)
    const stored = await h.client.beta.threads.messages.list(thread.id)
    expect(stored.data[0]).toEqual(dataOf(events, 'thread.message.completed')[0])
    expect(events.at(-1)).toEqual({ event: 'done', data: '[DONE]' })
  })

  test('(a) with the thread first when that is created too', async () => {
    const h = await startApp()
    const assistant = await h.client.beta.assistants.create({ model: 'm' })
    const thread = { messages: [{ role: 'user', content: 'Hi' }] }
    const events = await allEvents(
      await h.send('POST', '/v1/threads/runs', { assistant_id: assistant.id, thread, stream: true }),
    )
    expect(namesOf(events)).toBe(`T.created ${beginning} ${text} R.completed done`)
  })

  test('(b) a function call, whose step is completed by the outputs', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls(paris))
    const { stream, submit } = await start(h)
    const first = await allEvents(await stream())
    expect(namesOf(first)).toBe(`${beginning} ${calling} R.requires_action done`)
    const [step] = dataOf(first, 'thread.run.step.created')
    expect(step.step_details).toEqual({ type: 'tool_calls', tool_calls: [] })
    const [run] = dataOf(first, 'thread.run.requires_action')
    const [call] = run.required_action.submit_tool_outputs.tool_calls
    expect(run.usage).toBeNull()
    const calls = dataOf(first, 'thread.run.step.delta').map(({ delta }) => delta.step_details.tool_calls)
    expect(calls[0]).toEqual([
      { index: 0, id: call.id, type: 'function', function: { name: 'get_weather', arguments: '', output: null } },
    ])
    expect(
      calls
        .slice(1)
        .flat()
        .every((one) => !('id' in one) && !('name' in one.function)),
    ).toBe(true)
    expect(
      calls
        .flat()
        .map((one) => one.function.arguments)
        .join(''),
    ).toBe(paris.arguments)

    const second = await allEvents(await submit(run, [{ tool_call_id: call.id, output: 'sunny' }]))
    expect(namesOf(second)).toBe(`S.completed R.queued R.in_progress ${text} R.completed done`)
    expect(second[0]?.data).toMatchObject({
      id: step.id,
      usage: { total_tokens: 15 },
      step_details: { tool_calls: [{ id: call.id, function: { ...paris, output: 'sunny' } }] },
    })
    expect(second.at(-2)?.data.usage.total_tokens).toBe(30)
  })

  test('(b) again when the model calls once more', async () => {
    const h = await startApp()
    h.backend.turns.push(
      ({ calls }) => calls(paris),
      ({ calls }) => calls(rome),
    )
    const { stream, submit } = await start(h)
    const [run] = dataOf(await allEvents(await stream()), 'thread.run.requires_action')
    const [call] = run.required_action.submit_tool_outputs.tool_calls
    const events = await allEvents(await submit(run, [{ tool_call_id: call.id, output: 'sunny' }]))
    expect(namesOf(events)).toBe(`S.completed R.queued R.in_progress ${calling} R.requires_action done`)
  })

  test('(c) parallel calls share a step and never go back to an earlier index', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls(paris, rome))
    const { stream } = await start(h)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(`${beginning} ${calling} R.requires_action done`)
    const indexes = dataOf(events, 'thread.run.step.delta').map(({ delta }) => delta.step_details.tool_calls[0].index)
    expect(indexes).toEqual([0, 0, 0, 1, 1, 1])
    const [run] = dataOf(events, 'thread.run.requires_action')
    const required = run.required_action.submit_tool_outputs.tool_calls
    expect(required.map((one: { function: object }) => one.function)).toEqual([paris, rome])
    expect(new Set(required.map(({ id }: { id: string }) => id)).size).toBe(2)
  })

  test('a text before calls is a message and a step of its own, ended before the calls begin', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk, calls }) => {
      chunk({ content: 'Let me see.' })
      calls(paris)
    })
    const { stream } = await start(h)
    expect(namesOf(await allEvents(await stream()))).toBe(`${beginning} ${text} ${calling} R.requires_action done`)
  })

  test('(f) a failure before any step', async () => {
    const h = await startApp()
    h.backend.otherwise = ({ response }) => void response.writeHead(400).end('{"error":{"message":"no such thing"}}')
    const { stream } = await start(h)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(`${beginning} R.failed done`)
    expect(events.at(-2)?.data).toMatchObject({ last_error: { code: 'invalid_prompt' }, expires_at: null })
  })

  test('(f) a failure in the middle of a text, which is kept', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk, response }) => {
      chunk({ content: 'Half an' })
      response.write('', () => response.destroy())
    })
    const { stream, thread } = await start(h)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(`${beginning} ${opened} M.delta M.incomplete S.failed R.failed done`)
    const [message] = (await h.client.beta.threads.messages.list(thread.id)).data
    expect(message).toMatchObject({
      incomplete_details: { reason: 'run_failed' },
      content: [{ text: { value: 'Half an' } }],
    })
  })

  test('(g) a cancel in the middle of a text', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk }) => chunk({ content: 'Half an' }))
    const { stream, thread } = await start(h)
    const events: SentEvent[] = []
    for await (const event of readEvents(await stream())) {
      events.push(event)
      if (event.event !== 'thread.message.delta') continue
      await h.client.beta.threads.runs.cancel(events[0]?.data.id, { thread_id: thread.id })
    }
    expect(namesOf(events)).toBe(
      `${beginning} ${opened} M.delta R.cancelling M.incomplete S.cancelled R.cancelled done`,
    )
    expect(events.at(-2)?.data.cancelled_at).toBeGreaterThan(0)
    const [message] = dataOf(events, 'thread.message.incomplete')
    expect(message).toMatchObject({
      incomplete_details: { reason: 'run_cancelled' },
      content: [{ text: { value: 'Half an' } }],
    })
  })

  test('(h) a text that the token limit cuts', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk, end }) => {
      chunk({ content: 'Half an' }, 'length')
      end()
    })
    const { stream } = await start(h)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(`${beginning} ${opened} M.delta M.incomplete S.completed R.incomplete done`)
    expect(events.at(-2)?.data).toMatchObject({
      incomplete_details: { reason: 'max_completion_tokens' },
      usage: { total_tokens: 15 },
    })
  })

  test('an expiry in the middle of a text', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk }) => chunk({ content: 'Half an' }))
    const { stream } = await start(h)
    const events: SentEvent[] = []
    for await (const event of readEvents(await stream())) {
      events.push(event)
      if (event.event === 'thread.message.delta') h.time.now += 601_000
    }
    expect(namesOf(events)).toBe(`${beginning} ${opened} M.delta M.incomplete S.expired R.expired done`)
  })

  test('an answer without a word is a message with an empty text', async () => {
    const h = await startApp()
    h.backend.otherwise = ({ text }) => text()
    const { stream, thread } = await start(h)
    expect(namesOf(await allEvents(await stream()))).toBe(
      `${beginning} ${opened} M.completed S.completed R.completed done`,
    )
    const [message] = (await h.client.beta.threads.messages.list(thread.id)).data
    expect(message?.content).toEqual([{ type: 'text', text: { value: '', annotations: [] } }])
  })
})

describe('what is refused is refused before the stream', () => {
  test('a run on a thread that has an active one', async () => {
    const h = await startApp({ started: false })
    const { stream } = await start(h)
    const first = await stream()
    const second = await stream()
    expect(second.status).toBe(400)
    expect(second.headers.get('content-type')).toContain('application/json')
    await h.services.executor.tick()
    expect(namesOf(await allEvents(first))).toContain('R.completed done')
  })
})
