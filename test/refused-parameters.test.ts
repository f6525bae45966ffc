import type { RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { atRest, converse, lookupTool, madeBy } from './harness/engine.ts'
import { openAIError, refuseAs, strict } from './harness/refusals.ts'

type Body = ChatCompletionCreateParams
type RunBody = Partial<RunCreateParamsNonStreaming>

const schema = { type: 'object', properties: { answer: { type: 'string' } } }
const format = { type: 'json_schema' as const, json_schema: { name: 'reply', schema } }
/** A property may have the name of a keyword. */
const innermost = { type: 'object', properties: { additionalProperties: { type: 'string', enum: ['strict'] } } }
const strictTool = {
  type: 'function' as const,
  function: {
    name: 'lookup',
    description: 'Looks it up.',
    strict: true,
    parameters: {
      type: 'object',
      properties: { where: { ...innermost, additionalProperties: false }, any: { anyOf: [{ type: 'null' }] } },
      required: ['where', 'any'],
      additionalProperties: false,
    },
  },
}
const bareTool = {
  type: 'function',
  function: {
    name: 'lookup',
    description: 'Looks it up.',
    parameters: {
      type: 'object',
      properties: { where: innermost, any: { anyOf: [{ type: 'null' }] } },
      required: ['where', 'any'],
    },
  },
}
const has = (key: keyof Body) => (body: Body) => body[key] !== undefined

/** A refusal, as a server words it, of what `isRefused` finds in a request. */
interface Case {
  server: string
  run?: RunBody
  isRefused(body: Body): unknown
  status?: number
  said: unknown
  /** What the request has that is made after the refusal; undefined: the key is not there. */
  sends: object
}

const openAI = (message: string, more?: object) => openAIError(message, more)
const forbidden = (name: string) => ({
  ...{ type: 'extra_forbidden', loc: ['body', name], msg: 'Extra inputs are not permitted', input: 1 },
})
const unsupported = (name: string, instead?: string) =>
  openAI(
    `Unsupported parameter: '${name}' is not supported with this model.${instead ? ` Use '${instead}' instead.` : ''}`,
    { param: name, code: 'unsupported_parameter' },
  )
const limited: RunBody = { max_completion_tokens: 300 }
const toOther = { max_tokens: 300, max_completion_tokens: undefined }

/** A forced call is asked for in the instructions. */
const toldInstead = (content: string) => ({
  tool_choice: 'auto',
  messages: [
    { role: 'system', content },
    { role: 'user', content: 'Hi' },
  ],
})

const cases: Case[] = [
  {
    server: 'OpenAI: temperature',
    isRefused: has('temperature'),
    said: openAI(
      "Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.",
      {
        param: 'temperature',
        code: 'unsupported_value',
      },
    ),
    run: { temperature: 0.5 },
    sends: { temperature: undefined, top_p: 1 },
  },
  {
    server: 'OpenAI: top_p',
    isRefused: has('top_p'),
    said: unsupported('top_p'),
    sends: { top_p: undefined, temperature: 1 },
  },
  {
    server: 'LiteLLM: temperature',
    isRefused: has('temperature'),
    said: openAI(
      "litellm.UnsupportedParamsError: gpt-5 models (including gpt-5-codex) don't support temperature=0.5. Only temperature=1 is supported. To drop unsupported params set `litellm.drop_params = True`",
    ),
    sends: { temperature: undefined },
  },
  ...[{}, { reasoning_effort: 'low' as const }].map((run) => ({
    server: `OpenAI: tools of GPT-5.6, ${run.reasoning_effort ?? 'no'} effort`,
    run,
    isRefused: ({ reasoning_effort }: Body) => reasoning_effort !== 'none',
    said: openAI(
      "Function tools with reasoning_effort are not supported for gpt-5.6-luna in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
      { param: 'reasoning_effort' },
    ),
    sends: { reasoning_effort: 'none', tools: [lookupTool] },
  })),
  {
    server: 'Moonshot: temperature',
    isRefused: has('temperature'),
    said: {
      error: { message: 'invalid temperature: only 1 is allowed for this model', type: 'invalid_request_error' },
    },
    run: { temperature: 0.5 },
    sends: { temperature: undefined, top_p: 1 },
  },
  {
    server: 'Moonshot: top_p',
    isRefused: has('top_p'),
    said: { error: { message: 'invalid top_p: only 0.95 is allowed for this model', type: 'invalid_request_error' } },
    sends: { top_p: undefined, temperature: 1 },
  },
  {
    server: 'a gateway to Gemini: keywords of schemas',
    isRefused: (body) => JSON.stringify(body).includes('"additionalProperties":false'),
    run: { tools: [strictTool] },
    said: [
      {
        error: {
          code: 400,
          message: `Invalid JSON payload received. Unknown name "additionalProperties" at 'tools[0].function_declarations[0].parameters': Cannot find field.\nInvalid JSON payload received. Unknown name "additionalProperties" at 'tools[0].function_declarations[0].parameters.properties[0].value': Cannot find field.\nInvalid JSON payload received. Unknown name "strict" at 'request.tools[0].function_declarations[0]': Cannot find field.`,
          status: 'INVALID_ARGUMENT',
        },
      },
    ],
    sends: { tools: [bareTool] },
  },
  {
    server: 'Pydantic: strict',
    isRefused: (body) => JSON.stringify(body).includes('"strict":true'),
    run: { tools: [strictTool] },
    said: { detail: [{ ...forbidden('strict'), loc: ['body', 'tools', 0, 'function', 'strict'] }] },
    sends: { tools: [{ type: 'function', function: { ...strictTool.function, strict: undefined } }] },
  },
  {
    server: 'a gateway to Gemini: keywords of a format',
    isRefused: (body) => JSON.stringify(body).includes('"additionalProperties":false'),
    run: {
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'reply', schema: { ...schema, additionalProperties: false } },
      },
    },
    said: openAI(
      `Invalid JSON payload received. Unknown name "additionalProperties" at 'generation_config.response_schema': Cannot find field.`,
    ),
    sends: { response_format: format },
  },
  {
    server: 'Anthropic: both',
    isRefused: has('top_p'),
    said: openAI('`temperature` and `top_p` cannot both be specified for this model. Please use only one.'),
    sends: { temperature: 1, top_p: undefined },
  },
  {
    server: 'OpenAI: max_completion_tokens',
    run: limited,
    isRefused: has('max_completion_tokens'),
    said: unsupported('max_completion_tokens', 'max_tokens'),
    sends: toOther,
  },
  {
    server: 'Mistral: max_completion_tokens',
    run: limited,
    isRefused: has('max_completion_tokens'),
    status: 422,
    said: {
      object: 'error',
      message: { detail: [forbidden('max_completion_tokens')] },
      type: 'invalid_request_error',
      param: null,
      code: null,
    },
    sends: toOther,
  },
  {
    server: 'vLLM: max_completion_tokens',
    run: limited,
    isRefused: has('max_completion_tokens'),
    said: {
      object: 'error',
      message:
        "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra inputs are not permitted', 'input': 300}]",
      type: 'BadRequestError',
      param: null,
      code: 400,
    },
    sends: toOther,
  },
  {
    server: 'OpenAI: more tokens than an answer can have',
    run: { max_completion_tokens: 50_000 },
    isRefused: (body) => Number(body.max_completion_tokens) > 16_384,
    said: openAI(
      'max_tokens is too large: 50000. This model supports at most 16384 completion tokens, whereas you provided 50000.',
    ),
    sends: { max_completion_tokens: 16_384 },
  },
  {
    server: 'Azure: parallel_tool_calls',
    isRefused: has('parallel_tool_calls'),
    said: openAI('Unrecognized request argument supplied: parallel_tool_calls'),
    sends: { parallel_tool_calls: undefined, tools: [lookupTool], tool_choice: 'auto' },
  },
  {
    server: 'Gemini: parallel_tool_calls',
    isRefused: has('parallel_tool_calls'),
    said: [
      {
        error: {
          code: 400,
          message: 'Invalid JSON payload received. Unknown name "parallel_tool_calls": Cannot find field.',
          status: 'INVALID_ARGUMENT',
        },
      },
    ],
    sends: { parallel_tool_calls: undefined, tools: [lookupTool] },
  },
  {
    server: 'Groq: reasoning_effort',
    run: { reasoning_effort: 'low' },
    isRefused: has('reasoning_effort'),
    said: { error: { message: "property 'reasoning_effort' is unsupported", type: 'invalid_request_error' } },
    sends: { reasoning_effort: undefined },
  },
  {
    server: 'Ollama: reasoning_effort',
    run: { reasoning_effort: 'low' },
    isRefused: has('reasoning_effort'),
    said: openAI('"qwen2.5:7b" does not support thinking', { type: 'api_error' }),
    sends: { reasoning_effort: undefined },
  },
  {
    server: 'FastAPI: stream_options',
    isRefused: has('stream_options'),
    status: 422,
    said: { detail: [forbidden('stream_options')] },
    sends: { stream_options: undefined, stream: true },
  },
  {
    server: 'TypeScript servers: stream_options',
    isRefused: has('stream_options'),
    status: 500,
    said: openAI("create() got an unexpected keyword argument 'stream_options'"),
    sends: { stream_options: undefined },
  },
  {
    server: 'DeepSeek: a forced choice',
    run: { tool_choice: 'required' },
    isRefused: (body) => body.tool_choice === 'required',
    said: openAI('deepseek-reasoner does not support this tool_choice'),
    sends: toldInstead('Call at least one function now.'),
  },
  {
    server: 'Anthropic: a named choice',
    run: { tool_choice: { type: 'function', function: { name: 'lookup' } } },
    isRefused: (body) => body.tool_choice !== 'auto',
    said: openAI('Thinking may not be enabled when tool_choice forces tool use.'),
    sends: toldInstead("Call the function 'lookup' now."),
  },
  {
    server: 'Groq: tool_choice at all',
    isRefused: has('tool_choice'),
    said: openAI("property 'tool_choice' is unsupported"),
    sends: { tool_choice: undefined, tools: [lookupTool] },
  },
  {
    server: 'Bedrock: tools in a stream',
    isRefused: (body) => body.stream,
    said: openAI("This model doesn't support tool use in streaming mode."),
    sends: { stream: false, stream_options: undefined, tools: [lookupTool] },
  },
  {
    server: 'llama.cpp: tools in a stream',
    isRefused: (body) => body.stream,
    status: 500,
    said: { error: { code: 500, message: 'Cannot use tools with stream', type: 'server_error' } },
    sends: { stream: false },
  },
  {
    server: 'OpenAI: json_schema',
    run: { response_format: format },
    isRefused: (body) => body.response_format?.type === 'json_schema',
    said: openAI(
      "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model. Learn more about supported models at the Structured Outputs guide.",
      { param: 'response_format' },
    ),
    sends: {
      response_format: { type: 'json_object' },
      messages: [
        { role: 'system', content: expect.stringContaining(JSON.stringify(schema)) },
        { role: 'user', content: 'Hi' },
      ],
    },
  },
  ...(
    [
      ['Groq', 'This model does not support response format `json_schema`. See supported models at the docs'],
      ['DeepSeek', 'This response_format type is unavailable now'],
      ['llama.cpp', 'response_format type must be one of "text" or "json_object", but got: json_schema'],
    ] as const
  ).map(
    ([server, message]): Case => ({
      server: `${server}: json_schema`,
      run: { response_format: format },
      isRefused: (body) => body.response_format?.type === 'json_schema',
      said: openAI(message),
      sends: { response_format: { type: 'json_object' } },
    }),
  ),
  {
    server: 'LM Studio: json_object',
    run: { response_format: { type: 'json_object' } },
    isRefused: has('response_format'),
    said: { error: "'response_format.type' must be 'json_schema' or 'text'" },
    sends: {
      response_format: undefined,
      messages: [
        { role: 'system', content: expect.stringMatching(/one JSON object/) },
        { role: 'user', content: 'Hi' },
      ],
    },
  },
  {
    server: 'llama.cpp: a format beside tools',
    run: { response_format: format },
    isRefused: has('response_format'),
    said: {
      error: { code: 400, message: 'Cannot use custom grammar constraints with tools.', type: 'invalid_request_error' },
    },
    sends: { response_format: undefined, tools: [lookupTool] },
  },
]

