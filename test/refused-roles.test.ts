import type { ChatCompletionCreateParams, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, converse, outputsFor } from './harness/engine.ts'
import { openAIError, refuseAs, strict } from './harness/refusals.ts'

type Body = ChatCompletionCreateParams
type Said = { role: 'user' | 'assistant'; content: string }

const user = (content: string): Said => ({ role: 'user', content })
const assistant = (content: string): Said => ({ role: 'assistant', content })
const rolesIn = ({ messages }: Body) => messages.map(({ role }) => role)

/** A run over these messages, and what the backend was asked in the end. */
async function askedFor(h: Harness, said: Said[], instructions: string | null = null) {
  const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm', instructions })
  const thread = await h.client.beta.threads.create({ messages: said })
  const run = await atRest(h.client, await h.client.beta.threads.runs.create(thread.id, { assistant_id }))
  expect(run).toMatchObject({ status: 'completed', last_error: null })
  return h.backend.requests.at(-1)?.messages
}

/** Mistral's template of v0.3 and Gemma's: users and assistants take turns, after an optional system message. */
const takesTurns = (body: Body) => {
  const turns = rolesIn(body).filter((role) => role !== 'system')
  return turns.some((role, index) => role !== (index % 2 === 0 ? 'user' : 'assistant'))
}
/** Mistral's of v0.2: without one. */
const takesTurnsAlone = (body: Body) =>
  rolesIn(body).some((role, index) => role !== (index % 2 === 0 ? 'user' : 'assistant'))

const mustAlternate = 'Conversation roles must alternate user/assistant/user/assistant/...'
const vllm = { object: 'error', message: mustAlternate, type: 'BadRequestError', param: null, code: 400 }
const llamaCpp = {
  error: {
    code: 500,
    message: `\n------------\nWhile executing CallExpression at line 16, column 28 in source:\n...raise_exception('${mustAlternate.slice(0, 30)}...\nError: Jinja Exception: ${mustAlternate}`,
    type: 'server_error',
  },
}

describe('a template whose roles must alternate', () => {
  test.for([
    ['vLLM', 400, vllm],
    [
      'vLLM, of Mistral',
      400,
      openAIError(
        'After the optional system message, conversation roles must alternate user/assistant/user/assistant/...',
      ),
    ],
    ['llama.cpp', 500, llamaCpp],
    ['Ollama', 500, { error: 'roles must alternate' }],
  ] as const)('gets the messages of one role joined, from the second run on at once: %s', async ([, status, said]) => {
    const h = await startApp()
    h.backend.otherwise = strict(takesTurns, status, said)
    const thread = [user('One.'), user('Two.'), assistant('Three.'), assistant('Four.'), user('Five.')]
    const joined = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'One.\n\nTwo.' },
      { role: 'assistant', content: 'Three.\n\nFour.' },
      { role: 'user', content: 'Five.' },
    ]
    expect(await askedFor(h, thread, 'Be brief.')).toEqual(joined)
    expect(h.backend.requests).toHaveLength(2)
    expect(await askedFor(h, thread, 'Be brief.')).toEqual(joined)
    expect(h.backend.requests).toHaveLength(3)
  })

  test('and of which the assistant may not be the first gets a message of the user before it', async () => {
    const h = await startApp()
    h.backend.otherwise = strict(takesTurns, 400, vllm)
    expect(await askedFor(h, [assistant('Welcome.'), user('Hi.'), user('You?')])).toEqual([
      { role: 'user', content: '…' },
      { role: 'assistant', content: 'Welcome.' },
      { role: 'user', content: 'Hi.\n\nYou?' },
    ])
    expect(h.backend.requests).toHaveLength(3)
  })

  test('and that knows no system message gets the instructions with the first message of the user', async () => {
    const h = await startApp()
    h.backend.otherwise = strict(takesTurnsAlone, 400, vllm)
    const messages = await askedFor(h, [user('One.'), user('Two.')], 'Be brief.')
    expect(messages).toEqual([{ role: 'user', content: 'Be brief.\n\nOne.\n\nTwo.' }])
  })

  test('and that knows no calls either gets them as text', async () => {
    const h = await startApp()
    h.backend.turns = [({ calls }) => calls({ name: 'lookup', arguments: '{"q":"Rome"}' })]
    h.backend.otherwise = strict(takesTurnsAlone, 400, vllm)
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    const { id, thread_id } = waiting
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    expect((await atRest(h.client, waiting)).status).toBe('completed')
    expect(h.backend.requests.at(-1)?.messages).toEqual([
      { role: 'user', content: expect.stringMatching(/"name":"lookup".*\n\nHi$/s) },
      { role: 'assistant', content: '<tool_call>\n{"name": "lookup", "arguments": {"q":"Rome"}}\n</tool_call>' },
      { role: 'user', content: '<tool_response>\nsunny\n</tool_response>' },
    ])
  })
})

