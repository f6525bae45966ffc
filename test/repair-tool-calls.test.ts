import { describe, expect, test } from 'vitest'
import { answeredBy, chunk, counted, fragment, streaming, whole } from './harness/answers.ts'
import { startApp } from './harness/app.ts'
import { atRest, lookupTool, outputsFor } from './harness/engine.ts'

const rome = { name: 'lookup', arguments: '{"q":"Rome"}' }
const oslo = { name: 'lookup', arguments: '{"q":"Oslo"}' }
const stop = chunk({}, 'stop')
const called = chunk({}, 'tool_calls')
const piece = (text: string, more: object = {}) => fragment({ index: 0, ...more, function: { arguments: text } })

/** A whole call. */
const ollama = (id: string, call: object) =>
  chunk({ role: 'assistant', content: '', tool_calls: [{ id, index: 0, type: 'function', function: call }] })

describe('which call a fragment is of', () => {
  test.each([
    [
      'Ollama: every call in a chunk of its own, all with index 0',
      [ollama('call_a', rome), ollama('call_b', oslo), called],
    ],
    [
      'Ollama before 0.4.7: calls without an index, and stop in the end',
      [
        chunk({ role: 'assistant', content: '', tool_calls: [{ id: 'call_a', type: 'function', function: rome }] }),
        chunk({ role: 'assistant', content: '', tool_calls: [{ id: 'call_b', type: 'function', function: oslo }] }),
        stop,
      ],
    ],
    [
      'Gemini: several calls in one chunk, without an index',
      [
        chunk({
          role: 'assistant',
          tool_calls: [
            { id: 'function-call-1', type: 'function', function: rome },
            { id: 'function-call-2', type: 'function', function: oslo },
          ],
        }),
        stop,
      ],
    ],
    [
      'a gateway to Gemini: index 0 for all, without an id',
      [fragment({ index: 0, type: 'function', function: rome }), fragment({ index: 0, function: oslo }), called],
    ],
    [
      'llama-cpp-python: neither id nor index, all in the last chunk',
      [chunk({ tool_calls: [{ function: rome }, { function: oslo }] }, 'tool_calls')],
    ],
    [
      'vLLM: id and name once, and an empty id with the fragments',
      [
        fragment({ id: 'chatcmpl-tool-1', type: 'function', index: 0, function: { name: 'lookup', arguments: '' } }),
        piece('{"q":', { id: '' }),
        piece('"Rome"}', { id: '' }),
        fragment({ id: 'chatcmpl-tool-2', type: 'function', index: 0, function: { name: 'lookup', arguments: '' } }),
        piece('{"q":"Os', { id: '' }),
        piece('lo"}', { id: '' }),
        called,
      ],
    ],
    [
      'vLLM before 0.8: another id with each fragment',
      [
        fragment({ id: 'chatcmpl-tool-1', type: 'function', index: 0, function: { name: 'lookup' } }),
        piece('{"q":', { id: 'chatcmpl-tool-2' }),
        piece('"Rome"}', { id: 'chatcmpl-tool-3' }),
        fragment({ id: 'chatcmpl-tool-4', type: 'function', index: 1, function: { name: 'lookup' } }),
        piece('{"q":"Oslo"}', { id: 'chatcmpl-tool-5', index: 1 }),
        called,
      ],
    ],
    [
      'vLLM with gpt-oss: another id and the name with each fragment',
      [
        ...['{"q"', ':"Rome"}'].map((text, n) =>
          fragment({ id: `chatcmpl-tool-${n}`, index: 0, function: { name: 'lookup', arguments: text } }),
        ),
        fragment({ id: 'chatcmpl-tool-9', index: 1, function: oslo }),
        called,
      ],
    ],
    [
      'SGLang: the id with each fragment, and index 0 for all',
      [
        fragment({ id: '0', type: 'function', index: 0, function: { name: 'lookup', arguments: '' } }),
        piece('{"q":"Rome"}', { id: '0' }),
        fragment({ id: '1', type: 'function', index: 0, function: { name: 'lookup', arguments: '' } }),
        piece('{"q":"Oslo"}', { id: '1' }),
        called,
      ],
    ],
    [
      'TGI: one object in place of a list, an empty id, and the name with each fragment',
      [
        ...['{"q":', '"Rome', '"}'].map((text) =>
          chunk({ tool_calls: { index: 0, id: '', type: 'function', function: { name: 'lookup', arguments: text } } }),
        ),
        fragment({ index: 0, id: '', type: 'function', function: oslo }),
        chunk({}, 'eos_token'),
      ],
    ],
    [
      'DeepSeek: as OpenAI has it',
      [
        fragment({ index: 0, id: 'call_0_a', type: 'function', function: { name: 'lookup', arguments: '' } }),
        piece('{"q":"Rome"}'),
        fragment({ index: 1, id: 'call_1_b', type: 'function', function: { name: 'lookup', arguments: '' } }),
        piece('{"q":"Oslo"}', { index: 1 }),
        called,
      ],
    ],
    [
      'a gateway: fragments that have no index after the first',
      [
        fragment({ index: 0, id: 'a', function: { name: 'lookup', arguments: '{"q":"Rome"}' } }),
        fragment({ index: 1, id: 'b', function: { name: 'lookup', arguments: '{"q":' } }),
        fragment({ id: 'b', function: { arguments: '"Os' } }),
        fragment({ function: { arguments: 'lo"}' } }),
        called,
      ],
    ],
  ])('%s', async (_, chunks) => {
    const { run, calls, steps } = await answeredBy(streaming(...chunks))
    expect(run).toMatchObject({ status: 'requires_action' })
    expect(calls).toEqual([rome, oslo])
    expect(steps).toHaveLength(1)
    const ids = run.required_action?.submit_tool_outputs.tool_calls.map(({ id }) => id) ?? []
    expect(new Set(ids).size).toBe(2)
    expect(ids.join()).toMatch(/^call_\w{24},call_\w{24}$/)
  })

  test('LocalAI: the function_call that came before tool calls', async () => {
    const { calls } = await answeredBy(streaming(chunk({ function_call: rome }), chunk({}, 'function_call')))
    expect(calls).toEqual([rome])
  })

  test('a name that comes after its arguments', async () => {
    const { calls } = await answeredBy(
      streaming(piece('{"q":'), fragment({ index: 0, function: { name: 'lookup' } }), piece('"Rome"}'), called),
    )
    expect(calls).toEqual([rome])
  })

  test('LM Studio: blank text between thoughts and calls makes no message', async () => {
    const { calls, messages } = await answeredBy(
      streaming(
        chunk({ reasoning_content: 'Hm.' }),
        chunk({ content: '\n\n' }),
        ollama('1', rome),
        chunk({ content: '\n' }),
        called,
      ),
    )
    expect(calls).toEqual([rome])
    expect(messages).toEqual([])
  })

  test('the outputs of calls with one id go to the right calls', async () => {
    const h = await startApp()
    const { run } = await answeredBy(streaming(ollama('call_0', rome), ollama('call_0', oslo), called), {}, h)
    const [first, second] = outputsFor(run)
    await h.client.beta.threads.runs.submitToolOutputs(run.id, {
      thread_id: run.thread_id,
      tool_outputs: [{ ...second, output: 'snow' }, first ?? {}],
    })
    await atRest(h.client, run)
    expect(h.backend.requests[1]?.messages.slice(-2)).toMatchObject([{ content: 'sunny' }, { content: 'snow' }])
  })
})

