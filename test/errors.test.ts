import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { runIn } from './harness/run-in.ts'

const requestId = /^req_[0-9a-f]{32}$/
const text = { role: 'user', content: 'Hi' } as const

const notJson = refusal(
  "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)",
)
const wrongType = (sent: string) =>
  refusal(
    `Unsupported content type: '${sent}'. This API method only accepts 'application/json' requests. Please try again with the header 'Content-Type: application/json'.`,
    { status: 415, code: 'unsupported_content_type' },
  )
const notFound = (kind: string, id: string) => refusal(`No ${kind} found with id '${id}'.`, { status: 404 })
const badId = (param: string, id: string, prefix: string) =>
  refusal(`Invalid '${param}': '${id}'. Expected an ID that begins with '${prefix}'.`, { param, code: 'invalid_value' })

const ask = async (h: Harness, ...request: Parameters<Harness['send']>) => refusalOf(await h.send(...request))

/** An assistant and a thread with a finished run. */
async function begin(h: Harness) {
  const assistant = await h.client.beta.assistants.create({ model: 'demo' })
  const thread = await h.client.beta.threads.create({ messages: [text] })
  const run = await h.client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id })
  await h.services.executor.tick()
  return { assistant, thread, run }
}

describe('what does not exist is a 404 that names its kind and id', () => {
  test('assistants and threads', async () => {
    const h = await startApp()
    for (const method of ['GET', 'POST', 'DELETE']) {
      const body = method === 'POST' ? {} : undefined
      expect(await ask(h, method, '/v1/assistants/asst_x', body)).toEqual(notFound('assistant', 'asst_x'))
      expect(await ask(h, method, '/v1/threads/thread_x', body)).toEqual(notFound('thread', 'thread_x'))
    }
  })

  test.for([
    ['GET', ''],
    ['POST', '', { role: 'user', content: 'x' }],
    ['GET', '/msg_x'],
    ['POST', '/msg_x', {}],
    ['DELETE', '/msg_x'],
  ] as const)('messages of a thread that does not exist: %s …/messages%s', async ([method, path, body]) => {
    const h = await startApp()
    const answer = await ask(h, method, `/v1/threads/thread_x/messages${path}`, body)
    expect(answer).toEqual(notFound('thread', 'thread_x'))
  })

  test.for([
    ['GET', ''],
    ['POST', '', { assistant_id: 'asst_x' }],
    ['POST', '', { assistant_id: 'asst_x', stream: true }],
    ['GET', '/stream'],
    ['GET', '/run_x'],
    ['POST', '/run_x', {}],
    ['POST', '/run_x/cancel'],
    ['POST', '/run_x/submit_tool_outputs', { tool_outputs: [] }],
    ['POST', '/run_x/submit_tool_outputs', { tool_outputs: [], stream: true }],
    ['GET', '/run_x/stream'],
    ['GET', '/run_x/steps'],
    ['GET', '/run_x/steps/step_x'],
  ] as const)('runs of a thread that does not exist: %s …/runs%s', async ([method, path, body]) => {
    const h = await startApp()
    const answer = await ask(h, method, `/v1/threads/thread_x/runs${path}`, body)
    expect(answer).toEqual(notFound('thread', 'thread_x'))
  })

  test('messages, runs and steps of a thread that exists', async () => {
    const h = await startApp({ started: false })
    const { thread, run } = await begin(h)
    const url = `/v1/threads/${thread.id}`
    for (const [method, body] of [['GET'], ['POST', {}], ['DELETE']] as const) {
      expect(await ask(h, method, `${url}/messages/msg_x`, body)).toEqual(notFound('message', 'msg_x'))
    }
    for (const [method, path, body] of [
      ['GET', ''],
      ['POST', '', {}],
      ['POST', '/cancel'],
      ['POST', '/submit_tool_outputs', { tool_outputs: [] }],
      ['GET', '/stream'],
      ['GET', '/steps'],
      ['GET', '/steps/step_x'],
    ] as const) {
      expect(await ask(h, method, `${url}/runs/run_x${path}`, body)).toEqual(notFound('run', 'run_x'))
    }
    expect(await ask(h, 'GET', `${url}/runs/${run.id}/steps/step_x`)).toEqual(notFound('run step', 'step_x'))
  })

  test('the assistant of a new run, before any event of a stream', async () => {
    const h = await startApp()
    const thread = await h.client.beta.threads.create({ messages: [text] })
    const missing = notFound('assistant', 'asst_x')
    for (const stream of [true, false]) {
      const body = { assistant_id: 'asst_x', stream }
      expect(await ask(h, 'POST', `/v1/threads/${thread.id}/runs`, body)).toEqual(missing)
      expect(await ask(h, 'POST', '/v1/threads/runs', { ...body, thread: { messages: [text] } })).toEqual(missing)
    }
  })

  test('a route or a verb: the URL without its query', async () => {
    const h = await startApp()
    const invalid = (request: string) => refusal(`Invalid URL (${request})`, { status: 404 })
    expect(await ask(h, 'POST', '/v1/foo?key=secret', {})).toEqual(invalid('POST /v1/foo'))
    expect(await ask(h, 'GET', '/')).toEqual(invalid('GET /'))
    expect(await ask(h, 'PUT', '/v1/threads', {})).toEqual(invalid('PUT /v1/threads'))
    expect(await ask(h, 'PATCH', '/v1/assistants/asst_x', {})).toEqual(invalid('PATCH /v1/assistants/asst_x'))
    expect(await ask(h, 'DELETE', '/v1/threads/thread_x/runs/run_x')).toEqual(
      invalid('DELETE /v1/threads/thread_x/runs/run_x'),
    )
    expect(await ask(h, 'POST', '/v1/foo', 'x', { 'content-type': 'text/plain' })).toEqual(invalid('POST /v1/foo'))
  })
})

