import { describe, expect, test } from 'vitest'
import {
  accumulated,
  askCode,
  codeOf,
  codeTool,
  coding,
  download,
  figure,
  givenTo,
  logsOf,
  uploaded,
  uploadedAs,
  withoutIndexes,
} from './harness/code.ts'
import { atRest, madeBy } from './harness/engine.ts'
import { callsOf, dataOf, onlyText, piecesOf, saying, searched, searching, storeOf } from './harness/search.ts'
import { sharedApp } from './harness/shared-app.ts'
import { allEvents } from './harness/sse.ts'

const h = sharedApp({ CODE_INTERPRETER: 'pyodide' })

/** Code that prints what these files say. */
const reading = (...names: string[]) =>
  `import json\nprint(json.dumps([open("/mnt/data/" + name).read() for name in json.loads(${JSON.stringify(JSON.stringify(names))})]))`

const printedIn = (steps: Parameters<typeof logsOf>[0]) => logsOf(steps).map((logs) => JSON.parse(logs))

const attached = (...file_ids: string[]) => ({
  role: 'user' as const,
  content: 'See these.',
  attachments: file_ids.map((file_id) => ({ file_id, tools: [codeTool] })),
})

describe('files of the user', () => {
  test('are those of the assistant, of the thread and of its messages, under their names and under their ids', async () => {
    const [ours, theirs, first, later] = await Promise.all(
      ['assistant', 'thread', 'first', 'later'].map((name) => uploaded(h, `${name}.txt`, `of ${name}`)),
    )
    const ids = [ours, theirs, first, later] as string[]
    const { complete, thread } = await askCode(h, { tool_resources: givenTo(ids[0] ?? '') })
    await h.client.beta.threads.update(thread.id, { tool_resources: givenTo(ids[1] ?? '') })
    await h.client.beta.threads.messages.create(thread.id, attached(ids[2] ?? ''))
    const names = ['assistant.txt', 'thread.txt', 'first.txt']
    const before = await complete(coding(reading(...names, ...ids.slice(0, 3))), saying('.'))
    const said = ['of assistant', 'of thread', 'of first']
    expect(printedIn(before.steps)).toEqual([[...said, ...said]])
    const [tool] = h.backend.requests[0]?.tools ?? []
    const places = names.map((name, index) => `/mnt/data/${name} (${ids[index]})`)
    expect(tool).toMatchObject({ function: { description: expect.stringContaining(`user: ${places.join(', ')}.`) } })

    // What is attached later is there as well, in a session that has begun.
    await h.client.beta.threads.messages.create(thread.id, attached(ids[3] ?? ''))
    const after = await complete(coding(reading('later.txt', ids[3] ?? '', ids[0] ?? '')), saying('.'))
    expect(printedIn(after.steps)).toEqual([['of later', 'of later', 'of assistant']])
  })

  test('of one name are all there: one under the name, all under their ids', async () => {
    const ids = [await uploaded(h, 'data.csv', 'one'), await uploaded(h, 'data.csv', 'two')]
    const { complete } = await askCode(h, { tool_resources: givenTo(...ids) })
    const { steps } = await complete(coding(reading('data.csv', ...ids)), saying('.'))
    expect(printedIn(steps)).toEqual([['one', 'one', 'two']])
  })

  test('have the names that they were uploaded with, whatever these are', async () => {
    const names = [
      ...['größe 😀.csv', `it's "quoted" $(x).txt`, 'наш файл.csv', '-rf', '.hidden', '%20.txt', '~', '*'],
      ...['e\u0301 nfd.txt', '\u00e9 nfc.txt', `${'a'.repeat(251)}.txt`],
    ]
    const files = await Promise.all(names.map((name) => uploadedAs(h, name, name)))
    const { complete } = await askCode(h, { tool_resources: givenTo(...files) })
    const { steps } = await complete(coding(reading(...names, ...files)), saying('.'))
    expect(printedIn(steps)).toEqual([[...names, ...names]])
  })

  test('never leave their folder, and are there under their ids alone if their names are none', async () => {
    const names = ['../../etc/passwd', 'deep/er/file.txt', 'C:\\data\\win.txt', 'file.txt', '/abs/olute.txt']
    const unusable = ['..', '.', 'a\nb.txt', 'nul\0.txt', 'ends/', `${'é'.repeat(200)}.txt`]
    const files = await Promise.all([...names, ...unusable].map((name) => uploadedAs(h, name, name)))
    const { complete } = await askCode(h, { tool_resources: givenTo(...files) })
    const list = `[name for name in os.listdir("/mnt/data") if name not in json.loads('${JSON.stringify(files)}')]`
    const { steps, told } = await complete(
      coding(reading(...files), `import os\nprint(json.dumps(sorted(${list})))`),
      saying('.'),
    )
    expect(printedIn(steps)).toEqual([
      [...names, ...unusable],
      ['file.txt', 'olute.txt', 'passwd', 'win.txt'],
    ])
    expect(told.join()).not.toContain('could not be placed')
  })

  test('that come after the code has written one of the same name are there under their ids', async () => {
    const { complete, thread } = await askCode(h)
    await complete(coding('open("report.csv", "w").write("draft")'), saying('.'))
    const file = await uploaded(h, 'report.csv', 'corrected')
    await h.client.beta.threads.messages.create(thread.id, attached(file))
    const { steps } = await complete(coding(reading(file)), saying('.'))
    expect(logsOf(steps)).toEqual(['["corrected"]\n'])
  })

  test('that take the place of one of the same name are there under their ids', async () => {
    const old = await uploaded(h, 'data.csv', 'old')
    const { complete, assistant } = await askCode(h, { tool_resources: givenTo(old) })
    const first = await complete(coding(reading('data.csv', old)), saying('.'))
    expect(printedIn(first.steps)).toEqual([['old', 'old']])
    const file = await uploaded(h, 'data.csv', 'new')
    await h.client.beta.assistants.update(assistant.id, { tool_resources: givenTo(file) })
    const { steps } = await complete(coding(reading(file)), saying('.'))
    expect(logsOf(steps)).toEqual(['["new"]\n'])
  })
})

