import type { Assistant } from 'openai/resources/beta/assistants'
import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { edges, type Kind, post, tooLong, x } from './harness/limits.ts'
import { refusal, refusalOf } from './harness/refusal.ts'

describe('each limit holds at its edge and not past it', () => {
  test.for(edges.map((edge) => [edge[0], edge[3]?.[1].param?.slice(0, 60), edge] as const))(
    '%s: %s',
    async ([, , [kind, wrap, good, ...bad]]) => {
      const h = await startApp({ started: false })
      for (const value of good) {
        const answer = await post(h, kind, wrap(value))
        expect(answer.status, answer.ok ? '' : await answer.text()).toBe(200)
      }
      for (const [value, refused] of bad) expect(await refusalOf(await post(h, kind, wrap(value)))).toEqual(refused)
    },
  )

  test('metadata of modify calls too', async () => {
    const h = await startApp()
    for (const url of ['/assistants/asst_x', '/threads/thread_x', '/threads/thread_x/messages/msg_x']) {
      const answer = await refusalOf(await h.send('POST', `/v1${url}`, { metadata: { k: x(513) } }))
      expect(answer).toEqual(tooLong('metadata.k', 512))
    }
    const run = await h.send('POST', '/v1/threads/thread_x/runs/run_x', { metadata: { k: x(513) } })
    expect(await refusalOf(run)).toEqual(tooLong('metadata.k', 512))
  })

  test('one tool output', async () => {
    const h = await startApp()
    const outputs = [{ output: '' }, {}, { tool_call_id: 'call_x', output: x(1_048_577) }]
    const answer = await post(h, 'tool outputs', { tool_outputs: outputs })
    expect(await refusalOf(answer)).toEqual(tooLong('tool_outputs[2].output', 1_048_576))
  })
})

const functionTool = (more: object) => ({ tools: [{ type: 'function', function: { name: 'f', ...more } }] })
const image = (image_url: unknown) => ({ content: [{ type: 'image_url', image_url }] })
const first = { role: 'user', content: 'Hi' }

const unknown: [Kind, object, string][] = [
  ['assistant', { file_ids: [] }, 'file_ids'],
  ['assistant', { tools: [{ type: 'code_interpreter', container: {} }] }, 'tools[0].container'],
  ['assistant', functionTool({ foo: 1 }), 'tools[0].function.foo'],
  ['assistant', { tools: [{ type: 'file_search', file_search: { top_k: 3 } }] }, 'tools[0].file_search.top_k'],
  ['assistant', { tool_resources: { retrieval: {} } }, 'tool_resources.retrieval'],
  ['assistant', { tool_resources: { code_interpreter: { files: [] } } }, 'tool_resources.code_interpreter.files'],
  ['assistant', { response_format: { type: 'text', a: 1 } }, 'response_format.a'],
  ['thread', { messages: [first, { ...first, file_ids: [] }] }, 'messages[1].file_ids'],
  ['thread', JSON.parse('{"__proto__":{}}'), '__proto__'],
  ['thread', { constructor: 1 }, 'constructor'],
  ['message', { file_ids: ['file-x'] }, 'file_ids'],
  ['message', { content: [{ type: 'text', text: 'a', annotations: [] }] }, 'content[0].annotations'],
  ['message', image({ url: 'https://a/b.png', size: 1 }), 'content[0].image_url.size'],
  ['message', { attachments: [{ file_id: 'file-x', tools: [], name: '' }] }, 'attachments[0].name'],
  ['run', { tool_resources: {} }, 'tool_resources'],
  ['run', { thread: {} }, 'thread'],
  ['run', { truncation_strategy: { type: 'auto', max: 1 } }, 'truncation_strategy.max'],
  ['run', { tool_choice: { type: 'function', function: { name: 'f', a: 1 } } }, 'tool_choice.function.a'],
  ['run', { additional_messages: [{ ...first, id: 'msg_x' }] }, 'additional_messages[0].id'],
  ['thread and run', { additional_instructions: 'x' }, 'additional_instructions'],
  ['thread and run', { additional_messages: [] }, 'additional_messages'],
  ['thread and run', { reasoning_effort: 'low' }, 'reasoning_effort'],
  ['thread and run', { thread: { title: 'x' } }, 'thread.title'],
  ['tool outputs', { tool_outputs: [{ call_id: 'call_x' }] }, 'tool_outputs[0].call_id'],
]

