import { expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { allEvents, namesOf, readEvents, type SentEvent } from './harness/sse.ts'

const whole =
  'R.created R.queued R.in_progress S.created S.in_progress M.created M.in_progress M.delta M.completed S.completed R.completed'

async function twoRuns(h: Harness) {
  const assistant = await h.client.beta.assistants.create({ model: 'm' })
  const thread = await h.client.beta.threads.create({ messages: [{ role: 'user', content: 'Hi' }] })
  const url = `/v1/threads/${thread.id}/runs`
  const run = () => h.client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id })
  return { assistant, thread, url, run }
}

/** Reads until the last event is the `count`th of its name; leaves the connection then. */
async function readUntil(response: Response, name: string, count: number): Promise<SentEvent[]> {
  const events: SentEvent[] = []
  for await (const event of readEvents(response)) {
    events.push(event)
    if (events.filter((one) => one.event === name).length === count) return events
  }
  throw new Error(`the stream ended after ${namesOf(events)}`)
}

test('a thread brings its newest run and goes on with the next, each event once', async () => {
  const h = await startApp()
  const { url, run } = await twoRuns(h)
  const first = await run()
  const attached = await h.send('GET', `${url}/stream`)
  const reading = readUntil(attached, 'thread.run.completed', 2)
  const second = await run()
  const events = await reading
  expect(namesOf(events)).toBe(`${whole} ${whole}`)
  const ended = events.filter(({ event }) => event === 'thread.run.completed').map(({ data }) => data)
  expect(ended).toEqual([first, second])
})

test('a thread without a run is silent until there is one', async () => {
  const h = await startApp()
  const { url, run } = await twoRuns(h)
  const reading = readUntil(await h.send('GET', `${url}/stream`), 'thread.run.completed', 1)
  await run()
  expect(namesOf(await reading)).toBe(whole)
})

test('a run that waits for outputs is told to its rest, calls and all', async () => {
  const h = await startApp()
  h.backend.turns.push(({ calls }) => calls({ name: 'f', arguments: '{"a":1}' }))
  const { url, run } = await twoRuns(h)
  const { id, required_action } = await run()
  const events = await allEvents(await h.send('GET', `${url}/${id}/stream`))
  expect(namesOf(events)).toBe(
    'R.created R.queued R.in_progress S.created S.in_progress S.delta R.requires_action done',
  )
  const { tool_calls } = events.find(({ event }) => event === 'thread.run.step.delta')?.data.delta.step_details ?? {}
  const [call] = required_action?.submit_tool_outputs.tool_calls ?? []
  expect(tool_calls).toEqual([{ index: 0, ...call, function: { ...call?.function, output: null } }])
})

test('two who attach in the middle of a text get the same text', async () => {
  const h = await startApp()
  const goOn = Promise.withResolvers<void>()
  h.backend.turns.push(async ({ chunk, text }) => {
    chunk({ content: 'One, ' })
    chunk({ content: 'two, ' })
    await goOn.promise
    text('three, ', 'four.')
  })
  const { assistant, thread, url } = await twoRuns(h)
  const stream = readEvents(await h.send('POST', url, { assistant_id: assistant.id, stream: true }))
  let run_id = ''
  let text = ''
  for await (const { event, data } of stream) {
    if (event === 'thread.run.created') run_id = data.id
    if (event === 'thread.message.delta') text += data.delta.content[0].text.value
    if (text === 'One, two, ') break
  }
  const attached = await Promise.all([
    h.send('GET', `${url}/${run_id}/stream`),
    h.send('GET', `${url}/${run_id}/stream`),
  ])
  goOn.resolve()
  for (const response of attached) {
    const events = await allEvents(response)
    expect(namesOf(events)).toBe(`${whole} done`)
    const deltas = events.filter(({ event }) => event === 'thread.message.delta')
    expect(deltas.map(({ data }) => data.delta.content[0].text.value).join('')).toBe('One, two, three, four.')
  }
  expect((await h.client.beta.threads.runs.poll(run_id, { thread_id: thread.id })).status).toBe('completed')
})

test('nothing to attach to is an ordinary 404', async () => {
  const h = await startApp()
  const { url } = await twoRuns(h)
  expect((await h.send('GET', `${url}/run_none/stream`)).status).toBe(404)
  expect((await h.send('GET', '/v1/threads/thread_none/runs/stream')).status).toBe(404)
})
