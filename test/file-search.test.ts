import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, lookupTool, madeBy, outputsFor } from './harness/engine.ts'
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
} from './harness/search.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const mark = '【4:0†notes.md】'
const answer = `It begins in March${mark}, under 😀 Ada${mark}.`
const content = 'step_details.tool_calls[*].file_search.results[*].content' as const

const beginning = 'R.created R.queued R.in_progress'
const opened = 'S.created S.in_progress M.created M.in_progress'
const wholeRun = `${beginning} S.created S.in_progress S.delta S.completed ${opened} M.delta M.completed S.completed R.completed`

/** A run that searches and answers, streamed. */
async function answered(h: Harness, query = '', settings = {}) {
  h.backend.turns.push(searching('Project Phoenix'), saying(answer))
  const asked = await askFiles(h, notes, settings)
  const events = await allEvents(await asked.stream({}, query))
  return { ...asked, events, run: dataOf(events, 'thread.run.created')[0] as { id: string; thread_id: string } }
}

describe('a streamed run that searches', () => {
  test('(d) tells a search and a cited answer in this order', async () => {
    const h = await startApp()
    const { events, file_ids } = await answered(h)
    expect(namesOf(events)).toBe(`${wholeRun} done`)
    const [created] = dataOf(events, 'thread.run.step.created')
    expect(created.step_details).toEqual({ type: 'tool_calls', tool_calls: [] })
    const begun = dataOf(events, 'thread.run.step.delta')
    const ranking_options = { ranker: 'default_2024_08_21', score_threshold: 0 }
    const [{ id }] = begun[0].delta.step_details.tool_calls
    expect(begun).toEqual([
      {
        id: created.id,
        object: 'thread.run.step.delta',
        delta: {
          step_details: {
            type: 'tool_calls',
            tool_calls: [{ index: 0, id, type: 'file_search', file_search: { ranking_options, results: [] } }],
          },
        },
      },
    ])
    const [ended] = dataOf(events, 'thread.run.step.completed')
    const [score] = ended.step_details.tool_calls[0].file_search.results.map((one: { score: number }) => one.score)
    expect(score).toBeGreaterThan(0)
    expect(score).toBeLessThanOrEqual(1)
    const results = [{ file_id: file_ids[0], file_name: 'notes.md', score, attributes: {} }]
    expect(ended).toMatchObject({ id: created.id, completed_at: h.time.now / 1000, usage: { total_tokens: 15 } })
    expect(ended.step_details).toEqual({
      type: 'tool_calls',
      tool_calls: [{ id, type: 'file_search', file_search: { ranking_options, results } }],
    })
  })

  test('a mark comes whole, in one delta with its annotation; everything else as the model said it', async () => {
    const h = await startApp()
    const { events, file_ids } = await answered(h)
    expect(piecesOf(events)).toEqual([...'It begins in March', mark, ...', under 😀 Ada', mark, '.'])
    const notePlaces = dataOf(events, 'thread.message.delta').flatMap(({ delta }) => delta.content[0].text)
    const file_citation = { file_id: file_ids[0], quote: '' }
    expect(notePlaces.filter(({ annotations }) => annotations?.length)).toEqual([
      {
        value: mark,
        annotations: [{ index: 0, type: 'file_citation', text: mark, start_index: 18, end_index: 32, file_citation }],
      },
      {
        value: mark,
        annotations: [{ index: 1, type: 'file_citation', text: mark, start_index: 45, end_index: 59, file_citation }],
      },
    ])
    expect(notePlaces[0]).toEqual({ value: 'I', annotations: [] })
    expect(notePlaces.slice(1).filter(({ value, annotations }) => annotations && value !== mark)).toEqual([])
  })

  test('the finished message has neither index nor quote, and is what is stored', async () => {
    const h = await startApp()
    const { events, file_ids, run } = await answered(h)
    const [finished] = dataOf(events, 'thread.message.completed')
    const citation = { type: 'file_citation', text: mark, file_citation: { file_id: file_ids[0] } }
    expect(finished.content).toEqual([
      {
        type: 'text',
        text: {
          value: answer,
          annotations: [
            { ...citation, start_index: 18, end_index: 32 },
            { ...citation, start_index: 45, end_index: 59 },
          ],
        },
      },
    ])
    const { messages, steps, run: ended } = await madeBy(h.client, run)
    expect(messages).toEqual([finished])
    expect(steps).toEqual(dataOf(events, 'thread.run.step.completed'))
    expect(steps.map(({ usage }) => usage?.total_tokens)).toEqual([15, 15])
    expect(ended).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
    expect(dataOf(events, 'thread.run.completed')).toEqual([ended])
  })

  test("the SDK's helper accumulates what is stored", async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Project Phoenix'), saying(answer))
    const { thread, assistant } = await askFiles(h, notes)
    const heard: string[] = []
    const stream = h.client.beta.threads.runs
      .stream(thread.id, { assistant_id: assistant.id })
      .on('toolCallCreated', ({ type }) => heard.push(`created ${type}`))
      .on('toolCallDone', ({ type }) => heard.push(`done ${type}`))
      .on('textDone', ({ value }) => heard.push(value))
    const run = await stream.finalRun()
    const { steps, messages } = await madeBy(h.client, run)
    expect(heard).toEqual(['created file_search', 'done file_search', answer])
    expect(await stream.finalRunSteps()).toEqual(steps)
    const [accumulated] = await stream.finalMessages()
    expect(onlyText(accumulated).value).toBe(answer)
    const { annotations } = onlyText(messages[0])
    expect(annotations).toHaveLength(2)
    expect(onlyText(accumulated).annotations).toEqual(
      annotations.map((note, index) => ({
        index,
        ...note,
        ...(note.type === 'file_citation' && { file_citation: { ...note.file_citation, quote: '' } }),
      })),
    )
  })
})

