import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, checkEnded, lookupTool, madeBy, outputsFor } from './harness/engine.ts'
import {
  askFiles,
  callsOf,
  dataOf,
  onlyText,
  resultsOf,
  saying,
  searched,
  searching,
  searchTool,
  storeOf,
  toldIn,
} from './harness/search.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const plan = { 'plan.txt': 'The budget of Project Phoenix is nine thousand.' }
const toolsOf = (h: Harness, n: number) =>
  (h.backend.requests[n]?.tools ?? []).map((tool) => (tool.type === 'function' ? tool.function.name : tool.type)).sort()
const choicesOf = (h: Harness) => h.backend.requests.map(({ tool_choice }) => tool_choice)
const phoenix = { name: 'file_search', arguments: '{"query":"Phoenix"}' }
const lookup = { name: 'lookup', arguments: '{"q":"Rome"}' }

describe('the model', () => {
  test('knows the search as a function, and what it found as the output of its own call', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'))
    const { run } = await askFiles(h, notes)
    const { steps } = await checkEnded(h, await atRest(h.client, await run()))
    const [first, second] = h.backend.requests
    expect(first?.tools).toMatchObject([
      { type: 'function', function: { name: 'file_search', parameters: { required: ['query'] } } },
    ])
    const [call] = callsOf(steps[0])
    const [asked, told, ...more] = second?.messages.slice(1) ?? []
    expect(asked).toEqual({ role: 'assistant', tool_calls: [{ id: call?.id, type: 'function', function: phoenix }] })
    expect(told).toMatchObject({ role: 'tool', tool_call_id: call?.id })
    expect(told?.content).toContain(`【4:0†notes.md】\n${notes['notes.md']}`)
    expect(more).toEqual([])
  })

  test("searches the assistant's store and the thread's", async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'))
    const { thread, run, file_ids } = await askFiles(h, notes)
    const other = await storeOf(h, plan)
    const third = await storeOf(h, { 'else.txt': 'Phoenix is a town too.' })
    await h.client.beta.threads.update(thread.id, { tool_resources: searched(other.id) })
    const { steps } = await madeBy(h.client, await atRest(h.client, await run()))
    const found = resultsOf(steps[0]).flat()
    expect(found.map(({ file_id }) => file_id).sort()).toEqual([...file_ids, ...other.file_ids].sort())
    expect(found.map(({ file_id }) => file_id)).not.toContain(third.file_ids[0])
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).sort((a, b) => b - a))
  })

  test('searches twice in one turn: the first is cited as 4, the second as 5, each what it found', async () => {
    const h = await startApp()
    h.backend.turns.push(
      searching('Who is the leader?', 'nine thousand'),
      saying('Ada【4:0†notes.md】 has nine thousand【5:0†plan.txt】.【5:7†plan.txt】'),
    )
    const { stream, file_ids } = await askFiles(h, { ...notes, ...plan })
    const events = await allEvents(await stream())
    const [step] = dataOf(events, 'thread.run.step.completed')
    expect(callsOf(step)).toHaveLength(2)
    expect(new Set(callsOf(step).map(({ id }) => id)).size).toBe(2)
    const [first, second] = resultsOf(step)
    expect([first?.[0]?.file_name, second?.[0]?.file_name]).toEqual(['notes.md', 'plan.txt'])
    const begun = dataOf(events, 'thread.run.step.delta').flatMap(({ delta }) => delta.step_details.tool_calls)
    expect(begun.map(({ index, id }) => [index, id])).toEqual(callsOf(step).map(({ id }, index) => [index, id]))
    const [told, toldAlso] = toldIn(h, 1)
    expect([told?.match(/^【\d:\d/gm), toldAlso?.match(/^【\d:\d/gm)].map((marks) => marks?.[0])).toEqual([
      '【4:0',
      '【5:0',
    ])
    const [message] = dataOf(events, 'thread.message.completed')
    expect(onlyText(message).value).toBe('Ada【4:0†notes.md】 has nine thousand【5:0†plan.txt】.')
    expect(onlyText(message).annotations).toMatchObject(file_ids.map((file_id) => ({ file_citation: { file_id } })))
  })

  test('searches round after round, counting on; each round is a step with its own usage', async () => {
    const h = await startApp()
    h.backend.turns.push(
      searching('leader'),
      searching('nothing such'),
      searching('nine thousand'),
      saying('Ada【4:0†notes.md】, nine thousand【6:0†plan.txt】, nothing【5:0†notes.md】.'),
    )
    const { run } = await askFiles(h, { ...notes, ...plan })
    const { run: ended, steps, messages } = await checkEnded(h, await atRest(h.client, await run()))
    expect(steps.map(({ type, usage }) => `${type} ${usage?.total_tokens}`)).toEqual([
      ...Array(3).fill('tool_calls 15'),
      'message_creation 15',
    ])
    expect(ended.usage?.total_tokens).toBe(60)
    expect(resultsOf(steps[1])).toEqual([[]])
    expect(toldIn(h, 2)[1]).toMatch(/found nothing/)
    expect(onlyText(messages[0]).value).toBe('Ada【4:0†notes.md】, nine thousand【6:0†plan.txt】, nothing.')
    expect(onlyText(messages[0]).annotations.map(({ text }) => text)).toEqual(['【4:0†notes.md】', '【6:0†plan.txt】'])
  })

  test('says something before it searches, and after it in the same breath', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk, calls, body }) => {
      expect(body.messages).toHaveLength(1)
      chunk({ content: 'Let me look.' })
      calls(phoenix)
    }, saying('In March【4:0†notes.md】.'))
    const { run } = await askFiles(h, notes)
    const { steps, messages } = await checkEnded(h, await atRest(h.client, await run()))
    expect(steps.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls', 'message_creation'])
    expect(messages.map((message) => onlyText(message).value)).toEqual(['Let me look.', 'In March【4:0†notes.md】.'])
    const said = h.backend.requests[1]?.messages.slice(1)
    expect(said).toMatchObject([{ role: 'assistant', content: 'Let me look.', tool_calls: [{}] }, { role: 'tool' }])
  })

  test('says something after its search in the same turn: the search is answered all the same', async () => {
    const h = await startApp()
    h.backend.turns.push(({ chunk, end }) => {
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: phoenix }] })
      chunk({ content: 'I am looking.' })
      chunk({}, 'tool_calls')
      end()
    })
    const { run } = await askFiles(h, notes)
    const { steps } = await checkEnded(h, await atRest(h.client, await run()))
    expect(resultsOf(steps.find(({ type }) => type === 'tool_calls'))[0]).toHaveLength(1)
    expect(toldIn(h, 1)[0]).toContain(notes['notes.md'])
  })
})

