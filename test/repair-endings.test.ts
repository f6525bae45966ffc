import { describe, expect, test } from 'vitest'
import { answeredBy, chunk, counted, done, sending, streaming, usageChunk, whole } from './harness/answers.ts'
import { startApp } from './harness/app.ts'
import { atRest, checkEnded, converse, lookupTool, outputsFor } from './harness/engine.ts'

const hello = chunk({ content: 'Hello.' })
const stop = chunk({}, 'stop')
const usage = {
  ...counted,
  prompt_token_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
}

describe('an answer is read to its end', () => {
  test.each([
    ['no finish_reason, but [DONE]', [hello, done]],
    ['no finish_reason, but usage', [hello, usageChunk]],
    ['a finish_reason, but no [DONE]', [hello, stop]],
    [
      'a finish_reason with the last text (Mistral)',
      [chunk({ content: 'Hel' }), chunk({ content: 'lo.' }, 'stop'), done],
    ],
    ['a finish_reason of TGI', [hello, chunk({}, 'eos_token'), done]],
    ['an empty finish_reason with each chunk', [chunk({ content: 'Hello.' }, ''), chunk({}, 'stop'), done]],
    [
      'empty choices before (Azure) and after',
      [{ ...hello, choices: [], prompt_filter_results: [] }, hello, stop, usageChunk, done],
    ],
    ['a delta that is null', [chunk(null), hello, chunk(null, 'stop'), done]],
    ['a choice without a delta', [hello, { choices: [{ index: 0, finish_reason: 'stop' }] }, done]],
    ['no choices at all', [{ id: 'chatcmpl-1', choices: null }, {}, hello, stop, done]],
    [
      'content that is null',
      [chunk({ role: 'assistant', content: null }), hello, chunk({ content: null }, 'stop'), done],
    ],
    [
      'comments to keep the connection alive (OpenRouter)',
      [': OPENROUTER PROCESSING\n\n', hello, ':\n\n', stop, ': ping\n\n', done],
    ],
    [
      'blank lines, and events without data',
      ['\n\n', hello, '\n\n\ndata:\n\n', 'event: ping\ndata: {}\n\n', stop, done],
    ],
    [
      'lines that end with CR LF',
      [`data: ${JSON.stringify(hello)}\r\n\r\n`, `data: ${JSON.stringify(stop)}\r\n\r\n`, 'data: [DONE]\r\n\r\n'],
    ],
    [
      'no blank after the colon',
      [`data:${JSON.stringify(hello)}\n\n`, `data:${JSON.stringify(stop)}\n\n`, 'data:[DONE]\n\n'],
    ],
    ['no blank line after the last event', [hello, `data: ${JSON.stringify(stop)}`]],
    ['events with names and ids', [`id: 1\nevent: completion\ndata: ${JSON.stringify(hello)}\n\n`, stop, done]],
    ['more after the end', [hello, stop, done, chunk({ content: ' And more.' }), done]],
    [
      'message in place of delta',
      [
        { choices: [{ message: { content: 'Hel' } }] },
        { choices: [{ message: { content: 'lo.' }, finish_reason: 'stop' }] },
      ],
    ],
    [
      'the whole message once more in the end',
      [
        chunk({ content: 'Hel' }),
        chunk({ content: 'lo.' }),
        { choices: [{ message: { content: 'Hello.' }, finish_reason: 'stop' }] },
        done,
      ],
    ],
  ] as [string, (object | string)[]][])('%s', async (_, parts) => {
    const { run, texts } = await answeredBy(sending(...parts), { tools: [] })
    expect(run).toMatchObject({ status: 'completed', last_error: null })
    expect(texts).toEqual(['Hello.'])
  })

  test.each([
    ['length', 'length', 'incomplete'],
    ['model_length (Mistral)', 'model_length', 'incomplete'],
    ['MAX_TOKENS (Gemini)', 'MAX_TOKENS', 'incomplete'],
    ['content_filter', 'content_filter', 'failed'],
    ['SAFETY (Gemini)', 'SAFETY', 'failed'],
  ])('the reason %s', async (_, reason, status) => {
    const { run, texts } = await answeredBy(streaming(hello, chunk({}, reason)))
    expect([run.status, texts]).toEqual([status, ['Hello.']])
  })

  test.each([
    ['with the type of JSON (a server that does not stream with tools)', 'application/json'],
    ['with no type of its own', 'text/event-stream'],
  ])('one object in place of a stream, %s', async (_, type) => {
    const message = { role: 'assistant', content: 'Hello.' }
    const body = { object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: counted }
    const { run, texts } = await answeredBy(whole(body, type))
    expect(texts).toEqual(['Hello.'])
    expect(run).toMatchObject({ status: 'completed', usage: counted })
  })

  test.each(['text/plain', 'application/json', ''])('a stream with the content type %o', async (type) => {
    const body = `data: ${JSON.stringify(hello)}\n\ndata: ${JSON.stringify(stop)}\n\n${done}`
    expect((await answeredBy(whole(body, type))).texts).toEqual(['Hello.'])
  })

  test('characters that two reads share', async () => {
    const bytes = Buffer.from(`data: ${JSON.stringify(chunk({ content: 'Grüße 👋' }, 'stop'))}\n\n`)
    const { texts } = await answeredBy(async ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const byte of bytes) await new Promise((resolve) => response.write(Buffer.of(byte), resolve))
      response.end(done)
    })
    expect(texts).toEqual(['Grüße 👋'])
  })
})

