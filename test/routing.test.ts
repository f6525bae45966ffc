import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { atRest, converse, eventsOf, madeBy, until } from './harness/engine.ts'
import { refusalOf } from './harness/refusal.ts'
import { refuseAs } from './harness/refusals.ts'
import { secondBackend } from './harness/second-backend.ts'

const local = { match: 'gpt-4o', backend: 'local', model: 'qwen3:4b' }

describe('a model that has another name at its backend', () => {
  test('is asked for by that, and has its own in everything that clients see', async () => {
    const h = await startApp({ env: { MODELS: 'gpt-4o=qwen3:4b,gpt-4*=qwen3:8b' } })
    const { run } = await converse(h.client, { model: 'gpt-4o' })
    const begun = await run()
    const events = await eventsOf(h, begun)
    const { data } = await until(events, 'thread.run.completed')
    expect(data).toMatchObject({ model: 'gpt-4o' })
    const ended = await atRest(h.client, begun)
    expect(ended).toMatchObject({ model: 'gpt-4o', status: 'completed' })
    await atRest(h.client, await run({ model: 'gpt-4-turbo' }))
    await atRest(h.client, await run({ model: 'gpt-3.5-turbo' }))
    expect(h.backend.requests.map(({ model }) => model)).toEqual(['qwen3:4b', 'qwen3:8b', 'gpt-3.5-turbo'])
    expect(JSON.stringify(await madeBy(h.client, ended))).not.toContain('qwen')
  })

  test('and is not there is told by both names', async () => {
    const h = await startApp({ env: { MODELS: 'gpt-4o=qwen3:4b' } })
    h.backend.otherwise = refuseAs(404, { error: { message: 'model not found' } })
    const { run } = await converse(h.client, { model: 'gpt-4o' })
    const { last_error } = await atRest(h.client, await run())
    expect(last_error?.message).toMatch(/does not serve 'qwen3:4b', which stands for 'gpt-4o'\..*OPENAI_BASE_URL/)
  })
})