describe('the text of what was found is told', () => {
  const withText = [[{ content: [{ type: 'text', text: notes['notes.md'] }] }]]
  const encoded = encodeURIComponent(content)

  test.each([
    `?include[]=${content}`,
    `?include%5B%5D=${encoded}`,
    `?include=${encoded}`,
    `?include[0]=${encoded}`,
    `?include[]=${content}&include[]=${content}`,
  ])('by %s to a stream, a step and a list of steps', async (query) => {
    const h = await startApp()
    const { events, run, url } = await answered(h, query)
    expect(namesOf(events)).toBe(`${wholeRun} done`)
    const [step] = dataOf(events, 'thread.run.step.completed')
    expect(resultsOf(step)).toMatchObject(withText)
    const one = await (await h.send('GET', `${url}/${run.id}/steps/${step.id}${query}`)).json()
    expect(one).toEqual(step)
    const list = await (await h.send('GET', `${url}/${run.id}/steps${query}&order=asc&limit=1`)).json()
    expect(list).toMatchObject({ data: [step] })
  })

  test('to the SDKs that ask for it, and to nobody else', async () => {
    const h = await startApp()
    const { thread, run, events } = await answered(h)
    const [{ id }] = dataOf(events, 'thread.run.step.completed')
    const { steps } = h.client.beta.threads.runs
    const at = { thread_id: thread.id, run_id: run.id }
    expect(resultsOf(await steps.retrieve(id, { ...at, include: [content] }))).toMatchObject(withText)
    const listed = await steps.list(run.id, { thread_id: thread.id, include: [content], order: 'asc' })
    expect(resultsOf(listed.data[0])).toMatchObject(withText)

    const told = [
      await steps.retrieve(id, at),
      (await steps.list(run.id, { thread_id: thread.id, order: 'asc' })).data[0],
      dataOf(events, 'thread.run.step.completed')[0],
    ]
    for (const step of told) {
      expect(resultsOf(step)[0]).toHaveLength(1)
      expect(resultsOf(step)[0]?.[0]).not.toHaveProperty('content')
    }
  })

  test('to a streamed submit that asks for it', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) =>
      calls({ name: 'file_search', arguments: '{"query":"Phoenix"}' }, { name: 'lookup', arguments: '{}' }),
    )
    const { run, url } = await askFiles(h, notes, { tools: [{ type: 'file_search' }, lookupTool] })
    const waiting = await atRest(h.client, await run())
    const body = { tool_outputs: outputsFor(waiting), stream: true }
    const events = await allEvents(
      await h.send('POST', `${url}/${waiting.id}/submit_tool_outputs?include[]=${content}`, body),
    )
    expect(resultsOf(events[0]?.data)[0]).toMatchObject(withText[0] ?? [])
  })

  test.each(['?include[]=everything', '?include=', '?include[]='])(
    'and %s is refused or asks for nothing',
    async (query) => {
      const h = await startApp()
      const { run, url } = await answered(h)
      const list = await h.send('GET', `${url}/${run.id}/steps${query}`)
      const stream = await h.send('GET', `${url}/${run.id}/stream${query}`)
      if (query.endsWith('everything')) {
        expect([list.status, stream.status]).toEqual([400, 400])
        expect(await list.json()).toMatchObject({ error: { param: 'include', type: 'invalid_request_error' } })
      } else {
        expect(await list.text()).not.toContain('"content"')
        expect([list.status, stream.status]).toEqual([200, 200])
      }
    },
  )
})

