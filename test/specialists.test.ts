import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { checkEnded, eventsOf, finish, holding, lookupTool, madeBy, outputsFor, until } from './harness/engine.ts'
import { callsOf, onlyText, saying, toldIn } from './harness/search.ts'
import {
  askLead,
  becomes,
  childrenOf,
  critic,
  get,
  handingOver,
  onlyChild,
  resultOf,
  specialistCall,
  specialistTool,
  toolOf,
} from './harness/specialists.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const trying = ['./test/tools/trying.ts']

describe('a specialist', () => {
  test('is asked, answers, and is shown as a function call with its output', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const { run, steps, messages } = await runWith([handingOver({}), saying('It is bad.'), saying('No.')])
    expect(run).toMatchObject({ status: 'completed', tools: [{ type: 'create_specialist' }] })
    expect(messages.map((message) => onlyText(message).value)).toEqual(['No.'])
    expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
      'tool_calls completed',
      'message_creation completed',
    ])
    const { name, arguments: written } = specialistCall()
    expect(callsOf(steps[0])).toEqual([
      {
        id: expect.stringMatching(/^call_/),
        type: 'function',
        function: { name, arguments: written, output: 'It is bad.' },
      },
    ])
    const [first, second, third] = h.backend.requests
    expect(first?.tools).toMatchObject([{ type: 'function', function: { name: 'create_specialist' } }])
    expect(second?.messages).toEqual([
      { role: 'system', content: critic.instructions },
      { role: 'user', content: critic.task },
    ])
    expect(third?.messages.at(-1)).toMatchObject({ role: 'tool', content: 'It is bad.' })
  })

  test('has a run and a thread of its own, which are found both ways', async () => {
    const h = await startApp()
    const { runWith, assistant, thread } = await askLead(h)
    const { run, steps } = await runWith([handingOver({ model: 'other' }), saying('It is bad.')], { temperature: 0.3 })
    const child = await onlyChild(h.client, run)
    const [call] = callsOf(steps[0])
    expect(steps[0]?.metadata).toEqual({ [call?.id ?? '']: `${child.thread_id}/${child.id}` })
    const metadata = { parent_run_id: run.id, parent_thread_id: thread.id, specialist: 'Critic' }
    const made = await checkEnded(h, child)
    expect(made.run).toMatchObject({
      ...{ status: 'completed', assistant_id: assistant.id, model: 'other', instructions: critic.instructions },
      ...{ tools: [], temperature: 0.3, metadata, required_action: null, created_at: h.time.now / 1000 },
    })
    expect(made.messages.map((message) => onlyText(message).value)).toEqual(['It is bad.'])
    const { threads } = h.client.beta
    expect(await threads.retrieve(child.thread_id)).toMatchObject({ id: child.thread_id, metadata })
    expect((await threads.runs.list(child.thread_id)).data).toEqual([made.run])
    const { data } = await threads.messages.list(child.thread_id, { order: 'asc' })
    expect(data.map((message) => `${message.role}: ${onlyText(message).value}`).slice(0, 2)).toEqual([
      'user: Judge this.',
      'assistant: It is bad.',
    ])
  })

  test("has the run's own model where no other is asked for, and none of its formats and choices", async () => {
    const h = await startApp()
    const { runWith } = await askLead(h, { model: 'big' })
    const { run, children } = await runWith([handingOver({})], {
      response_format: { type: 'json_object' },
      tool_choice: { type: 'function', function: { name: 'create_specialist' } },
      truncation_strategy: { type: 'last_messages', last_messages: 1 },
      top_p: 0.5,
    })
    expect(run).toMatchObject({ status: 'completed', response_format: { type: 'json_object' } })
    expect(children[0]?.run).toMatchObject({
      ...{ model: 'big', response_format: 'auto', tool_choice: 'auto', top_p: 0.5, expires_at: null },
      truncation_strategy: { type: 'auto', last_messages: null },
    })
  })

  test('streams to whoever asks for it while it works', async () => {
    const h = await startApp()
    const { turn, held } = holding('It ', 'is ')
    const lead = await askLead(h)
    h.backend.turns = [handingOver({}), turn, saying('No.')]
    const begun = await lead.run()
    const exchange = await held
    const child = await onlyChild(h.client, begun)
    expect(await get(h, child)).toMatchObject({ status: 'in_progress', expires_at: begun.expires_at })
    const { data } = await h.client.beta.threads.runs.list(child.thread_id)
    expect(data.map(({ id }) => id)).toEqual([child.id])
    const events = await eventsOf(h, child)
    const delta = await until(events, 'thread.message.delta')
    expect(delta.data.delta.content[0].text.value).toMatch(/^It /)
    finish(exchange, 'bad.')
    const { data: ended } = await until(events, 'thread.run.completed')
    expect(ended).toMatchObject({ id: child.id, usage: { total_tokens: 15 } })
    await becomes(h, begun, 'completed')
    expect((await resultOf(h, begun)).outputs).toEqual(['It is bad.'])
  })

  test("is in the stream of the run only as the call, and the SDK's helper builds what is stored", async () => {
    const h = await startApp()
    const { thread, assistant } = await askLead(h)
    h.backend.turns = [handingOver({}), saying('It is bad.'), saying('No.')]
    const stream = h.client.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id })
    const built = await stream.finalRunSteps()
    const final = await stream.finalRun()
    const { run, steps, children } = await resultOf(h, final)
    expect(final).toEqual(run)
    expect(built).toEqual(steps)
    expect(children[0]?.run.status).toBe('completed')

    h.backend.turns = [handingOver({}), saying('It is bad.'), saying('No.')]
    const body = { assistant_id: assistant.id, stream: true }
    const events = await allEvents(await h.send('POST', `/v1/threads/${thread.id}/runs`, body))
    expect(namesOf(events)).toBe(
      'R.created R.queued R.in_progress S.created S.in_progress S.delta S.completed ' +
        'S.created S.in_progress M.created M.in_progress M.delta M.completed S.completed R.completed done',
    )
    const ids = events.flatMap(({ data }) => data.thread_id ?? [])
    expect(new Set(ids)).toEqual(new Set([thread.id]))
  })

  test('is taken up in the same way in the second turn and in the second run', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const turns = [handingOver({}), saying('Bad.'), handingOver({ name: 'Ada' }), saying('Worse.'), saying('No.')]
    const first = await runWith(turns)
    expect(first.outputs).toEqual(['Bad.', 'Worse.'])
    expect(toldIn(h, 4)).toEqual(['Bad.', 'Worse.'])
    const second = await runWith([handingOver({}), saying('Good.'), saying('Yes.')])
    expect(second.outputs).toEqual(['Good.'])
    const ids = [...first.children, ...second.children].map(({ run }) => run.id)
    expect(new Set(ids).size).toBe(3)
  })

  test('says all that it has said, and says so if it was nothing', async () => {
    const h = await startApp({ tools: trying })
    const { runWith } = await askLead(h, { tools: [specialistTool, toolOf('trying')] })
    const { outputs } = await runWith([
      handingOver({}, {}),
      ({ chunk, calls }) => {
        chunk({ content: 'I look.' })
        calls({ name: 'trying', arguments: '{"act":"look"}' })
      },
      saying('Bad.'),
      saying(''),
    ])
    expect(outputs).toEqual(['I look.\n\nBad.', 'The specialist had nothing to say.'])
  })

  test('that refuses is told with its reason', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const { outputs } = await runWith([
      handingOver({}),
      ({ chunk, end }) => {
        chunk({ refusal: 'I do not judge.' })
        chunk({}, 'stop')
        end()
      },
    ])
    expect(outputs).toEqual(['I do not judge.'])
  })

  test("is there beside a client's function: it works first, and then the client is asked", async () => {
    const h = await startApp()
    const lead = await askLead(h, { tools: [specialistTool, lookupTool] })
    const mixed = [{ name: 'lookup', arguments: '{"q":"Rome"}' }, specialistCall()]
    const { run, outputs, children } = await lead.runWith([({ calls }) => calls(...mixed), saying('It is bad.')])
    expect(run.status).toBe('requires_action')
    expect(run.required_action?.submit_tool_outputs.tool_calls.map((call) => call.function.name)).toEqual(['lookup'])
    expect(outputs).toEqual([null, 'It is bad.'])
    expect(children.map((child) => child.run.status)).toEqual(['completed'])
    const { id, thread_id } = run
    const tool_outputs = outputsFor(run)
    await h.client.beta.threads.runs.submitToolOutputsAndPoll(id, { thread_id, tool_outputs }, { pollIntervalMs: 2 })
    expect(toldIn(h, 2)).toEqual(['sunny', 'It is bad.'])
    const made = await checkEnded(h, run)
    expect(made.run).toMatchObject({ status: 'completed', usage: { total_tokens: 45 } })
    expect(await childrenOf(h.client, run)).toHaveLength(1)
  })
})

test("a specialist's run can be fetched with all it has made once its parent's thread is gone", async () => {
  const h = await startApp()
  const { runWith, thread } = await askLead(h)
  const { children } = await runWith([handingOver({}), saying('It is bad.')])
  await h.client.beta.threads.delete(thread.id)
  const [child] = children
  if (!child) throw new Error('There is no specialist.')
  expect(await madeBy(h.client, child.run)).toEqual(child)
})