describe('what a backend refuses by name is left out, and asked for once', () => {
  test.for(cases)('$server', async ({ run: body = {}, isRefused, status = 400, said, sends }) => {
    const lines: object[] = []
    const h = await startApp({ lines })
    h.backend.otherwise = strict(isRefused, status, said)
    const { run } = await converse(h.client)
    expect(await atRest(h.client, await run(body))).toMatchObject({ status: 'completed', last_error: null, model: 'm' })
    expect(h.backend.requests).toHaveLength(2)
    const second = Object.entries(h.backend.requests[1] ?? {}).filter(([key]) => key in sends)
    expect(Object.fromEntries(second)).toEqual(sends)

    // Another run of the model is asked so at once.
    expect(await atRest(h.client, await run(body))).toMatchObject({ status: 'completed' })
    expect(h.backend.requests).toHaveLength(3)
    expect(lines).toMatchObject([{ level: 40, backend: 'default', model: 'm', can: expect.anything() }])
  })
})

test('several things that are refused one after the other are all left out', async () => {
  const lines: object[] = []
  const h = await startApp({ lines })
  h.backend.otherwise = (exchange) => {
    for (const key of ['temperature', 'top_p', 'parallel_tool_calls', 'stream_options'] as const) {
      if (exchange.body[key] !== undefined) return refuseAs(400, unsupported(key))(exchange)
    }
    return exchange.text('Hello.')
  }
  const { run } = await converse(h.client)
  expect((await atRest(h.client, await run())).status).toBe('completed')
  expect(h.backend.requests).toHaveLength(5)
  const can = { temperature: false, topP: false, parallelTools: false, usageInStream: false }
  expect(lines).toMatchObject([{ can }])
})