describe('what the model wrote and was told is told to no client', () => {
  /** Which of them there are: the last is in the query and in the text of what is found. */
  const leaks = (told: unknown) =>
    ['model_call', 'Passages of the files', 'Project Phoenix'].filter((secret) => JSON.stringify(told).includes(secret))

  /** All that a client can read of a run, as text. */
  async function readable(h: Harness, { url, run, query = '' }: { url: string; run: { id: string }; query?: string }) {
    const steps = await h.send('GET', `${url}/${run.id}/steps${query}`)
    const texts = [await steps.text(), await (await h.send('GET', `${url}/${run.id}`)).text()]
    for (const { id } of JSON.parse(texts[0] ?? '').data) {
      texts.push(await (await h.send('GET', `${url}/${run.id}/steps/${id}${query}`)).text())
    }
    return texts.join('\n')
  }

  test('not by GET, list or events', async () => {
    const h = await startApp()
    const { events, url, run } = await answered(h)
    expect(leaks(events)).toEqual([])
    expect(leaks(await readable(h, { url, run }))).toEqual([])
    const query = `?include[]=${content}`
    expect(leaks(await readable(h, { url, run, query }))).toEqual(['Project Phoenix'])
  })

  test.each(['', `?include[]=${content}`])('not to those who attach after the end, with %j', async (query) => {
    const h = await startApp()
    const { url, run, events } = await answered(h)
    const replayed = await allEvents(await h.send('GET', `${url}/${run.id}/stream${query}`))
    expect(namesOf(replayed)).toBe(namesOf(events))
    expect(leaks(replayed)).toEqual(query ? ['Project Phoenix'] : [])
    // As in the live stream: what was found comes with the end of the step.
    const begun = dataOf(replayed, 'thread.run.step.delta').map(({ delta }) => delta.step_details.tool_calls)
    expect(begun).toMatchObject([[{ index: 0, type: 'file_search', file_search: { results: [] } }]])
    expect(resultsOf(dataOf(replayed, 'thread.run.step.completed')[0])[0]).toHaveLength(1)
  })

  test('not to those who attach in the middle of a search, and their accumulators take what they get', async () => {
    const h = await startApp({ env: { EMBEDDING_MODEL: 'e' } })
    const asked = await askFiles(h, notes)
    h.backend.turns.push(searching('Project Phoenix'), saying(answer))
    const held = holdSearch(h)
    const run = await asked.run()
    const exchange = await held
    const attached = [
      await h.send('GET', `${asked.url}/${run.id}/stream`),
      await h.send('GET', `${asked.url}/${run.id}/stream`),
    ]
    expect(leaks(await readable(h, { url: asked.url, run }))).toEqual([])
    exchange.vectors()
    const [first, second] = await Promise.all(attached.map(allEvents))
    expect(second).toEqual(first)
    expect(namesOf(first ?? [])).toBe(`${wholeRun} done`)
    expect(leaks(first)).toEqual([])
    expect(piecesOf(first ?? []).join('')).toBe(answer)

    const lines = (first ?? []).slice(0, -1).map((event) => `${JSON.stringify(event)}\n`)
    const { AssistantStream } = await import('openai/lib/AssistantStream')
    const stream = AssistantStream.fromReadableStream(new Blob(lines).stream())
    const made = await madeBy(h.client, run)
    expect(await stream.finalRun()).toEqual(made.run)
    expect(await stream.finalRunSteps()).toEqual(made.steps)
    expect(onlyText((await stream.finalMessages())[0]).value).toBe(answer)
    expect(callsOf(made.steps[0])).toHaveLength(1)
  })
})