describe('an id with the wrong beginning is a 400 that names the parameter', () => {
  test.for([
    ['GET', '/assistants/undefined', 'assistant_id', 'asst'],
    ['DELETE', '/assistants/undefined', 'assistant_id', 'asst'],
    ['GET', '/threads/undefined', 'thread_id', 'thread'],
    ['GET', '/threads/undefined/messages', 'thread_id', 'thread'],
    ['GET', '/threads/thread_x/messages/undefined', 'message_id', 'msg'],
    ['DELETE', '/threads/thread_x/messages/undefined', 'message_id', 'msg'],
    ['GET', '/threads/undefined/runs', 'thread_id', 'thread'],
    ['GET', '/threads/undefined/runs/stream', 'thread_id', 'thread'],
    ['GET', '/threads/thread_x/runs/undefined', 'run_id', 'run'],
    ['POST', '/threads/thread_x/runs/undefined/cancel', 'run_id', 'run'],
    ['GET', '/threads/thread_x/runs/undefined/stream', 'run_id', 'run'],
    ['GET', '/threads/thread_x/runs/undefined/steps', 'run_id', 'run'],
    ['GET', '/threads/thread_x/runs/run_x/steps/undefined', 'step_id', 'step'],
  ] as const)('in the path: %s %s', async ([method, path, param, prefix]) => {
    const h = await startApp()
    expect(await ask(h, method, `/v1${path}`)).toEqual(badId(param, 'undefined', prefix))
  })

  test('in the body', async () => {
    const h = await startApp()
    const resources = { file_search: { vector_store_ids: ['store'] } }
    expect(await ask(h, 'POST', '/v1/threads/thread_x/runs', { assistant_id: 'undefined' })).toEqual(
      badId('assistant_id', 'undefined', 'asst'),
    )
    expect(await ask(h, 'POST', '/v1/threads/runs', { assistant_id: '' })).toEqual(badId('assistant_id', '', 'asst'))
    expect(await ask(h, 'POST', '/v1/threads', { tool_resources: resources })).toEqual(
      badId('tool_resources.file_search.vector_store_ids[0]', 'store', 'vs'),
    )
    const attachments = [{ file_id: 'x', tools: [] }]
    expect(await ask(h, 'POST', '/v1/threads/thread_x/messages', { ...text, attachments })).toEqual(
      badId('attachments[0].file_id', 'x', 'file'),
    )
  })
})