test('neither name for a limit: it is asked for without one', async () => {
  const h = await startApp()
  h.backend.otherwise = (exchange) => {
    const name = (['max_completion_tokens', 'max_tokens'] as const).find((key) => exchange.body[key] !== undefined)
    return name ? refuseAs(400, unsupported(name))(exchange) : exchange.text('Hello.')
  }
  const { run } = await converse(h.client)
  expect((await atRest(h.client, await run(limited))).status).toBe('completed')
  expect(h.backend.requests).toHaveLength(3)
})

test('an effort that a model does not know is left out, and others go on to be sent', async () => {
  const h = await startApp()
  h.backend.otherwise = strict(
    ({ reasoning_effort }) => reasoning_effort === 'minimal',
    400,
    openAI(
      "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.",
      {
        param: 'reasoning_effort',
        code: 'unsupported_value',
      },
    ),
  )
  const { run } = await converse(h.client)
  for (const reasoning_effort of ['minimal', 'high'] as const) await atRest(h.client, await run({ reasoning_effort }))
  expect(h.backend.requests.map((body) => body.reasoning_effort)).toEqual(['minimal', undefined, 'high'])
})

test('what was learned of one model is not held against another', async () => {
  const h = await startApp()
  h.backend.otherwise = strict(
    ({ model, temperature }) => model === 'm' && temperature !== undefined,
    400,
    unsupported('temperature'),
  )
  const { run } = await converse(h.client)
  await atRest(h.client, await run())
  await atRest(h.client, await run({ model: 'other' }))
  expect(h.backend.requests.map(({ temperature }) => temperature)).toEqual([1, undefined, 1])
})

