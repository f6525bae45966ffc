import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, checkEnded, eventsOf, holding, lookupTool, madeBy, until } from './harness/engine.ts'
import {
  askFiles,
  callsOf,
  dataOf,
  holdSearch,
  onlyText,
  piecesOf,
  resultsOf,
  saying,
  searching,
  searchTool,
  toldIn,
} from './harness/search.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const mark = '【4:0†notes.md】'
const embedding = { env: { EMBEDDING_MODEL: 'e' } }
const searchedOnce = 'R.created R.queued R.in_progress S.created S.in_progress S.delta S.completed'

/** A turn that says these pieces and then ends for this reason. */
const cut =
  (reason: string, ...pieces: string[]): Turn =>
  ({ chunk, end }) => {
    for (const content of pieces) chunk({ content })
    chunk({}, reason)
    end()
  }

describe('an answer that is cut', () => {
  test.each([
    ['in the middle of a mark, which is left out', ['In March', '【4:0†no'], 'In March'],
    ['before the dagger of what may be a mark, which is kept', ['In March', '【4:'], 'In March【4:'],
    ['in the middle of a mark in brackets', ['In March ', '[4:0†notes'], 'In March '],
    ['behind a mark', [`In March${mark}`], `In March${mark}`],
  ])('%s', async (_, pieces, value) => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'), cut('length', ...pieces))
    const { stream, thread } = await askFiles(h, notes)
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(
      `${searchedOnce} S.created S.in_progress M.created M.in_progress M.delta M.incomplete S.completed R.incomplete done`,
    )
    expect(piecesOf(events).join('')).toBe(value)
    const [message] = (await h.client.beta.threads.messages.list(thread.id)).data
    expect(message).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_tokens' } })
    expect(onlyText(message).value).toBe(value)
    expect(onlyText(message).annotations).toHaveLength(value.includes(mark) ? 1 : 0)
  })

  test.each([
    ['failed', ({ response }: Parameters<Turn>[0]) => response.write('', () => response.destroy())],
    ['cancelled', undefined],
    ['expired', undefined],
  ] as const)('because the run is %s while text is held back has no half of a mark', async (status, fail) => {
    const h = await startApp()
    const { turn, held } = holding('In ', 'March【4:0†no')
    h.backend.turns.push(searching('Phoenix'), turn)
    const { run } = await askFiles(h, notes)
    const begun = await run()
    const exchange = await held
    const events = await eventsOf(h, begun)
    const pieces: string[] = []
    while (pieces.join('') !== 'In March') pieces.push(...piecesOf([await until(events, 'thread.message.delta')]))
    if (fail) fail(exchange)
    if (status === 'cancelled') await h.client.beta.threads.runs.cancel(begun.id, { thread_id: begun.thread_id })
    if (status === 'expired') {
      h.time.now += 601_000
      await h.services.executor.beat()
    }
    const last = await until(events, `thread.run.${status}`)
    const made = await checkEnded(h, begun)
    expect(last.data).toEqual(made.run)
    expect(made.run.status).toBe(status)
    expect(made.messages).toMatchObject([{ status: 'incomplete', incomplete_details: { reason: `run_${status}` } }])
    expect(onlyText(made.messages[0]).value).toBe('In March')
    expect(made.steps.map((step) => step.status)).toEqual(['completed', status])
    expect(made.run.usage?.total_tokens).toBe(15)
  })
})