describe('several backends', () => {
  test('each get the models that the rules send them, with their own keys and headers', async () => {
    const other = await secondBackend()
    const h = await startApp({
      env: { TEAM_KEY: 'sk-team' },
      backends: (baseURL) => ({
        backends: {
          local: { baseURL, apiKey: 'sk-local' },
          gateway: { baseURL: other.url, apiKey: ['$', '{TEAM_KEY}'].join(''), headers: { 'x-team': 'blue' } },
          keyless: { baseURL: other.url },
        },
        models: [local, { match: 'claude-*', backend: 'gateway' }, { match: 'x', backend: 'keyless' }],
      }),
    })
    const sent: unknown[] = []
    for (const backend of [h.backend, other]) {
      backend.otherwise = ({ request, body, text }) => {
        sent.push([body.model, request.headers.authorization, request.headers['x-team']])
        text('Hello.')
      }
    }
    const { run } = await converse(h.client)
    for (const model of ['gpt-4o', 'claude-5', 'x']) {
      expect((await atRest(h.client, await run({ model }))).status).toBe('completed')
    }
    expect(sent).toEqual([
      ['qwen3:4b', 'Bearer sk-local', undefined],
      ['claude-5', 'Bearer sk-team', 'blue'],
      ['x', 'Bearer none', undefined],
    ])
  })

  test('leave a run of a model that none has failed, and it says so', async () => {
    const h = await startApp({ backends: (baseURL) => ({ backends: { local: { baseURL } }, models: [local] }) })
    const { run } = await converse(h.client, { model: 'o3' })
    const { status, last_error } = await atRest(h.client, await run())
    expect(status).toBe('failed')
    expect(last_error).toMatchObject({
      code: 'server_error',
      message: expect.stringMatching(/'o3'.*GET \/v1\/models.*BACKENDS_CONFIG/),
    })
    expect(h.backend.requests).toEqual([])
    expect((await atRest(h.client, await run({ model: 'demo' }))).status).toBe('completed')
  })

  test('that refuse their keys are told by their names', async () => {
    const h = await startApp({ backends: (baseURL) => ({ backends: { local: { baseURL } }, models: [local] }) })
    h.backend.otherwise = refuseAs(401, { error: { message: 'Wrong key.' } })
    const { run } = await converse(h.client, { model: 'gpt-4o' })
    const { last_error } = await atRest(h.client, await run())
    expect(last_error?.message).toMatch(/`apiKey` of the backend 'local' in BACKENDS_CONFIG.*Wrong key\./)
  })

  test('have retries and patience of their own', async () => {
    const h = await startApp({
      backends: (baseURL) => ({
        backends: { local: { baseURL, retries: 1 }, hasty: { baseURL, retries: 0, firstByteSeconds: 0.05 } },
        models: [local, { match: 'h', backend: 'hasty' }],
      }),
    })
    const { run } = await converse(h.client)
    h.backend.otherwise = refuseAs(500, { error: { message: 'No.' } })
    await atRest(h.client, await run({ model: 'gpt-4o' }))
    expect(h.backend.requests).toHaveLength(2)
    h.backend.otherwise = () => {}
    const { last_error } = await atRest(h.client, await run({ model: 'h' }))
    expect(last_error?.message).toBe('The model backend sent nothing for 0.05 s.')
    expect(h.backend.requests).toHaveLength(3)
  })

  test('embed with the one that the rules send the embedding model to', async () => {
    const other = await secondBackend()
    const h = await startApp({
      env: { EMBEDDING_MODEL: 'embed' },
      ingesting: true,
      backends: (baseURL) => ({
        backends: { local: { baseURL }, other: { baseURL: other.url } },
        models: [
          { match: '*', backend: 'local', model: 'qwen3:4b' },
          { match: 'embed', backend: 'other', model: 'nomic-embed-text' },
        ],
      }),
    })
    const store = await h.client.vectorStores.create({})
    const file = await h.client.files.create({ file: new File(['apples'], 'a.txt'), purpose: 'assistants' })
    await h.client.vectorStores.files.createAndPoll(store.id, { file_id: file.id }, { pollIntervalMs: 5 })
    expect(other.embeddingRequests).toMatchObject([{ model: 'nomic-embed-text' }])
    expect(h.backend.embeddingRequests).toEqual([])
  })
})

test('a rule for all models does not make a chat model embed', async () => {
  const h = await startApp({ env: { EMBEDDING_MODEL: 'embed', MODELS: '*=qwen3:4b' }, ingesting: true })
  const store = await h.client.vectorStores.create({})
  const file = await h.client.files.create({ file: new File(['apples'], 'a.txt'), purpose: 'assistants' })
  await h.client.vectorStores.files.createAndPoll(store.id, { file_id: file.id }, { pollIntervalMs: 5 })
  expect(h.backend.embeddingRequests).toMatchObject([{ model: 'embed' }])
})

test('what the operator says of a model holds from the first call on', async () => {
  const can = {
    temperature: false,
    topP: false,
    maxTokens: 'max_tokens',
    parallelTools: false,
    reasoningEffort: ['low'],
  }
  const h = await startApp({
    backends: (baseURL) => ({ backends: { local: { baseURL } }, models: [{ ...local, can }] }),
  })
  const { run } = await converse(h.client, { model: 'gpt-4o' })
  for (const reasoning_effort of ['low', 'high'] as const) {
    await atRest(h.client, await run({ max_completion_tokens: 300, reasoning_effort }))
  }
  const [low, high] = h.backend.requests
  expect(Object.keys(low ?? {}).toSorted()).toEqual(
    [
      'max_tokens',
      'messages',
      'model',
      'reasoning_effort',
      'stream',
      'stream_options',
      'tool_choice',
      'tools',
    ].toSorted(),
  )
  expect(high).not.toHaveProperty('reasoning_effort')
})