describe('a request that cannot be read', () => {
  test.for(['{', ' ', '{"metadata":}', "{'a': 1}", '{"a":1}{', 'NaN'])('as JSON: %j', async (body) => {
    const h = await startApp()
    expect(await ask(h, 'POST', '/v1/threads', body)).toEqual(notJson)
  })

  test.for([
    ['[]', 'an array'],
    ['"x"', 'a string'],
    ['1', 'an integer'],
    ['0.5', 'a decimal number'],
    ['true', 'a boolean'],
  ] as const)('as an object: %s', async ([body, word]) => {
    const h = await startApp()
    expect(await ask(h, 'POST', '/v1/threads', body)).toEqual(
      refusal(`Invalid type for the request body: expected an object, but got ${word} instead.`, {
        code: 'invalid_type',
      }),
    )
  })

  test('by its content type, which may name a charset and be written in capitals', async () => {
    const h = await startApp()
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      expect(await ask(h, 'POST', '/v1/threads', '{}', { 'content-type': type })).toEqual(wrongType(type))
    }
    for (const type of ['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset=UTF-8']) {
      expect((await h.send('POST', '/v1/threads', '{}', { 'content-type': type })).status).toBe(200)
    }
  })

  test('because it is larger than 32 MiB', async () => {
    const h = await startApp()
    const body = JSON.stringify({ metadata: { a: 'x'.repeat(32 * 1024 * 1024) } })
    const tooLarge = refusal('The request body is too large.', { status: 413, code: 'request_too_large' })
    expect(await ask(h, 'POST', '/v1/threads', body)).toEqual(tooLarge)
    expect((await ask(h, 'POST', '/v1/threads', body.slice(-(32 * 1024 * 1024)))).status).toBe(400)
  })

  test('because it is nested more than 128 levels deep', async () => {
    const h = await startApp()
    const tooDeep = refusal('The JSON body is nested more than 128 levels deep.')
    const nested = (levels: number) => '{"a":'.repeat(levels) + 1 + '}'.repeat(levels)
    // The outermost four levels lead to the function's parameters.
    const assistant = (levels: number) =>
      `{"model":"demo","tools":[{"type":"function","function":{"name":"f","parameters":${nested(levels - 4)}}}]}`
    expect((await h.send('POST', '/v1/assistants', assistant(128))).status).toBe(200)
    expect(await ask(h, 'POST', '/v1/assistants', assistant(129))).toEqual(tooDeep)
    expect(await ask(h, 'POST', '/v1/threads', '['.repeat(1e6) + ']'.repeat(1e6))).toEqual(tooDeep)
    expect(await ask(h, 'POST', '/v1/threads', '['.repeat(1e6))).toEqual(notJson)
  })

  test.for(['/v1/threads/%E0%A4%A', '/v1/threads/thread_%ff', '/v1/models/%'])(
    'because of its encoding: %s',
    async (url) => {
      const h = await startApp()
      expect(await ask(h, 'GET', url)).toEqual(refusal(`Invalid URL (GET ${url})`, { status: 404 }))
    },
  )

  test('because of an endless id', async () => {
    const h = await startApp()
    const id = `thread_${'x'.repeat(500)}`
    expect(await ask(h, 'GET', `/v1/threads/${id}`)).toEqual(notFound('thread', id))
    const answer = await ask(h, 'GET', `/v1/threads/thread_${'x'.repeat(5000)}`)
    expect(answer).toMatchObject({ type: 'invalid_request_error', param: null, code: null })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
  })
})

describe('sloppy base URLs', () => {
  test('trailing and double slashes make no difference', async () => {
    const h = await startApp()
    const thread = await h.client.beta.threads.create()
    for (const url of [`/v1/threads/${thread.id}/`, `//v1//threads//${thread.id}`, `/v1/threads/${thread.id}//`]) {
      expect(await (await h.send('GET', url)).json()).toEqual(thread)
    }
    expect((await h.send('POST', '/v1//threads/', {})).status).toBe(200)
  })

  test('an empty id in the middle of a path is no id', async () => {
    const h = await startApp()
    expect(await ask(h, 'POST', '/v1/threads//messages', text)).toEqual(badId('thread_id', 'messages', 'thread'))
  })
})