test('joined messages keep their pictures and their calls', async () => {
  const h = await startApp({
    backends: (baseURL) => ({
      backends: { local: { baseURL } },
      models: [{ match: '*', backend: 'local', can: { repeatedRoles: false } }],
    }),
  })
  h.backend.turns = [
    ({ chunk, calls }) => {
      chunk({ content: 'Let me see.' })
      calls({ name: 'lookup', arguments: '{}' })
    },
  ]
  const { thread, run } = await converse(h.client)
  const image_url = { url: 'https://example.com/a.png', detail: 'auto' as const }
  await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: [{ type: 'image_url', image_url }] })
  await h.client.beta.threads.messages.create(thread.id, { role: 'assistant', content: 'Nice.' })
  const waiting = await atRest(h.client, await run())
  const { id, thread_id } = waiting
  await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
  await atRest(h.client, waiting)
  expect(h.backend.requests).toHaveLength(2)
  expect(h.backend.requests[1]?.messages).toEqual([
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Hi' },
        { type: 'image_url', image_url },
      ],
    },
    { role: 'assistant', content: 'Nice.\n\nLet me see.', tool_calls: [expect.objectContaining({ type: 'function' })] },
    { role: 'tool', tool_call_id: expect.any(String), content: 'sunny' },
  ] satisfies unknown[] as ChatCompletionMessageParam[])
})

describe('a model without a system message gets the instructions with the first message of the user', () => {
  test.for([
    ['Gemma', 400, openAIError('System role not supported')],
    [
      'OpenAI',
      400,
      openAIError("Unsupported value: 'messages[0].role' does not support 'system' with this model.", {
        param: 'messages[0].role',
        code: 'unsupported_value',
      }),
    ],
    [
      'Gemini',
      400,
      [
        {
          error: {
            code: 400,
            message: 'Developer instruction is not enabled for models/gemma-3-27b-it',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
    ],
    [
      'Mistral',
      500,
      {
        error: {
          code: 500,
          message: 'Jinja Exception: Only user and assistant roles are supported!',
          type: 'server_error',
        },
      },
    ],
    [
      'Qwen',
      400,
      {
        error: {
          code: 400,
          message: 'Error: Jinja Exception: System message must be at the beginning.',
          type: 'invalid_request_error',
        },
      },
    ],
  ] as const)('%s', async ([, status, said]) => {
    const h = await startApp()
    h.backend.otherwise = strict((body) => rolesIn(body).includes('system'), status, said)
    expect(await askedFor(h, [user('One.')], 'Be brief.')).toEqual([{ role: 'user', content: 'Be brief.\n\nOne.' }])
    expect(await askedFor(h, [assistant('One.'), user('Two.')], 'Be brief.')).toEqual([
      { role: 'user', content: 'Be brief.' },
      { role: 'assistant', content: 'One.' },
      { role: 'user', content: 'Two.' },
    ])
    expect(h.backend.requests).toHaveLength(3)
  })
})

describe('a conversation may not end with the assistant, so the user says something', () => {
  test.for([
    [
      'Mistral',
      openAIError('Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant'),
    ],
    [
      'Anthropic',
      openAIError(
        'This model does not support assistant message prefill. The conversation must end with a user message.',
      ),
    ],
    ['llama.cpp', openAIError('Assistant response prefill is incompatible with enable_thinking.')],
  ] as const)('%s', async ([, said]) => {
    const h = await startApp()
    h.backend.otherwise = strict((body) => rolesIn(body).at(-1) === 'assistant', 400, said)
    const messages = [user('One.'), assistant('Two.')]
    expect(await askedFor(h, messages)).toEqual([...messages, { role: 'user', content: 'Go on.' }])
  })
})

test('outputs that no answer came to get one before the next message of the user: Mistral', async () => {
  const h = await startApp()
  const said = {
    object: 'error',
    message: "Unexpected role 'user' after role 'tool'",
    type: 'invalid_request_message_order',
    param: null,
    code: '3230',
  }
  const isRefused = (body: Body) => rolesIn(body).join(' ').includes('tool user')
  const speaks: Turn = (exchange) => {
    exchange.chunk({ content: 'Let me see.' })
    exchange.calls({ name: 'lookup', arguments: '{}' })
  }
  h.backend.turns = [speaks, refuseAs(400, openAIError('No.'))]
  h.backend.otherwise = strict(isRefused, 400, said)
  const { thread, run } = await converse(h.client)
  const waiting = await atRest(h.client, await run())
  const tool_outputs = outputsFor(waiting)
  await h.client.beta.threads.runs.submitToolOutputs(waiting.id, { thread_id: thread.id, tool_outputs })
  expect(await atRest(h.client, waiting)).toMatchObject({ status: 'failed' })
  await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'And now?' })
  expect(await atRest(h.client, await run())).toMatchObject({ status: 'completed' })
  const sent = h.backend.requests.at(-1)?.messages
  expect(sent?.slice(-3)).toMatchObject([
    { role: 'tool' },
    { role: 'assistant', content: '…' },
    { role: 'user', content: 'And now?' },
  ])
})

test('a template that refuses for another reason fails the run', async () => {
  const h = await startApp()
  h.backend.otherwise = strict(() => true, 400, vllm)
  const { run } = await converse(h.client)
  const { last_error } = await atRest(h.client, await run())
  expect(last_error).toEqual({ code: 'invalid_prompt', message: mustAlternate })
  expect(h.backend.requests).toHaveLength(1)
})