describe('a search and a function of the client in one turn', () => {
  test('the client is asked for its calls alone, with the results in the step; then all is completed', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls(lookup, phoenix), saying('Sunny, in March【4:0†notes.md】.'))
    const { run, url, file_ids } = await askFiles(h, notes, { tools: [searchTool, lookupTool] })
    const waiting = await atRest(h.client, await run())
    expect(waiting.status).toBe('requires_action')
    const required = waiting.required_action?.submit_tool_outputs.tool_calls
    expect(required).toMatchObject([{ type: 'function', function: lookup }])
    const { steps: open } = await madeBy(h.client, waiting)
    expect(open).toMatchObject([{ status: 'in_progress', usage: null, completed_at: null }])
    expect(callsOf(open[0])).toMatchObject([
      { id: required?.[0]?.id, type: 'function', function: { ...lookup, output: null } },
      { type: 'file_search', file_search: { results: [{ file_id: file_ids[0] }] } },
    ])

    const body = { tool_outputs: outputsFor(waiting), stream: true }
    const events = await allEvents(await h.send('POST', `${url}/${waiting.id}/submit_tool_outputs`, body))
    expect(namesOf(events)).toBe(
      'S.completed R.queued R.in_progress S.created S.in_progress M.created M.in_progress M.delta M.completed S.completed R.completed done',
    )
    const { steps, messages, run: ended } = await checkEnded(h, waiting)
    expect(events[0]?.data).toEqual(steps[0])
    expect(steps[0]).toMatchObject({ id: open[0]?.id, status: 'completed', usage: { total_tokens: 15 } })
    expect(callsOf(steps[0])).toMatchObject([{ function: { ...lookup, output: 'sunny' } }, callsOf(open[0])[1] ?? {}])
    expect(ended.usage?.total_tokens).toBe(30)
    expect(onlyText(messages[0]).annotations).toHaveLength(1)
    const [, asked, ...told] = h.backend.requests[1]?.messages ?? []
    expect(asked).toMatchObject({ tool_calls: [{ function: lookup }, { function: phoenix }] })
    expect(told.map(({ content }) => String(content).slice(0, 8))).toEqual(['sunny', 'Passages'])
  })

  test('streamed, it ends where the client is asked, without an end of the step', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls(phoenix, lookup))
    const { stream, url } = await askFiles(h, notes, { tools: [searchTool, lookupTool] })
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(
      'R.created R.queued R.in_progress S.created S.in_progress S.delta R.requires_action done',
    )
    const [run] = dataOf(events, 'thread.run.requires_action')
    const indexes = dataOf(events, 'thread.run.step.delta').map(({ delta }) => delta.step_details.tool_calls[0].index)
    expect(indexes).toEqual([0, 1, 1, 1])
    const attached = await allEvents(await h.send('GET', `${url}/${run.id}/stream`))
    expect(namesOf(attached)).toBe(namesOf(events))
    await expect(
      h.client.beta.threads.runs.submitToolOutputs(run.id, { thread_id: run.thread_id, tool_outputs: [] }),
    ).rejects.toThrow('400 Expected tool outputs for call_ids')
  })
})