test('models of known families are asked as they can be from the first call on', async () => {
  const h = await startApp()
  const { run } = await converse(h.client)
  const body = { max_completion_tokens: 300, reasoning_effort: 'low' as const }
  const models = [
    'o3-mini',
    'gpt-5.1',
    'openai/gpt-4o',
    'mistral-large-latest',
    'deepseek-v4-pro',
    'kimi-k2.6',
    'qwen3:4b',
  ]
  for (const model of models) {
    await atRest(h.client, await run({ ...body, model }))
  }
  const keys = [
    'temperature',
    'top_p',
    'parallel_tool_calls',
    'reasoning_effort',
    'max_completion_tokens',
    'max_tokens',
  ] as const
  expect(h.backend.requests.map((request) => keys.filter((key) => key in request))).toEqual([
    ['reasoning_effort', 'max_completion_tokens'],
    ['parallel_tool_calls', 'reasoning_effort', 'max_completion_tokens'],
    ['temperature', 'top_p', 'parallel_tool_calls', 'max_completion_tokens'],
    ['temperature', 'top_p', 'parallel_tool_calls', 'reasoning_effort', 'max_tokens'],
    ['temperature', 'top_p', 'parallel_tool_calls', 'reasoning_effort', 'max_tokens'],
    ['parallel_tool_calls', 'reasoning_effort', 'max_completion_tokens'],
    ['temperature', 'top_p', 'parallel_tool_calls', 'reasoning_effort', 'max_completion_tokens'],
  ])
})

describe('the list of models', () => {
  const data = (...ids: string[]) => ({
    object: 'list',
    data: ids.map((id) => ({ id, object: 'model', created: 1, owned_by: 'test' })),
  })

  async function start(lines: object[] = []) {
    const other = await secondBackend('claude-5', 'gpt-4o', 'hidden')
    const h = await startApp({
      lines,
      backends: (baseURL) => ({
        backends: { local: { baseURL }, gateway: { baseURL: other.url } },
        models: [
          local,
          { match: 'qwen*', backend: 'local' },
          { match: 'claude-*', backend: 'gateway' },
          { match: 'gpt-4*', backend: 'gateway', model: 'gpt-4o' },
          { match: 'o3', backend: 'gateway' },
        ],
      }),
    })
    h.backend.models = data('qwen3:4b', 'llama3')
    const ids = async () => (await h.client.models.list()).data.map(({ id }) => id)
    return { h, other, ids }
  }

  test('has what backends list and can be reached so, the names of rules, and the demo model', async () => {
    const { ids } = await start()
    expect(await ids()).toEqual(['qwen3:4b', 'claude-5', 'gpt-4o', 'o3', 'demo'])
  })

  test('leaves out a backend that cannot be asked, and the log names it', async () => {
    const lines: object[] = []
    const { other, ids } = await start(lines)
    await other.stop()
    expect(await ids()).toEqual(['qwen3:4b', 'gpt-4o', 'o3', 'demo'])
    expect(lines).toMatchObject([{ backend: 'gateway', msg: 'a backend does not list its models' }])
  })

  test('a name that stands for another model is found, listed or not', async () => {
    const { h } = await start()
    expect(await h.client.models.retrieve('gpt-4o')).toEqual({
      id: 'gpt-4o',
      object: 'model',
      created: 0,
      owned_by: 'local',
    })
    expect(await h.client.models.retrieve('gpt-4-turbo')).toMatchObject({ id: 'gpt-4-turbo', owned_by: 'gateway' })
    expect(await h.client.models.retrieve('claude-5')).toMatchObject({ owned_by: 'other' })
    for (const id of ['claude-4', 'hidden', 'llama3']) {
      expect((await refusalOf(await h.send('GET', `/v1/models/${id}`))).status).toBe(404)
    }
  })
})