describe('arguments', () => {
  const inOne = (text: unknown) => [ollama('call_a', { name: 'lookup', arguments: text }), called]
  const inPieces = (...texts: string[]) => [
    fragment({ index: 0, id: 'call_a', type: 'function', function: { name: 'lookup', arguments: '' } }),
    ...texts.map((text) => piece(text)),
    called,
  ]

  test.each([
    ['an object in place of a text (LiteLLM before Ollama)', inOne({ q: 'Rome' }), '{"q":"Rome"}'],
    ['an empty text for no arguments (vLLM)', inOne(''), '{}'],
    ['null for no arguments (TGI)', inOne(null), '{}'],
    ['the text null for no arguments', inOne('null'), '{}'],
    ['the whole once more in the last chunk (vLLM)', inPieces('{"q":', '"Rome"}', '{"q":"Rome"}'), '{"q":"Rome"}'],
    [
      'the whole call once more in the last chunk (a gateway)',
      [...inPieces('{"q":"Rome"}').slice(0, -1), ...inOne('{"q":"Rome"}')],
      '{"q":"Rome"}',
    ],
    [
      'the rest with id and name once more (vLLM with GLM)',
      [...inPieces('{"q":"Ro').slice(0, -1), ...inOne('me"}')],
      '{"q":"Rome"}',
    ],
    ['a code fence around them (DeepSeek)', inPieces('```json\n', '{"q":"Rome"}', '\n```'), '{"q":"Rome"}'],
    ['the beginning of a code fence before them (DeepSeek R1)', inPieces('json\n{"q":', '"Rome"}'), '{"q":"Rome"}'],
    ['the end of a code fence after them', inPieces('{"q":"Rome"}', '\n```'), '{"q":"Rome"}'],
    ['single quotes', inPieces("{'q':", " 'Rome'}"), '{"q": "Rome"}'],
    ['no quotes', inOne('{q: Rome}'), '{"q": "Rome"}'],
    ['a comma too many', inPieces('{"q":"Rome"', ',', '}'), '{"q":"Rome"}'],
    ['literals of Python', inPieces('{"a": Tr', 'ue, "b": None}'), '{"a": true, "b": null}'],
    ['line breaks in a text', inPieces('{"q":"Ro', 'me\nand', ' Oslo"}'), '{"q":"Rome\\nand Oslo"}'],
    ['quotes in a text', inPieces('{"q": "say "', 'hi" now"}'), '{"q": "say \\"hi\\" now"}'],
    ['a path of Windows', inOne('{"q":"C:\\Data\\x"}'), '{"q":"C:\\\\Data\\\\x"}'],
    ['a closing brace that is missing', inPieces('{"q":{"a":[1', ']'), '{"q":{"a":[1]}}'],
    ['a closing brace too many', inPieces('{"q":"Rome"}', '}'), '{"q":"Rome"}'],
    ['JSON in a JSON text (a gateway)', inOne('"{\\"q\\":\\"Rome\\"}"'), '{"q":"Rome"}'],
  ])('%s', async (_, chunks, expected) => {
    const { run, calls } = await answeredBy(streaming(...chunks))
    expect(run.status).toBe('requires_action')
    expect(calls).toEqual([{ name: 'lookup', arguments: expected }])
  })

  test.each([
    ['that break off in a text', inPieces('{"q":"Ro'), '{"q":"Ro'],
    ['that break off before a value', inPieces('{"q":'), '{"q":'],
    ['that are no object', inOne('[1,2]'), '[1,2]'],
    ['that are no JSON at all', inOne('the weather in Rome'), 'the weather in Rome'],
    ['that are two different objects', inPieces('{"q":"Rome"}', '{"q":"Oslo"}'), '{"q":"Rome"}{"q":"Oslo"}'],
    ['whose beginning has gone out and is wrong', inPieces('{"a":"x, "b":"y"}'), '{"a":"x, "b":"y"}'],
  ])('%s stay as they are', async (_, chunks, expected) => {
    const { calls } = await answeredBy(streaming(...chunks))
    expect(calls).toEqual([{ name: 'lookup', arguments: expected }])
  })

  test('that the model had no tokens to finish stay as they are', async () => {
    const { calls } = await answeredBy(streaming(...inPieces('{"n":[1,2').slice(0, -1), chunk({}, 'length')))
    expect(calls).toEqual([{ name: 'lookup', arguments: '{"n":[1,2' }])
  })

  test('go out as they come', async () => {
    const { events } = await answeredBy(streaming(...inPieces('{"q":', '"Ro', 'me"', ',"a":1', '}')))
    const pieces = events
      .filter(({ event }) => event === 'thread.run.step.delta')
      .map(({ data }) => data.delta.step_details.tool_calls[0].function.arguments)
    expect(pieces).toEqual(['', '{"q":', '"Ro', 'me', '","a":', '1}'])
  })
})

test('Groq, without a stream: whole calls in a whole answer', async () => {
  const message = {
    role: 'assistant',
    content: null,
    tool_calls: [
      { id: 'call_a', type: 'function', function: rome },
      { id: 'call_b', type: 'function', function: oslo },
    ],
  }
  const body = { object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: counted }
  const { run, calls } = await answeredBy(whole(body))
  expect(calls).toEqual([rome, oslo])
  expect(run.status).toBe('requires_action')
})

test.for([{}, [], [{}], [null], [{ index: 0, function: {} }]])('%j is no call', async (tool_calls) => {
  const { run, texts, calls } = await answeredBy(streaming(chunk({ content: 'Hello.', tool_calls }), stop))
  expect([run.status, texts, calls]).toEqual(['completed', ['Hello.'], []])
})

test('calls go on being limited to one where the run says so', async () => {
  const { calls } = await answeredBy(streaming(ollama('a', rome), ollama('b', oslo), called), {
    parallel_tool_calls: false,
    tools: [lookupTool],
  })
  expect(calls).toEqual([rome])
})