describe('what is no refusal of a parameter fails the run as before', () => {
  test.each([
    [
      'a value out of range',
      openAI("Invalid 'temperature': decimal above maximum value.", {
        param: 'temperature',
        code: 'decimal_above_max_value',
      }),
    ],
    [
      'a schema that is not taken',
      openAI("Invalid schema for response_format 'reply': In context=(), 'oneOf' is not permitted.", {
        param: 'response_format',
      }),
    ],
    [
      'a tool that is not taken',
      openAI("Invalid schema for function 'lookup': 'x' is not supported.", {
        param: 'tools[0].function.parameters',
        code: 'invalid_function_parameters',
      }),
    ],
    ['what was not sent', unsupported('logit_bias')],
  ])('%s', async (_, said) => {
    const h = await startApp()
    h.backend.otherwise = refuseAs(400, said)
    const { run } = await converse(h.client)
    const ended = await atRest(h.client, await run({ response_format: format }))
    expect(ended.last_error).toEqual({ code: 'invalid_prompt', message: said.error.message })
    expect(h.backend.requests).toHaveLength(1)
  })

  test('and what did not help is sent again the next time', async () => {
    const h = await startApp()
    h.backend.turns = [refuseAs(400, unsupported('temperature')), refuseAs(400, openAI('Bad weather.'))]
    const { run } = await converse(h.client)
    expect((await atRest(h.client, await run())).last_error).toMatchObject({ message: 'Bad weather.' })
    await atRest(h.client, await run())
    expect(h.backend.requests.map(({ temperature }) => temperature)).toEqual([1, undefined, 1])
  })
})