describe('a run that ends in the middle of a search', () => {
  test.each(['cancelled', 'expired'] as const)('because it is %s tells so at once', async (status) => {
    const h = await startApp(embedding)
    const { stream, thread } = await askFiles(h, notes)
    h.backend.turns.push(searching('Phoenix'))
    const asked = holdSearch(h)
    const response = await stream()
    const { closed } = await asked
    const run = await h.services.store.runs.active(thread.id)
    if (!run) throw new Error('There is no run.')
    if (status === 'cancelled') await h.client.beta.threads.runs.cancel(run.id, { thread_id: run.thread_id })
    else {
      h.time.now += 601_000
      await h.services.executor.beat()
    }
    await closed
    const events = await allEvents(response)
    const end = status === 'cancelled' ? 'R.cancelling S.cancelled R.cancelled done' : 'S.expired R.expired done'
    expect(namesOf(events)).toBe(`R.created R.queued R.in_progress S.created S.in_progress S.delta ${end}`)
    const made = await checkEnded(h, run)
    expect(made.run).toMatchObject({ status, usage: { total_tokens: 15 } })
    expect(made.steps).toMatchObject([{ status, usage: { total_tokens: 15 } }])
    expect(callsOf(made.steps[0])).toMatchObject([{ type: 'file_search', file_search: { results: [] } }])
    expect(JSON.stringify([events, made])).not.toContain('model_call')
    expect(h.backend.requests).toHaveLength(1)
  })

  test('is cancelled if the cancel was acknowledged, at whatever moment it comes', async () => {
    const h = await startApp()
    const { assistant } = await askFiles(h, notes)
    const outcomes = new Set<string>()
    for (let moment = 0; moment < 40; moment++) {
      h.backend.turns = [searching('Phoenix', 'Ada'), saying(mark)]
      const asked = h.backend.requests.length
      const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
      const { id, thread_id } = await h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })
      await h.backend.requested(asked + 1)
      for (let turn = 0; turn < moment * 2; turn++) await turnOfLoop()
      const cancelled = await h.send('POST', `/v1/threads/${thread_id}/runs/${id}/cancel`)
      await atRest(h.client, { id, thread_id })
      const { run, steps, messages } = await checkEnded(h, { id, thread_id })
      expect([moment, run.status]).toEqual([moment, cancelled.status === 200 ? 'cancelled' : 'completed'])
      for (const step of steps) {
        if (step.type === 'tool_calls' && step.status === 'completed') {
          expect(resultsOf(step).map(({ length }) => length)).toEqual([1, 1])
        }
      }
      if (run.status === 'completed') expect(messages.map((message) => onlyText(message).value)).toEqual([mark])
      outcomes.add(steps.map(({ type, status }) => `${type} ${status}`).join())
    }
    expect(outcomes).toContain('tool_calls cancelled')
  })

  test('because its thread is deleted stops', async () => {
    const h = await startApp(embedding)
    const { thread, run } = await askFiles(h, notes)
    h.backend.turns.push(searching('Phoenix'))
    const asked = holdSearch(h)
    await run()
    const { closed } = await asked
    await h.client.beta.threads.delete(thread.id)
    await closed
    await expect(h.client.beta.threads.retrieve(thread.id)).rejects.toThrow('404')
    await h.services.executor.stop(1000)
    expect(h.backend.requests).toHaveLength(1)
  })
})

test('a run whose tokens are used up by the call of a search ends after it, as incomplete', async () => {
  const h = await startApp()
  h.backend.turns.push(({ chunk, end }) => {
    const call = { name: 'file_search', arguments: '{"query":"Phoenix"}' }
    chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: call }] })
    chunk({}, 'tool_calls')
    end({ prompt_tokens: 10, completion_tokens: 256, total_tokens: 266 })
  })
  const { stream } = await askFiles(h, notes)
  const events = await allEvents(await stream({ max_completion_tokens: 256 }))
  expect(namesOf(events)).toBe(`${searchedOnce} R.incomplete done`)
  const [run] = dataOf(events, 'thread.run.incomplete')
  const { run: ended, steps } = await checkEnded(h, run)
  expect(ended).toMatchObject({
    incomplete_details: { reason: 'max_completion_tokens' },
    usage: { completion_tokens: 256 },
  })
  expect(resultsOf(steps[0])[0]).toHaveLength(1)
  expect(h.backend.requests).toHaveLength(1)
})

test('each turn is given the tokens that are left', async () => {
  const h = await startApp()
  h.backend.turns.push(searching('Phoenix'), searching('Ada'))
  const { run } = await askFiles(h, notes)
  await checkEnded(h, await atRest(h.client, await run({ max_completion_tokens: 256 })))
  expect(h.backend.requests.map(({ max_completion_tokens }) => max_completion_tokens)).toEqual([256, 251, 246])
})

test('a call that the token limit cuts is answered as one that was not understood', async () => {
  const h = await startApp()
  h.backend.turns.push(({ chunk, end }) => {
    const call = { name: 'file_search', arguments: '{"query":"Pho' }
    chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: call }] })
    chunk({}, 'length')
    end()
  })
  const { run } = await askFiles(h, {})
  expect((await checkEnded(h, await atRest(h.client, await run()))).run.status).toBe('completed')
  expect(toldIn(h, 1)[0]).toMatch(/not understood/)
})