describe('request ids', () => {
  test('are in the header of every answer, each its own', async () => {
    const h = await startApp()
    const { id } = await h.client.beta.assistants.create({ model: 'demo' })
    const stream = { assistant_id: id, thread: { messages: [text] }, stream: true }
    const answers = [
      await h.send('GET', '/v1/assistants'),
      await h.send('POST', '/v1/threads/runs', stream),
      await h.send('GET', '/v1/threads/thread_x'),
      await h.send('GET', '/v1/foo'),
      await h.send('POST', '/v1/threads', '{'),
      await h.send('POST', '/v1/threads', '{}', { 'content-type': 'text/plain' }),
      await h.send('GET', '/v1/threads', undefined, { authorization: '' }),
      await h.send('GET', '/healthz'),
    ]
    const ids = answers.map(({ headers }) => headers.get('x-request-id'))
    for (const one of ids) expect(one).toMatch(requestId)
    expect(new Set(ids).size).toBe(ids.length)
    expect(answers[1]?.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    await answers[1]?.text()
  })

  test.for([
    ['a broken encoding', '/v1/threads/%ff'],
    ['an endless id', `/v1/threads/thread_${'x'.repeat(5000)}`],
  ] as const)('are there although the router refuses %s', async ([, url]) => {
    const h = await startApp()
    const answer = await h.send('GET', url)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.headers.get('x-request-id')).toMatch(requestId)
  })

  test('reach the SDK, on objects and on its errors', async () => {
    const h = await startApp()
    const assistant = await h.client.beta.assistants.create({ model: 'demo' })
    expect(assistant._request_id).toMatch(requestId)
    const error = await h.client.beta.assistants.retrieve('asst_x').catch((reason: unknown) => reason)
    if (!(error instanceof OpenAI.NotFoundError)) throw error
    expect(error.message).toBe("404 No assistant found with id 'asst_x'.")
    expect(error.requestID).toMatch(requestId)
    expect(error).toMatchObject({ status: 404, type: 'invalid_request_error', param: null, code: null })
  })
})

describe('what the state of a run or a thread forbids', () => {
  const active = ['queued', 'in_progress', 'requires_action', 'cancelling'] as const
  const terminal = ['cancelled', 'failed', 'completed', 'incomplete', 'expired'] as const

  test.for(active)('while a run is %s', async (status) => {
    const h = await startApp({ started: false })
    const { id, thread_id, assistant_id } = await runIn(h, status)
    const url = `/v1/threads/${thread_id}`
    expect(await ask(h, 'POST', `${url}/messages`, text)).toEqual(
      refusal(`Can't add messages to ${thread_id} while a run ${id} is active.`),
    )
    expect(await ask(h, 'POST', `${url}/runs`, { assistant_id })).toEqual(
      refusal(`Thread ${thread_id} already has an active run ${id}.`),
    )
    expect(await ask(h, 'POST', `${url}/runs/${id}`, { metadata: { a: 'b' } })).toEqual(
      refusal(`Cannot update run with status '${status}'.`),
    )
    if (status !== 'requires_action') {
      expect(await ask(h, 'POST', `${url}/runs/${id}/submit_tool_outputs`, { tool_outputs: [] })).toEqual(
        refusal(`Runs in status "${status}" do not accept tool outputs.`),
      )
    }
    const cancelled = await h.send('POST', `${url}/runs/${id}/cancel`)
    if (status !== 'cancelling') expect(await cancelled.json()).toMatchObject({ id, status: 'cancelling' })
    else expect(await refusalOf(cancelled)).toEqual(refusal("Cannot cancel run with status 'cancelling'."))
  })

  test.for(terminal)('once a run is %s', async (status) => {
    const h = await startApp({ started: false })
    const { id, thread_id, assistant_id } = await runIn(h, status)
    const url = `/v1/threads/${thread_id}`
    expect(await ask(h, 'POST', `${url}/runs/${id}/cancel`)).toEqual(
      refusal(`Cannot cancel run with status '${status}'.`),
    )
    expect(await ask(h, 'POST', `${url}/runs/${id}/submit_tool_outputs`, { tool_outputs: [] })).toEqual(
      refusal(`Runs in status "${status}" do not accept tool outputs.`),
    )
    expect(await (await h.send('POST', `${url}/runs/${id}`, { metadata: { a: 'b' } })).json()).toMatchObject({
      status,
      metadata: { a: 'b' },
    })
    expect((await h.send('POST', `${url}/messages`, text)).status).toBe(200)
    expect((await h.send('POST', `${url}/runs`, { assistant_id })).status).toBe(200)
  })

  test('tool outputs that are not those of the calls, each once', async () => {
    const h = await startApp({ started: false })
    const { id, thread_id, required_action } = await runIn(h, 'requires_action')
    const [a, b] = required_action?.submit_tool_outputs.tool_calls.map((call) => call.id) ?? []
    const url = `/v1/threads/${thread_id}/runs/${id}/submit_tool_outputs`
    for (const [sent, got] of [
      [[], '[]'],
      [[b], `['${b}']`],
      [[a, a], `['${a}', '${a}']`],
      [[a, b, 'call_x'], `['${a}', '${b}', 'call_x']`],
      [[a, 'call_x'], `['${a}', 'call_x']`],
    ] as const) {
      const tool_outputs = sent.map((tool_call_id) => ({ tool_call_id, output: 'x' }))
      expect(await ask(h, 'POST', url, { tool_outputs })).toEqual(
        refusal(`Expected tool outputs for call_ids ['${a}', '${b}'], got ${got}`),
      )
    }
    const large = [a, b].map((tool_call_id) => ({ tool_call_id, output: 'x'.repeat(300_000) }))
    expect(await ask(h, 'POST', url, { tool_outputs: large })).toEqual(
      refusal("'tool_outputs' too large: the combined tool outputs must be less than 512kb.", {
        param: 'tool_outputs',
        code: 'invalid_value',
      }),
    )
    const { status } = await h.client.beta.threads.runs.retrieve(id, { thread_id })
    expect(status).toBe('requires_action')
  })

  test('a run on an empty thread without instructions', async () => {
    const h = await startApp()
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'demo' })
    const thread = await h.client.beta.threads.create({ messages: [{ role: 'assistant', content: 'x' }] })
    const refused = refusal('Run creation requires a Thread with a user message or an assistant with instructions.', {
      code: 'invalid_thread',
    })
    expect(await ask(h, 'POST', `/v1/threads/${thread.id}/runs`, { assistant_id })).toEqual(refused)
    expect(await ask(h, 'POST', '/v1/threads/runs', { assistant_id })).toEqual(refused)
    const runs = await h.client.beta.threads.runs.list(thread.id)
    expect(runs.data).toEqual([])
  })

  test.for(['json_object', 'json_schema'])('the format %s together with tools other than functions', async (type) => {
    const h = await startApp()
    const tools = [{ type: 'file_search' }]
    const response_format = type === 'json_object' ? { type } : { type, json_schema: { name: 'x' } }
    const refused = refusal(
      `Invalid tools: all tools must be of type \`function\` when \`response_format\` is of type \`${type}\`.`,
    )
    expect(await ask(h, 'POST', '/v1/assistants', { model: 'demo', tools, response_format })).toEqual(refused)
    const { id } = await h.client.beta.assistants.create({ model: 'demo', tools: [{ type: 'file_search' }] })
    expect(await ask(h, 'POST', `/v1/assistants/${id}`, { response_format })).toEqual(refused)
    const run = { assistant_id: id, instructions: 'x', response_format }
    expect(await ask(h, 'POST', '/v1/threads/runs', run)).toEqual(refused)
    expect((await h.send('POST', '/v1/threads/runs', { ...run, tools: [] })).status).toBe(200)
  })
})

