import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const weatherTool = {
  type: 'function' as const,
  function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}

async function start(h: Harness, run: object = {}) {
  const assistant = await h.client.beta.assistants.create({
    model: 'm',
    tools: [weatherTool],
    instructions: 'Be brief.',
  })
  const thread = await h.client.beta.threads.create({ messages: [{ role: 'user', content: 'Hi' }] })
  const stream = (body: object = {}) =>
    h.send('POST', `/v1/threads/${thread.id}/runs`, { assistant_id: assistant.id, stream: true, ...run, ...body })
  return { assistant, thread, stream }
}

const beginning = 'R.created R.queued R.in_progress'
const message = 'S.created S.in_progress M.created M.in_progress M.delta'

describe('the order of events', () => {
  test('(a) a text', async () => {
    const h = await startApp()
    const { stream, thread } = await start(h)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(`${beginning} ${message} M.completed S.completed R.completed done`)
    expect(events[1]?.data).toEqual(events[0]?.data)
    const [first, second] = events.filter(({ event }) => event === 'thread.message.delta')
    expect(first?.data.delta).toEqual({
      content: [{ index: 0, type: 'text', text: { value: 'Hel', annotations: [] } }],
    })
    expect(second?.data.delta).toEqual({ content: [{ index: 0, type: 'text', text: { value: 'lo.' } }] })
    expect(events.find(({ event }) => event === 'thread.message.created')?.data.content).toEqual([])
    const stored = await h.client.beta.threads.messages.list(thread.id)
    expect(stored.data[0]).toEqual(events.find(({ event }) => event === 'thread.message.completed')?.data)
    expect(events.at(-1)).toEqual({ event: 'done', data: '[DONE]' })
  })
})