test('a content filter in the middle of a call fails the run: the client is not to make what is left of it', async () => {
  const h = await startApp()
  const begun = { index: 0, id: 'a', function: { name: 'lookup', arguments: '{"q":"Ro' } }
  const turn = streaming(chunk({ content: 'I ask.' }), chunk({ tool_calls: [begun] }), chunk({}, 'content_filter'))
  const { run } = await answeredBy(turn, {}, h)
  const { steps, messages } = await checkEnded(h, run)
  expect(run).toMatchObject({ status: 'failed', required_action: null, usage: counted })
  expect(run.last_error?.message).toMatch(/content filter/)
  expect(steps.map(({ type, status }) => [type, status])).toEqual([
    ['message_creation', 'completed'],
    ['tool_calls', 'failed'],
  ])
  expect(steps[1]).toMatchObject({ usage: counted, last_error: run.last_error })
  expect(messages).toMatchObject([{ status: 'completed' }])
})

test('an answer that ends without a sign has broken off, also where each piece has come with its usage', async () => {
  const counting = { usage: counted }
  const said = [
    chunk({ role: 'assistant', content: '' }, null, {}, counting),
    chunk({ content: 'Hel' }, null, {}, counting),
  ]
  const { run, texts } = await answeredBy(sending(...said), { tools: [] })
  expect([run.status, texts]).toEqual(['failed', ['Hel']])
  expect(run.last_error?.message).toBe('The model backend broke off its answer.')
  const whole = await answeredBy(sending(...said, chunk({ content: '' }, null, {}, counting)), { tools: [] })
  expect([whole.run.status, whole.texts]).toEqual(['completed', ['Hel']])
})

