import type { Run } from 'openai/resources/beta/threads/runs/runs'
import { afterEach, describe, expect, test } from 'vitest'
import { chunk, done, fragment, sending, usageChunk, whole } from './harness/answers.ts'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, converse, madeBy, outputsFor } from './harness/engine.ts'
import { openAIError, refuseAs, strict } from './harness/refusals.ts'
import { allEvents } from './harness/sse.ts'

const call = (more: object = {}) => ({
  index: 0,
  id: 'call_theirs',
  type: 'function',
  function: { name: 'lookup', arguments: '{"q":"Rome"}' },
  ...more,
})
const ends = [chunk({}, 'tool_calls'), usageChunk, done]
const signed = { extra_content: { google: { thought_signature: 'CrIC/A==' } } }
const details = (...list: object[]) => chunk({ content: '', reasoning: 'So', reasoning_details: list })

/** As a server sends thoughts with a call, and what it is to get back with that call. */
const servers: { server: string; turn: Turn; message?: object; call?: object }[] = [
  {
    server: 'DeepSeek, Kimi, llama.cpp, SGLang',
    turn: sending(
      chunk({ role: 'assistant', content: null, reasoning_content: '' }),
      chunk({ content: null, reasoning_content: 'Where is ' }),
      chunk({ content: null, reasoning_content: 'Rome?' }),
      fragment(call()),
      ...ends,
    ),
    message: { reasoning_content: 'Where is Rome?' },
  },
  {
    server: 'DeepSeek, without a thought',
    turn: sending(chunk({ role: 'assistant', content: null, reasoning_content: '' }), fragment(call()), ...ends),
    message: { reasoning_content: '' },
  },
  {
    server: 'Ollama, Groq, vLLM',
    turn: sending(chunk({ content: '', reasoning: 'Where is Rome?' }), fragment(call()), ...ends),
    message: { reasoning: 'Where is Rome?' },
  },
  {
    server: 'vLLM, under both names',
    turn: sending(chunk({ reasoning_content: 'Rome?', reasoning: 'Rome?' }), fragment(call()), ...ends),
    message: { reasoning_content: 'Rome?' },
  },
  {
    server: 'OpenRouter, of Anthropic and of Gemini',
    turn: sending(
      details({ type: 'reasoning.text', text: 'Where is ', signature: null, format: 'anthropic-claude-v1', index: 0 }),
      details({ type: 'reasoning.text', text: 'Rome?', format: 'anthropic-claude-v1', index: 0 }),
      details({ type: 'reasoning.text', signature: 'EsYB', format: 'anthropic-claude-v1', index: 0 }),
      details({ type: 'reasoning.encrypted', data: 'CiQB', id: 'tool_1', format: 'google-gemini-v1', index: 1 }),
      fragment(call()),
      ...ends,
    ),
    message: {
      reasoning_details: [
        { type: 'reasoning.text', text: 'Where is Rome?', signature: 'EsYB', format: 'anthropic-claude-v1', index: 0 },
        { type: 'reasoning.encrypted', data: 'CiQB', id: 'tool_1', format: 'google-gemini-v1', index: 1 },
      ],
    },
  },
  { server: 'Gemini', turn: sending(fragment(call(signed)), ...ends), call: signed },
  {
    server: 'Gemini, in one piece',
    turn: whole({
      choices: [{ index: 0, message: { role: 'assistant', tool_calls: [call(signed)] }, finish_reason: 'tool_calls' }],
    }),
    call: signed,
  },
]

let h: Harness
afterEach(() => h.close())

const toolMessages = (at: number) => h.backend.requests[at]?.messages.filter((message) => 'tool_calls' in message)

/** The run at its end, once its calls have their outputs. */
async function answered(run: Run) {
  const outputs = { thread_id: run.thread_id, tool_outputs: outputsFor(run) }
  return atRest(h.client, await h.client.beta.threads.runs.submitToolOutputs(run.id, outputs))
}

/** A run that calls, and goes on once it has its output; then one more of the same thread. */
async function twoRuns(turn: Turn, second: object = {}) {
  h = await startApp()
  h.backend.turns = [turn]
  const { thread, run } = await converse(h.client)
  const waiting = await atRest(h.client, await run())
  expect(await answered(waiting)).toMatchObject({ status: 'completed' })
  await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'And now?' })
  expect(await atRest(h.client, await run(second))).toMatchObject({ status: 'completed' })
  return waiting
}