describe('text in brackets', () => {
  test('that is no mark passes piece by piece, and marks that name nothing are left out', async () => {
    const h = await startApp()
    const pieces = [
      '见【',
      '重要】',
      '和[',
      '1] [x](y) ',
      '【4:',
      '00】',
      ' a[4',
      ':0] ',
      `b${mark}`,
      '【4:9†notes.md】',
      '【9:0†x】.',
    ]
    h.backend.turns.push(searching('Phoenix'), ({ text }) => text(...pieces))
    const { stream } = await askFiles(h, notes)
    const events = await allEvents(await stream())
    const [message] = dataOf(events, 'thread.message.completed')
    expect(onlyText(message).value).toBe(`见【重要】和[1] [x](y) 【4:00】 a[4:0] b${mark}.`)
    expect(piecesOf(events).join('')).toBe(onlyText(message).value)
    expect(onlyText(message).annotations).toHaveLength(1)
  })

  test('is not waited for once it can be no mark', async () => {
    const h = await startApp()
    const { turn, held } = holding('见【重', '要', '[12 ', '【4:0 x')
    h.backend.turns.push(turn)
    const { run } = await askFiles(h, {})
    const begun = await run()
    const { chunk, end } = await held
    const events = await eventsOf(h, begun)
    let text = ''
    while (text !== '见【重要[12 【4:0 x') text += piecesOf([await until(events, 'thread.message.delta')]).join('')
    chunk({}, 'stop')
    end()
    expect((await atRest(h.client, begun)).status).toBe('completed')
  })

  test('of a run without file_search passes whatever it is', async () => {
    const h = await startApp()
    h.backend.turns.push(saying(`So${mark}.`))
    const { run } = await askFiles(h, {}, { tools: [lookupTool] })
    const { messages } = await checkEnded(h, await atRest(h.client, await run()))
    expect(onlyText(messages[0])).toEqual({ value: `So${mark}.`, annotations: [] })
  })
})

test('marks of earlier runs are not in the prompt, and mean nothing in a new run', async () => {
  const h = await startApp()
  h.backend.turns.push(searching('Phoenix'), saying(`In March ${mark}, by Ada${mark}.`), saying(`As I said${mark}.`))
  const { thread, run } = await askFiles(h, notes)
  await atRest(h.client, await run())
  await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: `What is ${mark}?` })
  const { messages } = await checkEnded(h, await atRest(h.client, await run()))
  expect(h.backend.requests[2]?.messages.slice(1)).toEqual([
    { role: 'assistant', content: 'In March, by Ada.' },
    { role: 'user', content: `What is ${mark}?` },
  ])
  expect(onlyText(messages[0])).toEqual({ value: 'As I said.', annotations: [] })
})

describe('the offsets of citations', () => {
  test('are those of their own message, where one turn makes two', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'), ({ chunk, end }) => {
      chunk({ content: `First${mark}.` })
      const call = { name: 'file_search', arguments: '{"query":"Ada"}' }
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: call }] })
      chunk({ content: `Second${mark}.` })
      chunk({}, 'tool_calls')
      end()
    })
    const { run } = await askFiles(h, notes)
    const { messages } = await madeBy(h.client, await atRest(h.client, await run()))
    const texts = messages.slice(0, 2).map(onlyText)
    expect(texts.map(({ value }) => value)).toEqual([`First${mark}.`, `Second${mark}.`])
    expect(texts.map(({ annotations: [note] }) => [note?.start_index, note?.end_index])).toEqual([
      [5, 19],
      [6, 20],
    ])
  })

  test('are those of their own part, where a refusal lies between; what was held back comes before it', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'), ({ chunk, end }) => {
      chunk({ content: `First${mark} [4` })
      chunk({ refusal: 'No.' })
      chunk({ content: `Second${mark}` })
      chunk({}, 'stop')
      end()
    })
    const { run } = await askFiles(h, notes)
    const { messages } = await checkEnded(h, await atRest(h.client, await run()))
    expect(messages[0]?.content).toMatchObject([
      { type: 'text', text: { value: `First${mark} [4`, annotations: [{ start_index: 5, end_index: 19 }] } },
      { type: 'refusal', refusal: 'No.' },
      { type: 'text', text: { value: `Second${mark}`, annotations: [{ start_index: 6, end_index: 20 }] } },
    ])
  })
})

test('a run that waits for its client after a search expires with its step, results kept', async () => {
  const h = await startApp()
  h.backend.turns.push(({ calls }) =>
    calls({ name: 'file_search', arguments: '{"query":"Phoenix"}' }, { name: 'lookup', arguments: '{}' }),
  )
  const { run } = await askFiles(h, notes, { tools: [searchTool, lookupTool] })
  const waiting = await atRest(h.client, await run())
  h.time.now += 601_000
  await h.services.executor.beat()
  await expect.poll(async () => (await madeBy(h.client, waiting)).run.status).toBe('expired')
  const { steps } = await checkEnded(h, waiting)
  expect(steps).toMatchObject([{ status: 'expired', usage: { total_tokens: 15 } }])
  expect(resultsOf(steps[0])[0]).toHaveLength(1)
})