describe('the choice of a tool', () => {
  test('a forced search is a forced function, in the first turn alone', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'), ({ calls }) => calls(lookup))
    const { run } = await askFiles(h, notes, { tools: [searchTool, lookupTool] })
    const waiting = await atRest(h.client, await run({ tool_choice: { type: 'file_search' } }))
    const { id, thread_id } = waiting
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    await atRest(h.client, waiting)
    const forced = { type: 'function', function: { name: 'file_search' } }
    expect(choicesOf(h)).toEqual([forced, 'auto', 'auto'])
    expect(toolsOf(h, 0)).toEqual(['file_search', 'lookup'])
    expect(toolsOf(h, 2)).toEqual(['file_search', 'lookup'])
  })

  test.each([
    ['none', ['none']],
    ['required', ['required', 'auto']],
  ] as const)('%s', async (tool_choice, expected) => {
    const h = await startApp()
    if (tool_choice === 'required') h.backend.turns.push(searching('Phoenix'))
    const { run } = await askFiles(h, notes)
    expect((await atRest(h.client, await run({ tool_choice }))).status).toBe('completed')
    expect(choicesOf(h)).toEqual(expected)
  })

  test('a forced search is refused where the run has none', async () => {
    const h = await startApp()
    const { run } = await askFiles(h, notes, { tools: [lookupTool] })
    await expect(run({ tool_choice: { type: 'file_search' } })).rejects.toThrow(
      "400 Tool choice 'file_search' not found in 'tools' parameter.",
    )
  })

  test('without parallel calls only the first of a turn counts', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls(phoenix, lookup))
    const { run } = await askFiles(h, notes, { tools: [searchTool, lookupTool] })
    const ended = await atRest(h.client, await run({ parallel_tool_calls: false }))
    expect(ended.status).toBe('completed')
    expect(callsOf((await madeBy(h.client, ended)).steps[0])).toMatchObject([{ type: 'file_search' }])
    expect(h.backend.requests[0]).toMatchObject({ parallel_tool_calls: false })
  })

  test('the tools of the run count, not those of the assistant', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'))
    const { run } = await askFiles(h, notes)
    const waiting = await atRest(h.client, await run({ tools: [] }))
    expect(toolsOf(h, 0)).toEqual([])
    // What it was not told of is the client's.
    expect(waiting.status).toBe('requires_action')
  })
})

describe("a client's function that is called file_search itself", () => {
  const own = { type: 'function' as const, function: { name: 'file_search', description: 'My own.' } }

  test.each([
    ['beside the tool', [searchTool, own]],
    ['without the tool', [own]],
  ])('%s is the one that is told and called', async (_, tools) => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'), saying('So it is【4:0†notes.md】.'))
    const { run } = await askFiles(h, notes, { tools })
    const waiting = await atRest(h.client, await run())
    expect(waiting.required_action?.submit_tool_outputs.tool_calls).toMatchObject([{ function: phoenix }])
    expect(h.backend.requests[0]?.tools).toMatchObject([{ function: { description: 'My own.' } }])
    const { id, thread_id } = waiting
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting, 'mine') })
    const { messages } = await checkEnded(h, await atRest(h.client, waiting))
    expect(toldIn(h, 1)).toEqual(['mine'])
    // Nothing was searched here, so nothing is a citation.
    expect(onlyText(messages[0])).toEqual({ value: 'So it is【4:0†notes.md】.', annotations: [] })
  })
})