describe('what a model thought before it called', () => {
  test.for(servers)('is sent back with the call, then and in later runs: $server', async (given) => {
    const { id } = await twoRuns(given.turn)
    const sent = {
      role: 'assistant',
      ...given.message,
      tool_calls: [
        {
          id: expect.stringMatching(/^call_/),
          type: 'function',
          function: { name: 'lookup', arguments: '{"q":"Rome"}' },
          ...given.call,
        },
      ],
    }
    expect(toolMessages(1)).toEqual([sent])
    expect(toolMessages(2)).toEqual([sent])
    expect(id).toMatch(/^run_/)
  })

  test.for(servers)('is shown to no client: $server', async ({ turn }) => {
    const waiting = await twoRuns(turn)
    const { steps } = await madeBy(h.client, waiting)
    const events = await allEvents(await h.send('GET', `/v1/threads/${waiting.thread_id}/runs/${waiting.id}/stream`))
    expect(events.map(({ event }) => event)).toContain('thread.run.step.completed')
    const shown = JSON.stringify([steps, events])
    expect(shown).not.toMatch(
      /reasoning"|reasoning_(?!tokens|effort)|Where is|extra_content|thought_signature|EsYB|CiQB|CrIC/,
    )
  })

  test('is not sent to another model', async () => {
    await twoRuns(sending(chunk({ reasoning_content: 'Rome?' }), fragment(call(signed)), ...ends), { model: 'other' })
    expect(JSON.stringify(toolMessages(1))).toMatch(/Rome\?.*thought_signature/)
    expect(JSON.stringify(toolMessages(2))).not.toMatch(/Rome\?|thought_signature|reasoning/)
  })

  test('counts as a part of the prompt', async () => {
    h = await startApp()
    h.backend.turns = [sending(chunk({ reasoning_content: 'Where is Rome? '.repeat(400) }), fragment(call()), ...ends)]
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run({ max_prompt_tokens: 600 }))
    expect(await answered(waiting)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_prompt_tokens' },
    })
    expect(h.backend.requests).toHaveLength(1)
  })

  test('is left out where it leaves no room in the window for what it was about', async () => {
    h = await startApp({
      backends: (baseURL) => ({ backends: { b: { baseURL } }, models: [{ match: '*', backend: 'b', window: 2048 }] }),
    })
    h.backend.turns = [sending(chunk({ reasoning_content: 'Where is Rome? '.repeat(400) }), fragment(call()), ...ends)]
    const { run } = await converse(h.client)
    expect(await answered(await atRest(h.client, await run()))).toMatchObject({ status: 'completed', last_error: null })
    expect(toolMessages(1)).toMatchObject([{ tool_calls: [{ function: { name: 'lookup' } }] }])
    expect(toolMessages(1)?.[0]).not.toHaveProperty('reasoning_content')
  })

  test.for([
    [
      'Groq',
      "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property 'reasoning_content' is unsupported)]",
    ],
    [
      'DeepSeek of old',
      'The reasoning_content is an intermediate result for display purposes only and will not be included in the context for inference. Please remove the reasoning_content from your message to reduce network traffic.',
    ],
    [
      'Mistral',
      {
        detail: [
          {
            type: 'extra_forbidden',
            loc: ['body', 'messages', 1, 'assistant', 'reasoning_content'],
            msg: 'Extra inputs are not permitted',
            input: 'x',
          },
        ],
      },
    ],
  ] as const)('is not sent to a backend that refuses it: %s', async ([, said]) => {
    h = await startApp()
    const body = typeof said === 'string' ? openAIError(said) : said
    h.backend.turns = [sending(chunk({ reasoning_content: 'Rome?' }), fragment(call(signed)), ...ends)]
    h.backend.otherwise = strict((sent) => JSON.stringify(sent).includes('reasoning_content'), 400, body)
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    expect(await answered(waiting)).toMatchObject({ status: 'completed', last_error: null })
    expect(JSON.stringify(toolMessages(2))).not.toMatch(/reasoning_content|extra_content/)
    expect(toolMessages(2)).toHaveLength(1)
  })

  test.for([
    ['DeepSeek', 'The reasoning_content in the thinking mode must be passed back to the API.'],
    ['DeepSeek', 'The `reasoning_content` in the thinking mode must be passed back to the API.'],
    ['Kimi', 'thinking is enabled but reasoning_content is missing in assistant tool call message at index 1'],
  ] as const)('is made up for the calls of others where the backend insists: %s', async ([, said]) => {
    h = await startApp()
    const lacks = ({ messages }: { messages: object[] }) =>
      messages.some((message) => 'tool_calls' in message && !('reasoning_content' in message))
    h.backend.otherwise = strict(lacks, 400, openAIError(said))
    h.backend.turns = [({ calls }) => calls({ name: 'lookup', arguments: '{}' })]
    const { thread, run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    expect(await answered(waiting)).toMatchObject({ status: 'completed' })
    expect(toolMessages(2)).toMatchObject([{ reasoning_content: 'I call lookup.' }])
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'And now?' })
    expect(await atRest(h.client, await run())).toMatchObject({ status: 'completed' })
    expect(h.backend.requests).toHaveLength(4)
  })

  test('is no reason to try again when another thing is refused', async () => {
    h = await startApp()
    h.backend.turns = [
      sending(chunk({ reasoning_content: 'Rome?' }), fragment(call()), ...ends),
      refuseAs(400, openAIError('Your reasoning was flagged by our policy.')),
    ]
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    expect(await answered(waiting)).toMatchObject({ status: 'failed', last_error: { code: 'invalid_prompt' } })
    expect(h.backend.requests).toHaveLength(2)
  })
})
