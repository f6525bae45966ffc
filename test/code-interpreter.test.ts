import { describe, expect, test } from 'vitest'
import {
  accumulated,
  askCode,
  chunksOf,
  codeCall,
  codeOf,
  coding,
  download,
  figure,
  logsOf,
  png,
  withoutIndexes,
  writing,
} from './harness/code.ts'
import { atRest, madeBy } from './harness/engine.ts'
import { callsOf, dataOf, onlyText, saying } from './harness/search.ts'
import { sharedApp } from './harness/shared-app.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const h = sharedApp({ CODE_INTERPRETER: 'pyodide' })

const beginning = 'R.created R.queued R.in_progress'
const opened = 'S.created S.in_progress M.created M.in_progress'
const wholeRun = `${beginning} S.created S.in_progress S.delta S.completed ${opened} M.delta M.completed S.completed R.completed done`

/** The calls in deltas of steps, one by one. */
const toldCalls = (events: Parameters<typeof dataOf>[0]) =>
  dataOf(events, 'thread.run.step.delta').flatMap(({ delta }) => delta.step_details.tool_calls)

describe('a streamed run that runs code', () => {
  test('(e) tells the code as it is written, what it printed, and the answer, in this order', async () => {
    const { stream } = await askCode(h)
    const code = 'x = 6\nprint(x * 7)'
    h.backend.turns.push(writing(chunksOf(codeCall(code).arguments, 4)), saying('It is 42.'))
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(wholeRun)
    const [created] = dataOf(events, 'thread.run.step.created')
    expect(created.step_details).toEqual({ type: 'tool_calls', tool_calls: [] })

    const [first, ...others] = toldCalls(events)
    const { id } = first
    expect(id).toMatch(/^call_/)
    expect(first).toEqual({ index: 0, id, type: 'code_interpreter', code_interpreter: { input: '', outputs: [] } })
    const type = 'code_interpreter'
    const outputs = { index: 0, type, code_interpreter: { outputs: [{ index: 0, type: 'logs', logs: '42\n' }] } }
    expect(others.pop()).toEqual(outputs)
    const inputs = others.map(({ code_interpreter }) => code_interpreter.input)
    expect(others).toEqual(inputs.map((input) => ({ index: 0, type, code_interpreter: { input } })))
    expect(inputs.length).toBeGreaterThan(3)
    expect(inputs.join('')).toBe(code)

    const [ended] = dataOf(events, 'thread.run.step.completed')
    expect(ended).toMatchObject({ id: created.id, completed_at: expect.any(Number), usage: { total_tokens: 15 } })
    expect(ended.step_details).toEqual({
      type: 'tool_calls',
      tool_calls: [{ id, type, code_interpreter: { input: code, outputs: [{ type: 'logs', logs: '42\n' }] } }],
    })
    const run = dataOf(events, 'thread.run.created')[0]
    const made = await madeBy(h.client, run)
    expect(made.steps).toEqual(dataOf(events, 'thread.run.step.completed'))
    expect(made.run).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
    expect(made.messages).toMatchObject([{ attachments: [], content: [{ text: { value: 'It is 42.' } }] }])
    const all = JSON.stringify([events, made])
    expect(['model_call', 'arguments'].filter((secret) => all.includes(secret))).toEqual([])
  })

  test("the SDK's helper hears code and logs, and accumulates what is stored", async () => {
    const { assistant, thread } = await askCode(h)
    h.backend.turns.push(writing(chunksOf(codeCall(`${figure()}print("é😀")\n1/0`).arguments, 50)), saying('So.'))
    const heard: string[] = []
    const pieces = { input: '', logs: '', images: 0 }
    const byDeltas: unknown[] = []
    const stream = h.client.beta.threads.runs
      .stream(thread.id, { assistant_id: assistant.id })
      .on('toolCallCreated', ({ type }) => heard.push(`created ${type}`))
      .on('toolCallDelta', (delta) => {
        if (delta.type !== 'code_interpreter') return
        pieces.input += delta.code_interpreter?.input ?? ''
        for (const output of delta.code_interpreter?.outputs ?? []) {
          if (output.type === 'logs') pieces.logs += output.logs
          else pieces.images++
        }
      })
      .on('toolCallDone', (call) => {
        heard.push(`done ${call.type}`)
        byDeltas.push(withoutIndexes(call))
      })
      .on('imageFileDone', ({ file_id }) => heard.push(file_id))
      .on('textDone', ({ value }) => heard.push(value))
    const run = await stream.finalRun()
    const { steps, messages } = await madeBy(h.client, run)
    const [call] = codeOf(steps)
    const image = call?.outputs.flatMap((output) => (output.type === 'image' ? [output.image.file_id] : []))[0]
    expect(heard).toEqual(['created code_interpreter', 'done code_interpreter', image, 'So.'])
    expect(pieces).toEqual({ input: call?.input, logs: logsOf(steps)[0], images: 1 })
    expect(pieces.logs).toMatch(/^é😀\nTraceback .*ZeroDivisionError: division by zero\n$/s)
    expect(byDeltas).toEqual(callsOf(steps[0]))
    expect(await stream.finalRunSteps()).toEqual(steps)
    const [message] = await stream.finalMessages()
    expect(withoutIndexes(message?.content)).toEqual(messages[0]?.content)
  })

  test('those who attach at any moment are told each thing once', async () => {
    const { url, stream, thread } = await askCode(h)
    const first = codeCall('print("first")')
    const [goOn, answer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    h.backend.turns.push(
      async ({ chunk, end }) => {
        const call = (index: number, written: string) =>
          chunk({ tool_calls: [{ index, id: `call_${index}`, function: { ...first, arguments: written } }] })
        call(0, first.arguments)
        call(1, '{"code":"import time\\n')
        await goOn.promise
        chunk({ tool_calls: [{ index: 1, function: { arguments: 'time.sleep(0.5)\\nprint(2)"}' } }] })
        chunk({}, 'tool_calls')
        end()
      },
      async ({ text }) => {
        await answer.promise
        text('Done.')
      },
    )
    const live = allEvents(await stream())
    const run = await h.services.store.runs.active(thread.id)
    if (!run) throw new Error('There is no run.')
    const attached: Promise<Awaited<typeof live>>[] = []
    const attach = async () => {
      attached.push(h.send('GET', `${url}/${run.id}/stream`).then(allEvents))
    }
    const shown = async () => codeOf((await madeBy(h.client, run)).steps).map(({ outputs }) => outputs.length)
    await h.backend.requested(1)
    // The code is being written; it runs; the first call is answered; both are.
    await expect
      .poll(() => JSON.stringify(h.services.executor.draftOf(run.id)?.open), { timeout: 10_000 })
      .toContain('import time')
    await attach()
    expect(await shown()).toEqual([])
    goOn.resolve()
    for (const outputs of [
      [0, 0],
      [1, 0],
      [1, 1],
    ]) {
      await expect.poll(shown, { interval: 2, timeout: 10_000 }).toEqual(outputs)
      await attach()
      // What was waited for is still so.
      if (outputs[1] === 0) expect(await shown()).toEqual(outputs)
    }
    await h.backend.requested(2)
    answer.resolve()
    await atRest(h.client, run)
    await attach()
    const [events, ...others] = await Promise.all([live, ...attached])
    const made = await madeBy(h.client, run)
    expect(logsOf(made.steps)).toEqual(['first\n', '2\n'])
    for (const one of [events, ...others]) {
      expect(namesOf(one)).toBe(wholeRun)
      const told = await accumulated(one)
      expect(told.byDeltas).toEqual(made.steps.slice(0, 1).map((step) => step.step_details))
      expect(told).toMatchObject({ run: made.run, steps: made.steps })
      expect(onlyText(told.messages[0]).value).toBe('Done.')
    }
    expect(others).toHaveLength(5)
  })
})

describe('figures', () => {
  test('are outputs, and the next message begins with them; clients can fetch them, and no other message has them', async () => {
    const { stream, complete } = await askCode(h)
    const code = `print("before")\n${figure('1')}print("between")\n${figure('2')}`
    h.backend.turns.push(coding(code), saying('Two.'))
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(wholeRun)
    const made = await madeBy(h.client, dataOf(events, 'thread.run.created')[0])
    const outputs = codeOf(made.steps)[0]?.outputs ?? []
    const images = outputs.flatMap((output) => (output.type === 'image' ? [output.image.file_id] : []))
    expect(outputs).toEqual([
      { type: 'logs', logs: 'before\n' },
      { type: 'image', image: { file_id: images[0] } },
      { type: 'logs', logs: 'between\n' },
      { type: 'image', image: { file_id: images[1] } },
    ])
    expect(toldCalls(events).at(-1)).toEqual({
      index: 0,
      type: 'code_interpreter',
      code_interpreter: { outputs: outputs.map((output, index) => ({ index, ...output })) },
    })
    const parts = images.map((file_id) => ({ type: 'image_file', image_file: { file_id, detail: 'auto' } }))
    const deltas = dataOf(events, 'thread.message.delta').map(({ delta }) => delta.content)
    expect(deltas.slice(0, 3)).toEqual([
      [{ index: 0, ...parts[0] }],
      [{ index: 1, ...parts[1] }],
      [{ index: 2, type: 'text', text: { value: 'T', annotations: [] } }],
    ])
    expect(made.messages.map(({ content }) => content)).toEqual([
      [...parts, { type: 'text', text: { value: 'Two.', annotations: [] } }],
    ])
    for (const [index, id] of images.entries()) {
      const file = await h.client.files.retrieve(id)
      expect(file).toMatchObject({ purpose: 'assistants_output', filename: `figure-1-${index + 1}.png` })
      const bytes = Buffer.from(await (await h.client.files.content(id)).arrayBuffer())
      expect(bytes).toEqual(Buffer.concat([png, Buffer.from(String(index + 1))]))
      expect(file.bytes).toBe(bytes.length)
    }
    const [message] = (await accumulated(events)).messages
    expect(withoutIndexes(message?.content)).toEqual(made.messages[0]?.content)
    const next = await complete(coding('print(1)'), saying('No figure.'))
    expect(onlyText(next.messages[0]).value).toBe('No figure.')
    expect(next.told[0]).toBe('1')
  })
})

test('files that were written can be downloaded', async () => {
  const { complete } = await askCode(h)
  await complete(coding('open("a.txt", "w").write("é")'), saying('.'))
  const { data } = await h.client.files.list({ purpose: 'assistants_output' })
  expect(data[0]).toMatchObject({ filename: 'a.txt', bytes: 2, purpose: 'assistants_output', status: 'processed' })
  expect(await download(h, data[0]?.id ?? '')).toBe('é')
})