const missing: [Kind, object, string][] = [
  ['assistant', { model: undefined }, 'model'],
  ['assistant', { tools: [{}] }, 'tools[0].type'],
  ['assistant', { tools: [{ type: 'function' }] }, 'tools[0].function'],
  ['assistant', { tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
  [
    'assistant',
    { tools: [{ type: 'file_search', file_search: { ranking_options: {} } }] },
    'tools[0].file_search.ranking_options.score_threshold',
  ],
  ['assistant', { response_format: {} }, 'response_format.type'],
  ['assistant', { response_format: { type: 'json_schema' } }, 'response_format.json_schema'],
  ['assistant', { response_format: { type: 'json_schema', json_schema: {} } }, 'response_format.json_schema.name'],
  ['thread', { messages: [{ role: 'user' }] }, 'messages[0].content'],
  ['message', { role: undefined }, 'role'],
  ['message', { content: undefined }, 'content'],
  ['message', { content: [{ text: 'a' }] }, 'content[0].type'],
  ['message', { content: [{ type: 'text' }] }, 'content[0].text'],
  ['message', image({}), 'content[0].image_url.url'],
  ['message', { attachments: [{ tools: [] }] }, 'attachments[0].file_id'],
  ['message', { attachments: [{ file_id: 'file-x' }] }, 'attachments[0].tools'],
  ['run', { assistant_id: undefined }, 'assistant_id'],
  ['run', { truncation_strategy: {} }, 'truncation_strategy.type'],
  ['run', { tool_choice: { type: 'function' } }, 'tool_choice.function'],
  ['thread and run', { assistant_id: undefined }, 'assistant_id'],
  ['tool outputs', {}, 'tool_outputs'],
]

const wrong: [Kind, object, string, string][] = [
  ['assistant', { model: 5 }, 'model', 'a string, but got an integer'],
  ['assistant', { model: null }, 'model', 'a string, but got null'],
  ['assistant', { name: ['x'] }, 'name', 'a string, but got an array'],
  ['assistant', { tools: 'x' }, 'tools', 'an array of objects, but got a string'],
  ['assistant', { tools: ['code_interpreter'] }, 'tools[0]', 'an object, but got a string'],
  ['assistant', functionTool({ strict: 'yes' }), 'tools[0].function.strict', 'a boolean, but got a string'],
  ['assistant', functionTool({ parameters: [] }), 'tools[0].function.parameters', 'an object, but got an array'],
  ['assistant', { temperature: 'hot' }, 'temperature', 'a decimal number, but got a string'],
  ['assistant', { metadata: [] }, 'metadata', 'an object, but got an array'],
  ['assistant', { metadata: { modified: true } }, 'metadata.modified', 'a string, but got a boolean'],
  ['assistant', { metadata: { modified: null } }, 'metadata.modified', 'a string, but got null'],
  ['assistant', { response_format: 5 }, 'response_format', 'one of a string or object, but got an integer'],
  ['thread', { messages: { 0: first } }, 'messages', 'an array of objects, but got an object'],
  ['thread', { tool_resources: [] }, 'tool_resources', 'an object, but got an array'],
  ['message', { content: 5 }, 'content', 'one of a string or array of objects, but got an integer'],
  ['message', { content: null }, 'content', 'one of a string or array of objects, but got null'],
  ['message', { content: ['a'] }, 'content[0]', 'an object, but got a string'],
  ['message', { content: [{ type: 'text', text: { value: 'a' } }] }, 'content[0].text', 'a string, but got an object'],
  ['message', image('https://a/b.png'), 'content[0].image_url', 'an object, but got a string'],
  ['run', { assistant_id: 5 }, 'assistant_id', 'a string, but got an integer'],
  ['run', { stream: 'true' }, 'stream', 'a boolean, but got a string'],
  ['run', { parallel_tool_calls: 1 }, 'parallel_tool_calls', 'a boolean, but got an integer'],
  ['run', { max_prompt_tokens: 256.5 }, 'max_prompt_tokens', 'an integer, but got a decimal number'],
  ['run', { tool_choice: 1.5 }, 'tool_choice', 'one of a string or object, but got a decimal number'],
  ['thread and run', { thread: 'thread_x' }, 'thread', 'an object, but got a string'],
  ['tool outputs', { tool_outputs: [{ output: 5 }] }, 'tool_outputs[0].output', 'a string, but got an integer'],
  ['tool outputs', { tool_outputs: null }, 'tool_outputs', 'an array of objects, but got null'],
]

const choices = "'code_interpreter', 'file_search', and 'function'"
const tools = "'code_interpreter', 'file_search', 'function', and 'create_specialist'"
const enums: [Kind, object, string, string, string][] = [
  ['assistant', { tools: [{ type: 'retrieval' }] }, 'tools[0].type', 'retrieval', tools],
  [
    'assistant',
    { tools: [{ type: 'file_search', file_search: { ranking_options: { ranker: 'best', score_threshold: 0 } } }] },
    'tools[0].file_search.ranking_options.ranker',
    'best',
    "'auto' and 'default_2024_08_21'",
  ],
  [
    'assistant',
    { response_format: { type: 'xml' } },
    'response_format.type',
    'xml',
    "'text', 'json_object', and 'json_schema'",
  ],
  ['message', { role: 'human' }, 'role', 'human', "'user' and 'assistant'"],
  ['message', { role: '' }, 'role', '', "'user' and 'assistant'"],
  ['message', { content: [{ type: 'video' }] }, 'content[0].type', 'video', "'text', 'image_url', and 'image_file'"],
  [
    'message',
    image({ url: 'https://a/b.png', detail: 'best' }),
    'content[0].image_url.detail',
    'best',
    "'auto', 'low', and 'high'",
  ],
  [
    'message',
    { attachments: [{ file_id: 'file-x', tools: [{ type: 'function' }] }] },
    'attachments[0].tools[0].type',
    'function',
    "'code_interpreter' and 'file_search'",
  ],
  ['run', { tool_choice: 'sometimes' }, 'tool_choice', 'sometimes', "'none', 'auto', and 'required'"],
  ['run', { tool_choice: { type: 'mcp' } }, 'tool_choice.type', 'mcp', choices],
  ['run', { truncation_strategy: { type: 'x' } }, 'truncation_strategy.type', 'x', "'auto' and 'last_messages'"],
  [
    'run',
    { reasoning_effort: 'huge' },
    'reasoning_effort',
    'huge',
    "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'",
  ],
]

describe('a body is refused by its first flaw, which is named with its path', () => {
  test.for(unknown)('an unknown key: %s %j', async ([kind, body, param]) => {
    const answer = await refusalOf(await post(await startApp(), kind, body))
    expect(answer).toEqual(refusal(`Unknown parameter: '${param}'.`, { param, code: 'unknown_parameter' }))
  })

  test.for(missing)('a missing key: %s %j', async ([kind, body, param]) => {
    const answer = await refusalOf(await post(await startApp(), kind, body))
    expect(answer).toEqual(
      refusal(`Missing required parameter: '${param}'.`, { param, code: 'missing_required_parameter' }),
    )
  })

  test.for(wrong)('a wrong type: %s %j', async ([kind, body, param, difference]) => {
    const answer = await refusalOf(await post(await startApp(), kind, body))
    expect(answer).toEqual(
      refusal(`Invalid type for '${param}': expected ${difference} instead.`, { param, code: 'invalid_type' }),
    )
  })

  test.for(enums)('a value that is not among the possible: %s %j', async ([kind, body, param, sent, possible]) => {
    const answer = await refusalOf(await post(await startApp(), kind, body))
    expect(answer).toEqual(
      refusal(`Invalid value: '${sent}'. Supported values are: ${possible}.`, { param, code: 'invalid_value' }),
    )
  })

  test('required keys first, then unknown ones, then the fields in their order', async () => {
    const h = await startApp()
    const flaws = async (body: object) => (await refusalOf(await h.send('POST', '/v1/assistants', body))).param
    expect(await flaws({ temperature: 9, foo: 1 })).toBe('model')
    expect(await flaws({ model: 5, temperature: 9, foo: 1 })).toBe('foo')
    expect(await flaws({ temperature: 9, model: 5 })).toBe('temperature')
    expect(await flaws({ model: 5, temperature: 9 })).toBe('model')
  })

  test('and nothing is created', async () => {
    const h = await startApp()
    await post(h, 'thread', { messages: [first, { role: 'human', content: 'x' }] })
    expect(await (await h.send('GET', '/v1/threads')).json()).toMatchObject({ data: [] })
  })
})

describe('what clients send as a matter of course', () => {
  const nothing = (...keys: string[]) => Object.fromEntries(keys.map((key) => [key, null]))
  const settings = ['tools', 'top_p', 'temperature', 'metadata', 'response_format', 'tool_resources'] as const
  const overrides = ['model', 'stream', 'max_prompt_tokens', 'max_completion_tokens', 'truncation_strategy']
  const choices = ['tool_choice', 'parallel_tool_calls', 'tools', 'metadata', 'temperature', 'top_p', 'response_format']

  test.for([
    ['assistant', nothing('name', 'description', 'instructions', 'reasoning_effort', ...settings)],
    ['assistant', functionTool(nothing('description', 'parameters', 'strict'))],
    ['assistant', { tools: [{ type: 'file_search', file_search: { ranking_options: null } }] }],
    ['assistant', { tool_resources: nothing('code_interpreter', 'file_search') }],
    ['thread', nothing('messages', 'metadata', 'tool_resources')],
    ['message', nothing('attachments', 'metadata')],
    ['message', image({ url: 'https://a/b.png', detail: null })],
    ['run', nothing(...overrides, ...choices, 'reasoning_effort', 'additional_instructions', 'additional_messages')],
    ['run', { truncation_strategy: { type: 'auto', last_messages: null } }],
    ['thread and run', nothing(...overrides, ...choices, 'thread', 'tool_resources')],
  ] as [Kind, object][])('explicit nulls: %s %j', async ([kind, body]) => {
    const answer = await post(await startApp({ started: false }), kind, body)
    expect(answer.status, answer.ok ? '' : await answer.text()).toBe(200)
  })

  test.for([
    ['assistant', { tools: [], metadata: {}, tool_resources: {} }],
    ['assistant', { tools: [{ type: 'file_search', file_search: {} }] }],
    ['assistant', { tool_resources: { code_interpreter: {}, file_search: {} } }],
    ['assistant', { tool_resources: { file_search: { vector_stores: [] } } }],
    ['thread', { messages: [], metadata: {}, tool_resources: {} }],
    ['message', { attachments: [], metadata: {} }],
    ['message', { attachments: [{ file_id: 'file-x', tools: [] }] }],
    ['run', { additional_messages: [], tools: [], metadata: {} }],
    ['thread and run', { thread: {}, tools: [], tool_resources: {} }],
  ] as [Kind, object][])('empty lists and objects: %s %j', async ([kind, body]) => {
    const answer = await post(await startApp({ started: false }), kind, body)
    expect(answer.status, answer.ok ? '' : await answer.text()).toBe(200)
  })

  test('modify calls with nulls and with nothing', async () => {
    const h = await startApp({ started: false })
    const { id } = await h.client.beta.assistants.create({ model: 'demo' })
    const thread = await h.client.beta.threads.create({ messages: [{ role: 'user', content: 'Hi' }] })
    const { data } = await h.client.beta.threads.messages.list(thread.id)
    const run = await h.client.beta.threads.runs.create(thread.id, { assistant_id: id })
    await h.services.executor.tick()
    for (const url of [
      `/assistants/${id}`,
      `/threads/${thread.id}`,
      `/threads/${thread.id}/messages/${data[0]?.id}`,
      `/threads/${thread.id}/runs/${run.id}`,
    ]) {
      for (const body of [undefined, {}, { metadata: null }, { metadata: {} }]) {
        expect((await h.send('POST', `/v1${url}`, body)).status).toBe(200)
      }
    }
  })

  test('a function may have any parameters, and metadata any keys', async () => {
    const h = await startApp()
    const parameters = JSON.parse(
      '{"type":"object","properties":{"__proto__":{"type":["string","null"]}},"x-mine":[1]}',
    )
    const metadata = JSON.parse('{"__proto__":"a","constructor":"b","":"c","😀":"d"}')
    const { id } = (await (
      await post(h, 'assistant', { ...functionTool({ parameters }), metadata })
    ).json()) as Assistant
    const stored = (await (await h.send('GET', `/v1/assistants/${id}`)).json()) as Assistant
    expect(JSON.stringify(stored.tools[0]?.type === 'function' && stored.tools[0].function.parameters)).toBe(
      JSON.stringify(parameters),
    )
    expect(JSON.stringify(stored.metadata)).toBe(JSON.stringify(metadata))
  })
})

describe('query strings', () => {
  test('unknown and empty keys are ignored, and of a repeated key the last counts', async () => {
    const h = await startApp()
    await h.client.beta.assistants.create({ model: 'a' })
    await h.client.beta.assistants.create({ model: 'b' })
    const models = async (query: string) => {
      const answer = await h.send('GET', `/v1/assistants?${query}`)
      return ((await answer.json()) as { data: { model: string }[] }).data.map(({ model }) => model).join()
    }
    const include = 'step_details.tool_calls[*].file_search.results[*].content'
    expect(await models(`foo=1&include[]=${include}&include%5B%5D=x&api-version=1&limit[]=1`)).toBe('b,a')
    expect(await models('limit=&order=&after=&before=')).toBe('b,a')
    expect(await models('limit=2&limit=1&order=desc&order=asc')).toBe('a')
    expect(await models('%&%ff=%ff&=&&__proto__=1')).toBe('b,a')
  })

  test('are refused where a limit or an order cannot be read', async () => {
    const h = await startApp()
    const flaw = async (query: string) => refusalOf(await h.send('GET', `/v1/assistants?${query}`))
    const notInteger = refusal("Invalid type for 'limit': expected an integer, but got a string instead.", {
      param: 'limit',
      code: 'invalid_type',
    })
    for (const limit of ['abc', '1.5', '1e1', '0x10', '%20']) expect(await flaw(`limit=${limit}`)).toEqual(notInteger)
    expect(await flaw('limit=0')).toEqual(
      refusal("Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.", {
        param: 'limit',
        code: 'integer_below_min_value',
      }),
    )
    expect(await flaw('limit=101')).toEqual(
      refusal("Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead.", {
        param: 'limit',
        code: 'integer_above_max_value',
      }),
    )
    expect(await flaw('order=newest')).toEqual(
      refusal("Invalid value: 'newest'. Supported values are: 'asc' and 'desc'.", {
        param: 'order',
        code: 'invalid_value',
      }),
    )
    expect((await h.send('GET', '/v1/assistants?limit=100')).status).toBe(200)
  })
})