describe('files that the code writes', () => {
  const path = 'out/größe (1).csv'
  const link = `sandbox:/mnt/data/${encodeURI(path)}`
  const writing = `import os\nos.makedirs("out", exist_ok=True)\nopen(${JSON.stringify(path)}, "w").write("a;b")`

  test('become files of the user, to which links in the answer are annotated, in later runs as well', async () => {
    const { stream, complete } = await askCode(h)
    const answer = `😀 [Get it](${link}), or ${link}. Not sandbox:/mnt/data/none.csv.`
    h.backend.turns.push(coding(writing), saying(answer))
    const events = await allEvents(await stream())
    const made = await madeBy(h.client, dataOf(events, 'thread.run.created')[0])
    const [message] = made.messages
    const { value, annotations } = onlyText(message)
    expect(value).toBe(answer)
    const [note] = annotations
    const file_id = note?.type === 'file_path' ? note.file_path.file_id : ''
    const places = [11, answer.indexOf(' or ') + 3].map((start) => [start, start + [...link].length])
    expect(annotations).toEqual(
      places.map(([start_index, end_index]) => ({
        ...{ type: 'file_path', text: link, start_index, end_index },
        file_path: { file_id },
      })),
    )
    expect(message?.attachments).toEqual([{ file_id, tools: [{ type: 'code_interpreter' }] }])

    const deltas = dataOf(events, 'thread.message.delta').map(({ delta }) => delta.content[0])
    expect(deltas.filter(({ text }) => text.annotations?.length)).toEqual(
      annotations.map((note, index) => ({
        index: 0,
        type: 'text',
        text: { value: link, annotations: [{ index, ...note }] },
      })),
    )
    expect(piecesOf(events).join('')).toBe(answer)
    expect(withoutIndexes((await accumulated(events)).messages[0]?.content)).toEqual(message?.content)

    const file = await h.client.files.retrieve(file_id)
    expect(file).toMatchObject({ filename: 'größe (1).csv', bytes: 3, purpose: 'assistants_output' })
    expect(await download(h, file_id)).toBe('a;b')

    const next = await complete(saying(`Again: ${link}`))
    expect(onlyText(next.messages[0]).annotations).toEqual([
      { type: 'file_path', text: link, start_index: 7, end_index: 7 + [...link].length, file_path: { file_id } },
    ])
    expect(next.messages[0]?.attachments).toHaveLength(1)
  })

  test('can be linked to by a later run, whose model sees that they were written', async () => {
    const { complete } = await askCode(h)
    await complete(coding(writing), saying('I have written it.'))
    const next = await complete(saying(`Here: ${link}`))
    expect(onlyText(next.messages[0]).annotations).toMatchObject([{ type: 'file_path', text: link }])
  })

  test('lead to what was written last, and those that were not changed are no files again', async () => {
    const { complete } = await askCode(h)
    const { steps, messages, told } = await complete(
      coding('open("a.txt", "w").write("one")\nopen("b.txt", "w").write("b")', 'open("a.txt", "w").write("second")'),
      coding('print(open("b.txt").read())'),
      saying('sandbox:/mnt/data/a.txt sandbox:/mnt/data/b.txt'),
    )
    expect(told).toEqual([
      'Value of the last line: 1\nFiles written: [a.txt](sandbox:/mnt/data/a.txt), [b.txt](sandbox:/mnt/data/b.txt). Link to them like this.',
      'Value of the last line: 6\nFiles written: [a.txt](sandbox:/mnt/data/a.txt). Link to them like this.',
      'b',
    ])
    expect(codeOf(steps).map(({ outputs }) => outputs.length)).toEqual([0, 0, 1])
    const notes = onlyText(messages[0]).annotations
    const texts = notes.map((note) => (note.type === 'file_path' ? download(h, note.file_path.file_id) : ''))
    expect(await Promise.all(texts)).toEqual(['second', 'b'])
    expect(messages[0]?.attachments).toHaveLength(2)
  })

  test('that are too many or too large are named to the model', async () => {
    const { complete } = await askCode(h)
    const code = 'for i in range(103): open(f"{i:03}.txt", "w").write("x")\nopen("zz.bin", "wb").truncate(60_000_000)'
    const { told, run } = await complete(coding(code), saying('.'))
    expect(run.status).toBe('completed')
    expect(told).toEqual([expect.stringMatching(/cannot get, because they are too many or too large: .*zz\.bin.*\.$/)])
    expect(told[0]).toMatch(/102\.txt/)
  })

  test('are linked to in one answer with what a search has found', async () => {
    const store = await storeOf(h, { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' })
    const { stream } = await askCode(h, {
      tools: [{ type: 'file_search' }, codeTool],
      tool_resources: searched(store.id),
    })
    const mark = '【4:0†notes.md】'
    const answer = `😀 In March${mark}; see [x](${link})${mark}${link}.`
    h.backend.turns = [searching('Phoenix'), coding(writing), saying(answer)]
    const events = await allEvents(await stream())
    const { steps, messages } = await madeBy(h.client, dataOf(events, 'thread.run.created')[0])
    expect(steps.flatMap(callsOf).map(({ type }) => type)).toEqual(['file_search', 'code_interpreter'])
    const { value, annotations } = onlyText(messages[0])
    expect(value).toBe(answer.replaceAll(mark, annotations[0]?.text ?? ''))
    expect(annotations.map(({ type }) => type)).toEqual(['file_citation', 'file_path', 'file_citation', 'file_path'])
    for (const { text, start_index, end_index } of annotations) {
      expect([...value].slice(start_index, end_index).join('')).toBe(text)
    }
    expect(messages[0]?.attachments).toHaveLength(1)
    const [message] = (await accumulated(events)).messages
    expect(onlyText(message).value).toBe(value)
    expect(onlyText(message).annotations).toHaveLength(4)
  })
})

describe('a figure', () => {
  test('is shown once, also if the answer goes on after another call', async () => {
    const { complete } = await askCode(h)
    const { messages } = await complete(
      coding(figure()),
      ({ chunk, calls }) => {
        chunk({ content: 'Here.' })
        calls({ name: 'code_interpreter', arguments: '{"code":"1"}' })
      },
      saying('Done.'),
    )
    expect(messages.map(({ content }) => content.map(({ type }) => type))).toEqual([['image_file', 'text'], ['text']])
  })

  test('is shown once, also if the model speaks before and after its call in one turn', async () => {
    const { complete } = await askCode(h)
    const { messages } = await complete(
      coding(figure()),
      ({ chunk, end }) => {
        chunk({ content: 'Before.' })
        const written = { name: 'code_interpreter', arguments: '{"code":"1"}' }
        chunk({ tool_calls: [{ index: 0, id: 'call_0', type: 'function', function: written }] })
        chunk({ content: 'After.' })
        chunk({}, 'tool_calls')
        end()
      },
      saying('Done.'),
    )
    expect(messages.flatMap(({ content }) => content).filter(({ type }) => type === 'image_file')).toHaveLength(1)
  })

  test('takes no room of later prompts, which have none of it', async () => {
    const { complete, run, thread } = await askCode(h)
    await complete(coding(figure()), saying('Drawn.'))
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'What did you say?' })
    h.backend.requests.length = 0
    expect((await atRest(h.client, await run({ max_prompt_tokens: 1600 }))).status).toBe('completed')
    const sent = h.backend.requests[0]?.messages ?? []
    expect(sent.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'assistant', 'user'])
  })

  test('is shown, also if the model goes on to speak after the call that draws it', async () => {
    const { complete } = await askCode(h)
    const { messages } = await complete(({ chunk, end }) => {
      const written = { name: 'code_interpreter', arguments: JSON.stringify({ code: figure() }) }
      chunk({ tool_calls: [{ index: 0, id: 'call_0', type: 'function', function: written }] })
      chunk({ content: 'I draw it.' })
      chunk({}, 'tool_calls')
      end()
    }, saying('Done.'))
    expect(messages.map(({ content }) => content.map(({ type }) => type))).toEqual([['text'], ['image_file', 'text']])
  })
})