test('the SDK makes its own errors of the answers', async () => {
  const h = await startApp({ env: { API_KEYS: 'sk-other-key-0001' } })
  const caught = (request: Promise<unknown>) => request.then(String, (error: unknown) => error)
  expect(await caught(h.client.beta.assistants.retrieve('asst_x'))).toBeInstanceOf(OpenAI.AuthenticationError)
  const open = await startApp()
  expect(await caught(open.client.beta.assistants.retrieve('x'))).toBeInstanceOf(OpenAI.BadRequestError)
  expect(await caught(open.client.get('/foo'))).toBeInstanceOf(OpenAI.NotFoundError)
})

test('every answer tells the version of the API and the time it took', async () => {
  const h = await startApp()
  const { headers } = await h.send('GET', '/v1/threads/thread_x')
  expect(headers.get('openai-version')).toBe('2020-10-01')
  expect(headers.get('openai-processing-ms')).toMatch(/^\d+$/)
})

test.for([{}, { 'openai-beta': 'assistants=v1' }, { 'openai-beta': 'assistants=v2, realtime=v1' }])(
  'the beta header may be anything: %j',
  async (headers) => {
    const h = await startApp()
    expect((await h.send('POST', '/v1/threads', {}, headers as Record<string, string>)).status).toBe(200)
  },
)

test('a failure of the server is a 500 that tells nothing of its cause', async () => {
  const h = await startApp()
  await h.services.store.close()
  const answer = await ask(h, 'GET', '/v1/threads/thread_x')
  expect(answer).toMatchObject({ status: 500, type: 'server_error', param: null, code: null })
  expect(answer.message).toMatch(/^The server had an error processing your request\. Sorry about that!/)
  expect(answer.message).not.toMatch(/database|sqlite|open/i)
})
