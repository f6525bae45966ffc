import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import { Windows } from '../src/completer/request/windows.ts'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, madeBy } from './harness/engine.ts'
import { openAIError, refuseAs, strict } from './harness/refusals.ts'

/** About as many tokens as words. */
const words = (count: number) => 'apple '.repeat(count).trim()

/** A thread of numbered messages of a hundred tokens each, the newest last. */
async function longThread(h: Harness, count = 40) {
  const { thread, run } = await converse(h.client, { instructions: 'Be brief.', tools: [] }, `0 ${words(100)}`)
  for (let n = 1; n < count; n++) {
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: `${n} ${words(100)}` })
  }
  return run
}

const numbersIn = ({ messages }: ChatCompletionCreateParams) =>
  messages.filter(({ role }) => role === 'user').map(({ content }) => Number.parseInt(String(content), 10))
/** A backend of about so many tokens: of our words, a little more than as many. */
const isLongerThan = (tokens: number) => (body: ChatCompletionCreateParams) => numbersIn(body).length * 105 > tokens

const list = (entry: object) => ({
  object: 'list',
  data: [{ id: 'm', object: 'model', created: 1, owned_by: 'x', ...entry }],
})

describe('a prompt that is too long for the backend', () => {
  const refusals: [string, number, unknown][] = [
    [
      'OpenAI',
      400,
      openAIError(
        "This model's maximum context length is 2048 tokens. However, your messages resulted in 4500 tokens. Please reduce the length of the messages.",
        { param: 'messages', code: 'context_length_exceeded' },
      ),
    ],
    [
      'vLLM',
      400,
      {
        object: 'error',
        message:
          "This model's maximum context length is 2048 tokens. However, you requested 4500 tokens (4200 in the messages, 300 in the completion). Please reduce the length of the messages or completion.",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    ],
    [
      'vLLM of late',
      400,
      openAIError(
        "You passed 4500 input tokens and requested 0 output tokens. However, the model's context length is only 2048 tokens, resulting in a maximum input length of 2048 tokens. Please reduce the length of the input prompt.",
      ),
    ],
    [
      'llama.cpp',
      400,
      {
        error: {
          code: 400,
          message:
            'the request exceeds the available context size. try increasing the context size or enable context shift',
          type: 'exceed_context_size_error',
          n_prompt_tokens: 4500,
          n_ctx: 2048,
        },
      },
    ],
    [
      'llama.cpp of late',
      400,
      {
        error: {
          code: 400,
          message: 'request (4500 tokens) exceeds the available context size (2048 tokens), try increasing it',
          type: 'exceed_context_size_error',
          n_prompt_tokens: 4500,
          n_ctx: 2048,
        },
      },
    ],
    [
      'LM Studio',
      400,
      {
        error:
          'Trying to keep the first 4500 tokens when context the overflows. However, the model is loaded with context length of only 2048 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input',
      },
    ],
    [
      'LM Studio of late',
      400,
      {
        error:
          'The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 4500>= n_ctx: 2048). Try to load the model with a larger context length, or provide a shorter input.',
      },
    ],
    [
      'OpenRouter',
      400,
      {
        error: {
          message:
            "This endpoint's maximum context length is 2048 tokens. However, you requested about 4500 tokens (4500 of text input). Please reduce the length of either one.",
          code: 400,
        },
      },
    ],
    ['Anthropic', 400, openAIError('prompt is too long: 4500 tokens > 2048 maximum')],
    [
      'Gemini',
      400,
      [
        {
          error: {
            code: 400,
            message: 'The input token count (4500) exceeds the maximum number of tokens allowed (2048).',
            status: 'INVALID_ARGUMENT',
          },
        },
      ],
    ],
    [
      'Mistral',
      400,
      {
        object: 'error',
        message: 'Prompt contains 4500 tokens and 0 draft tokens, too large for model with 2048 maximum context length',
        type: 'invalid_request_error',
        param: null,
        code: '3051',
      },
    ],
    [
      'SGLang',
      400,
      {
        object: 'error',
        message: "The input (4500 tokens) is longer than the model's context length (2048 tokens).",
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    ],
    ['xAI', 400, openAIError("This model's maximum prompt length is 2048 but the request contains 4500 tokens.")],
    [
      'TGI',
      422,
      {
        error:
          'Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 4500 `inputs` tokens and 100 `max_new_tokens`',
        error_type: 'validation',
      },
    ],
    ['llama-cpp-python', 500, openAIError('Requested tokens (4500) exceed context window of 2048')],
    [
      'OpenAI with commas',
      400,
      openAIError('Input tokens exceed the configured limit of 2,048 tokens. Your messages resulted in 4,500 tokens.', {
        code: 'context_length_exceeded',
      }),
    ],
  ]

  test.for(refusals)('is made anew and shorter, and so is each one after it: %s', async ([, status, said]) => {
    const h = await startApp()
    h.backend.otherwise = strict(isLongerThan(2048), status, said)
    const run = await longThread(h)
    const { run: ended, steps, messages } = await madeBy(h.client, await atRest(h.client, await run()))
    expect(ended).toMatchObject({ status: 'completed', last_error: null, usage: { total_tokens: 15 } })
    expect([steps.length, messages.length]).toEqual([1, 1])
    const [first, second] = h.backend.requests.map(numbersIn)
    expect(first).toHaveLength(40)
    expect(second?.length).toBeGreaterThan(8)
    expect(second).toEqual(first?.slice(-(second?.length ?? 0)))
    expect(h.backend.requests[1]?.messages[0]).toEqual({ role: 'system', content: 'Be brief.' })
    expect(h.backend.requests).toHaveLength(2)

    await atRest(h.client, await run())
    expect(h.backend.requests).toHaveLength(3)
  })

  test.for([
    ['Ollama', 400, { error: { message: 'prompt is too long; exceeded maximum context length', type: 'api_error' } }],
    [
      'Groq',
      400,
      openAIError('Please reduce the length of the messages or completion.', { code: 'context_length_exceeded' }),
    ],
    ['Zhipu', 400, openAIError('Prompt exceeds max length', { code: 'context_length_exceeded' })],
  ] as const)('is made half as long, if the backend does not say how long it may be: %s', async ([, status, said]) => {
    const h = await startApp()
    h.backend.otherwise = strict(isLongerThan(1500), status, said)
    const run = await longThread(h)
    expect((await atRest(h.client, await run())).status).toBe('completed')
    const [all, half, quarter, ...more] = h.backend.requests.map((body) => numbersIn(body).length)
    expect(all).toBe(40)
    expect(half).toBeGreaterThan(14)
    expect(half).toBeLessThan(20)
    expect(quarter).toBeGreaterThan(5)
    expect(more).toEqual([])
  })

  test('and cannot be made shorter fails with what the backend said', async () => {
    const h = await startApp()
    h.backend.otherwise = strict(() => true, 400, openAIError('The input is too long.'))
    const { run } = await converse(h.client, { tools: [] }, words(500))
    const { last_error } = await atRest(h.client, await run())
    expect(last_error).toEqual({ code: 'invalid_prompt', message: 'The input is too long.' })
    expect(h.backend.requests).toHaveLength(1)
  })

  test('by more than was counted is made shorter once more', async () => {
    const h = await startApp()
    // Its encoding needs twice as many tokens.
    h.backend.otherwise = strict(
      isLongerThan(900),
      400,
      openAIError("This model's maximum context length is 2048 tokens."),
    )
    const run = await longThread(h)
    expect((await atRest(h.client, await run())).status).toBe('completed')
    const lengths = h.backend.requests.map((body) => numbersIn(body).length)
    expect(lengths).toHaveLength(3)
    expect(lengths).toEqual(lengths.toSorted((a, b) => b - a))
  })

  test('whatever is left out fails the run after three tries', async () => {
    const h = await startApp()
    h.backend.otherwise = refuseAs(400, openAIError("This model's maximum context length is 2048 tokens."))
    const run = await longThread(h)
    const { status, last_error } = await atRest(h.client, await run())
    expect([status, last_error]).toEqual([
      'failed',
      { code: 'invalid_prompt', message: "This model's maximum context length is 2048 tokens." },
    ])
    expect(h.backend.requests).toHaveLength(3)
  })

  test('by the newest message alone fails the run, and it says so', async () => {
    const h = await startApp()
    h.backend.otherwise = refuseAs(400, openAIError("This model's maximum context length is 512 tokens."))
    const { run } = await converse(h.client, { tools: [] }, words(2000))
    const { last_error } = await atRest(h.client, await run())
    expect(last_error).toMatchObject({
      code: 'invalid_prompt',
      message: expect.stringMatching(/do not fit into the 512 tokens of the model 'm'/),
    })
    expect(h.backend.requests).toHaveLength(1)
  })
})

describe('a window that is known is kept from the first call on', () => {
  const kept = async (h: Harness) => {
    const run = await longThread(h)
    expect((await atRest(h.client, await run())).status).toBe('completed')
    expect(h.backend.requests).toHaveLength(1)
    return numbersIn(h.backend.requests[0] ?? ({ messages: [] } as never)).length
  }

  test.each([
    ['vLLM', { max_model_len: 2048 }],
    ['OpenRouter', { context_length: 100_000, top_provider: { context_length: 2048 } }],
    ['LM Studio', { max_context_length: 100_000, loaded_context_length: 2048 }],
    ['llama.cpp', { meta: { n_ctx_train: 100_000, n_ctx: 2048 } }],
    ['llama.cpp, by another name than the model has', { id: '/models/some.gguf', meta: { n_ctx: 2048 } }],
    ['Groq', { context_window: 2048 }],
    ['Mistral', { max_context_length: 2048 }],
  ])('as the backend lists it: %s', async (_, entry) => {
    const h = await startApp()
    h.backend.models = list(entry)
    const count = await kept(h)
    expect([count > 8, count < 20]).toEqual([true, true])
  })

  test('as the rule says, whatever the backend lists', async () => {
    const h = await startApp({
      backends: (baseURL) => ({
        backends: { local: { baseURL } },
        models: [{ match: '*', backend: 'local', window: 2048 }],
      }),
    })
    h.backend.models = list({ max_model_len: 100_000 })
    expect(await kept(h)).toBeLessThan(20)
  })

  test.each([
    ['what the model was trained for', { meta: { n_ctx_train: 2048 } }],
    ['nothing', {}],
    ['nonsense', { max_model_len: '2048', context_length: -1 }],
  ])('and without one all is sent: the backend lists %s', async (_, entry) => {
    const h = await startApp()
    h.backend.models = list(entry)
    expect(await kept(h)).toBe(40)
  })

  test('and a backend that lists nothing at all keeps no run from its answer', async () => {
    const h = await startApp()
    h.backend.models = new Promise(() => {})
    const began = performance.now()
    expect(await kept(h)).toBe(40)
    expect(performance.now() - began).toBeLessThan(5000)
  })
})

test('the windows of OpenAI are known where it is OpenAI that is asked', async () => {
  const of = (baseURL: string, model: string) => new Windows(async () => [], baseURL).of(model)
  for (const host of ['api.openai.com', 'some.openai.azure.com']) {
    expect(await of(`https://${host}/v1`, 'gpt-4o-mini')).toBe(128_000)
    expect(await of(`https://${host}/v1`, 'gpt-5-mini')).toBe(400_000)
    expect(await of(`https://${host}/v1`, 'llama3')).toBeUndefined()
  }
  for (const host of ['127.0.0.1:11434', 'notopenai.com', 'api.openai.com.example.com']) {
    expect(await of(`http://${host}/v1`, 'gpt-4o-mini')).toBeUndefined()
  }
})

test('no more is asked for as an answer than the window leaves beside the prompt', async () => {
  const h = await startApp()
  h.backend.models = list({ max_model_len: 2048 })
  const { run } = await converse(h.client, { tools: [] }, words(500))
  for (const max_completion_tokens of [400, 1400, 2000]) await atRest(h.client, await run({ max_completion_tokens }))
  const [some, most, all] = h.backend.requests.map((body) => Number(body.max_completion_tokens))
  expect([some, most]).toEqual([400, 1400])
  expect(all).toBeGreaterThan(1450)
  expect(all).toBeLessThan(1548)
})