describe('a server that streams nothing while there are tools is asked in one piece, from then on at once', () => {
  const call = { id: 'c', type: 'function', function: { name: 'lookup', arguments: '{"q":"Rome"}' } }
  const calling = whole({
    choices: [
      { index: 0, message: { role: 'assistant', content: null, tool_calls: [call] }, finish_reason: 'tool_calls' },
    ],
    usage: counted,
  })

  test.each([
    ['cortex.cpp', sending(done)],
    ['mlx-serve', sending(chunk({ role: 'assistant', content: '' }), stop, usageChunk, done)],
  ])('%s', async (_, mute) => {
    const lines: object[] = []
    const h = await startApp({ lines })
    h.backend.otherwise = (exchange) => (exchange.body.stream ? mute(exchange) : calling(exchange))
    for (const requests of [2, 3]) {
      const { calls } = await answeredBy(h.backend.otherwise, {}, h)
      expect(calls).toEqual([{ name: 'lookup', arguments: '{"q":"Rome"}' }])
      h.backend.turns = []
      expect(h.backend.requests).toHaveLength(requests)
    }
    expect(h.backend.requests.map(({ stream }) => stream)).toEqual([true, false, false])
    expect(lines).toMatchObject([{ can: { toolsInStream: false } }])
  })

  test('but not where it has streamed calls before: then it has nothing to say', async () => {
    const h = await startApp()
    h.backend.turns = [({ calls }) => calls({ name: 'lookup', arguments: '{}' })]
    h.backend.otherwise = ({ text }) => text()
    const { thread, run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    const tool_outputs = outputsFor(waiting)
    await h.client.beta.threads.runs.submitToolOutputs(waiting.id, { thread_id: thread.id, tool_outputs })
    expect(await atRest(h.client, waiting)).toMatchObject({ status: 'completed' })
    expect(h.backend.requests.map(({ stream }) => stream)).toEqual([true, true])
  })

  test('but not where it has no more to say in one piece', async () => {
    const lines: object[] = []
    const h = await startApp({ lines })
    const nothing = whole({ choices: [{ index: 0, message: { content: '' }, finish_reason: 'stop' }], usage: counted })
    h.backend.otherwise = (exchange) =>
      exchange.body.stream ? sending(stop, usageChunk, done)(exchange) : nothing(exchange)
    for (const requests of [2, 4]) {
      const { run } = await converse(h.client)
      expect(await atRest(h.client, await run())).toMatchObject({ status: 'completed' })
      expect(h.backend.requests).toHaveLength(requests)
    }
    expect(lines).toEqual([])
  })
})

describe('usage', () => {
  test.each([
    ['with the last choice (Mistral, DeepSeek)', [hello, chunk({}, 'stop', {}, { usage: counted })]],
    ['in the last choice (Moonshot)', [hello, chunk({}, 'stop', { usage: counted })]],
    ['in x_groq (Groq)', [hello, chunk({}, 'stop', {}, { x_groq: { id: 'req_1', usage: counted } })]],
    [
      'with each chunk, of which the last counts (vLLM with continuous usage)',
      [
        { ...hello, usage: { prompt_tokens: 10, completion_tokens: 1, total_tokens: 11 } },
        { ...stop, usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 } },
        usageChunk,
      ],
    ],
    ['without a total', [hello, stop, { ...usageChunk, usage: { prompt_tokens: 10, completion_tokens: 5 } }]],
    ['null in all chunks but the last (OpenAI)', [{ ...hello, usage: null }, { ...stop, usage: null }, usageChunk]],
  ])('%s', async (_, chunks) => {
    const { run } = await answeredBy(sending(...chunks, done))
    expect(run.usage).toEqual(usage)
  })

  test('from the cache, as DeepSeek says it', async () => {
    const given = { ...counted, prompt_cache_hit_tokens: 8, completion_tokens_details: { reasoning_tokens: 2 } }
    const { run } = await answeredBy(sending(hello, stop, { ...usageChunk, usage: given }, done))
    expect(run.usage).toEqual({
      ...counted,
      prompt_token_details: { cached_tokens: 8 },
      completion_tokens_details: { reasoning_tokens: 2 },
    })
  })

  test.each([
    ['missing (llama.cpp without stream_options)', undefined],
    ['empty', {}],
    ['nothing but zeros', { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
    ['nothing but nulls', { prompt_tokens: null, completion_tokens: null }],
    ['more than can be', { prompt_tokens: 1e300, completion_tokens: 1e300, total_tokens: 1e300 }],
    ['no number', { prompt_tokens: '10', completion_tokens: [5], total_tokens: -15 }],
  ])('that is %s is counted here', async (_, given) => {
    const text = 'The quick brown fox jumps over the lazy dog.'
    const turn = sending(chunk({ content: text }), stop, { ...usageChunk, usage: given }, done)
    const { run } = await answeredBy(turn, { tools: [], instructions: 'Be brief.' })
    // The encoding of GPT-4 has ten tokens for it; the prompt is three and one, and four more for each message.
    expect(run.usage).toMatchObject({ prompt_tokens: 12, completion_tokens: 10, total_tokens: 22 })
  })

  test.each([
    ['gpt-4', 21],
    ['gpt-4o', 15],
    ['qwen3:4b', 21],
  ])('of %s is counted by its own encoding, if that is known', async (model, tokens) => {
    const text = '東京タワーは高さ三百三十三メートルです。'
    const { run } = await answeredBy(sending(chunk({ content: text }), stop, done), { tools: [], model })
    expect(run.usage?.completion_tokens).toBe(tokens)
  })

  test('that is counted here has the thoughts, wherever they came', async () => {
    const text = 'one two three'
    const apart = await answeredBy(sending(chunk({ reasoning: text }), chunk({ content: 'Yes.' }), stop, done))
    expect(apart.run.usage).toMatchObject({
      completion_tokens: 5,
      completion_tokens_details: { reasoning_tokens: 3 },
    })
    const inTags = await answeredBy(sending(chunk({ content: `<think>${text}</think>Yes.` }), stop, done))
    expect(inTags.run.usage).toMatchObject({ completion_tokens_details: { reasoning_tokens: 3 } })
    expect(inTags.run.usage?.completion_tokens).toBeGreaterThan(5)
  })

  test('is counted against the budget of a run, with the tools in the prompt', async () => {
    const h = await startApp()
    const call = { index: 0, id: 'a', function: { name: 'lookup', arguments: '{"q":"Rome"}' } }
    h.backend.turns.push(sending(chunk({ tool_calls: [call] }), stop, done))
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run({ max_completion_tokens: 256, tools: [lookupTool] }))
    const [asked] = waiting.required_action?.submit_tool_outputs.tool_calls ?? []
    await h.client.beta.threads.runs.submitToolOutputs(waiting.id, {
      thread_id: waiting.thread_id,
      tool_outputs: [{ tool_call_id: asked?.id ?? '', output: 'sunny' }],
    })
    const ended = await atRest(h.client, waiting)
    expect(h.backend.requests[1]).toMatchObject({ max_completion_tokens: 249 })
    expect(ended.usage?.prompt_tokens).toBeGreaterThan(30)
  })
})