describe('a model without tools', () => {
  const refusals: [string, number, unknown][] = [
    ['Ollama', 400, openAI('registry.ollama.ai/library/gemma:2b does not support tools', { type: 'api_error' })],
    [
      'vLLM',
      400,
      {
        object: 'error',
        message: '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set',
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    ],
    ['llama.cpp', 500, { error: { code: 500, message: 'tools param requires --jinja flag', type: 'server_error' } }],
    [
      'OpenRouter',
      404,
      {
        error: {
          message: 'No endpoints found that support tool use. To learn more about provider routing, visit the docs',
          code: 404,
        },
      },
    ],
    ['Groq', 400, openAI('`tool calling` is not supported with this model')],
    [
      'LiteLLM',
      400,
      openAI("litellm.UnsupportedParamsError: ollama does not support parameters: ['tools'], for model=gemma"),
    ],
  ]
  test.for(refusals)(
    'is told of them in its instructions, and its calls are read from its text: %s',
    async ([, status, said]) => {
      const h = await startApp()
      const call = '<tool_call>\n{"name": "lookup", "arguments": {"q": "Rome"}}\n</tool_call>'
      h.backend.turns = [refuseAs(status, said), ({ text }) => text('Let me see. ', call), ({ text }) => text('Sunny.')]
      const { run } = await converse(h.client, { instructions: 'Be brief.' })
      const waiting = await atRest(h.client, await run({ tool_choice: 'required' }))
      const [asked] = waiting.required_action?.submit_tool_outputs.tool_calls ?? []
      expect(asked?.function).toEqual({ name: 'lookup', arguments: '{"q":"Rome"}' })

      const { id, thread_id } = waiting
      const tool_outputs = [{ tool_call_id: asked?.id ?? '', output: 'sunny' }]
      await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs })
      const { run: ended, messages } = await madeBy(h.client, await atRest(h.client, waiting))
      expect(ended.status).toBe('completed')
      expect(messages.at(-1)?.content).toMatchObject([{ text: { value: 'Sunny.' } }])

      const [, second, third] = h.backend.requests
      expect(second).not.toHaveProperty('tools')
      expect(second?.messages[0]?.content).toMatch(
        /^Be brief\.\n\n.*"name":"lookup".*Call at least one function now\.$/s,
      )
      expect(third?.messages.slice(1)).toEqual([
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: `Let me see. \n${call.replace('"q": ', '"q":')}` },
        { role: 'user', content: '<tool_response>\nsunny\n</tool_response>' },
      ])
    },
  )
})

describe('a model without eyes', () => {
  const refusals: [string, number, unknown][] = [
    [
      'OpenAI',
      400,
      openAI('Invalid content type. image_url is only supported by certain models.', {
        param: 'messages.[0].content.[1].type',
      }),
    ],
    [
      'vLLM',
      400,
      {
        object: 'error',
        message: 'org/model is not a multimodal model',
        type: 'BadRequestError',
        param: null,
        code: 400,
      },
    ],
    [
      'llama.cpp',
      500,
      {
        error: {
          code: 500,
          message: 'image input is not supported - hint: if this is unexpected, you may need to provide the mmproj',
          type: 'server_error',
        },
      },
    ],
    [
      'DeepSeek',
      422,
      openAI(
        'Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected `text` at line 1 column 300',
      ),
    ],
    ['OpenRouter', 404, { error: { message: 'No endpoints found that support image input', code: 404 } }],
    [
      'Groq',
      400,
      openAI(
        "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : value must be a string)]",
      ),
    ],
  ]
  test.for(refusals)('is told that there was a picture: %s', async ([, status, said]) => {
    const h = await startApp()
    h.backend.otherwise = strict(({ messages }) => messages.some(({ content }) => Array.isArray(content)), status, said)
    const { thread, run } = await converse(h.client)
    await h.client.beta.threads.messages.create(thread.id, {
      role: 'user',
      content: [
        { type: 'text', text: 'What is this?' },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
      ],
    })
    expect((await atRest(h.client, await run())).status).toBe('completed')
    expect(h.backend.requests[1]?.messages.at(-1)).toEqual({
      role: 'user',
      content: 'What is this?\n\n[A picture was sent that this model cannot see.]',
    })
  })
})

test('what is refused anew each time is refused in the end', async () => {
  const h = await startApp()
  h.backend.otherwise = (exchange) => {
    const most = Number(exchange.body.max_completion_tokens) - 1
    return refuseAs(
      400,
      openAI(`max_tokens is too large. This model supports at most ${most} completion tokens.`),
    )(exchange)
  }
  const { run } = await converse(h.client)
  const ended = await atRest(h.client, await run({ max_completion_tokens: 9000 }))
  expect(ended).toMatchObject({ status: 'failed', last_error: { code: 'invalid_prompt' } })
  expect(h.backend.requests).toHaveLength(31)
})
