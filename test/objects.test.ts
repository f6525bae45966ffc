import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { haveFiles } from './harness/objects.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { runIn } from './harness/run-in.ts'

const now = 1_790_000_000
const idOf = (prefix: string) => expect.stringMatching(new RegExp(`^${prefix}_[A-Za-z0-9]{24}$`))
const hello = { role: 'user' as const, content: 'Hi' }
const searchOptions = { ranker: 'default_2024_08_21', score_threshold: 0, hybrid_search: null }

const emptyAssistant = {
  id: idOf('asst'),
  object: 'assistant',
  created_at: now,
  name: null,
  description: null,
  model: 'demo',
  instructions: null,
  tools: [],
  top_p: 1,
  temperature: 1,
  reasoning_effort: null,
  tool_resources: {},
  metadata: {},
  response_format: 'auto',
}

const emptyMessage = {
  id: idOf('msg'),
  object: 'thread.message',
  created_at: now,
  assistant_id: null,
  thread_id: idOf('thread'),
  run_id: null,
  status: 'completed',
  incomplete_details: null,
  incomplete_at: null,
  completed_at: now,
  role: 'user',
  attachments: [],
  metadata: {},
}

describe('an assistant', () => {
  test('needs a model alone; everything else has a default', async () => {
    const h = await startApp()
    h.time.now += 999
    const answer = await h.send('POST', '/v1/assistants', { model: 'demo' })
    expect(answer.status).toBe(200)
    const assistant = (await answer.json()) as { id: string }
    expect(assistant).toEqual(emptyAssistant)
    expect(await (await h.send('GET', `/v1/assistants/${assistant.id}`)).json()).toEqual(assistant)
  })

  test('keeps every field as it was sent', async () => {
    const h = await startApp()
    await haveFiles(h, 'file-a', 'file-b')
    const { id: vs } = await h.client.vectorStores.create({})
    const fields = {
      name: 'Tutor',
      description: 'Explains',
      instructions: 'Be brief.',
      tools: [
        { type: 'code_interpreter' as const },
        {
          type: 'function' as const,
          function: { name: 'f', description: 'd', parameters: { type: 'object', properties: {} }, strict: true },
        },
      ],
      top_p: 0.5,
      temperature: 0,
      reasoning_effort: 'high' as const,
      tool_resources: { code_interpreter: { file_ids: ['file-a'] }, file_search: { vector_store_ids: [vs] } },
      metadata: { a: 'b', '': '' },
      response_format: { type: 'text' as const },
    }
    const assistant = await h.client.beta.assistants.create({ model: 'org/model', ...fields })
    expect(assistant).toEqual({ ...emptyAssistant, ...fields, model: 'org/model' })
    expect(await h.client.beta.assistants.retrieve(assistant.id)).toEqual(assistant)
  })

  test('is read as it was answered, whatever its characters', async () => {
    const h = await startApp()
    const text = '\u0000 \ud83d\ude00 \ud800 \u2028 \ufffe é e\u0301 "\\'
    const body = { model: text, name: text, description: text, instructions: text, metadata: { a: text } }
    const assistant = await h.client.beta.assistants.create(body)
    expect(await h.client.beta.assistants.retrieve(assistant.id)).toEqual(assistant)
  })

  test('has its tools filled in', async () => {
    const h = await startApp()
    const filled = async (tool: object) => {
      const answer = await h.send('POST', '/v1/assistants', { model: 'demo', tools: [tool] })
      return ((await answer.json()) as { tools: object[] }).tools[0]
    }
    const search = (file_search: object) => ({ type: 'file_search', file_search })
    expect(await filled({ type: 'file_search' })).toEqual(search({ ranking_options: searchOptions }))
    expect(await filled(search({}))).toEqual(search({ ranking_options: searchOptions }))
    expect(await filled(search({ max_num_results: 2 }))).toEqual(
      search({ max_num_results: 2, ranking_options: searchOptions }),
    )
    expect(await filled(search({ ranking_options: { ranker: 'auto', score_threshold: 0.5 } }))).toEqual(
      search({ ranking_options: { ...searchOptions, ranker: 'auto', score_threshold: 0.5 } }),
    )
    expect(await filled({ type: 'function', function: { name: 'f' } })).toEqual({
      type: 'function',
      function: { name: 'f', parameters: { type: 'object', properties: {} }, strict: false },
    })
    expect(await filled({ type: 'function', function: { name: 'f', description: '', parameters: {} } })).toEqual({
      type: 'function',
      function: { name: 'f', description: '', parameters: {}, strict: false },
    })
  })

  test('has an entry in its tool resources for each tool that wants one', async () => {
    const h = await startApp()
    const { id: vs } = await h.client.vectorStores.create({})
    const resourcesOf = async (body: object) => {
      const answer = await h.send('POST', '/v1/assistants', { model: 'demo', ...body })
      return ((await answer.json()) as { tool_resources: object }).tool_resources
    }
    expect(await resourcesOf({ tools: [{ type: 'function', function: { name: 'f' } }] })).toEqual({})
    expect(await resourcesOf({ tools: [{ type: 'code_interpreter' }] })).toEqual({ code_interpreter: { file_ids: [] } })
    expect(await resourcesOf({ tools: [{ type: 'file_search' }] })).toEqual({ file_search: { vector_store_ids: [] } })
    const given = { file_search: { vector_store_ids: [vs] } }
    expect(await resourcesOf({ tool_resources: given })).toEqual(given)
  })

  test.for([
    'auto',
    { type: 'json_object' },
    { type: 'json_schema', json_schema: { name: 'n' } },
    { type: 'json_schema', json_schema: { name: 'n', description: 'd', schema: { type: 'object' }, strict: true } },
  ])('echoes its response format: %j', async (response_format) => {
    const h = await startApp()
    const answer = await h.send('POST', '/v1/assistants', { model: 'demo', response_format })
    expect(await answer.json()).toEqual({ ...emptyAssistant, response_format })
  })

  test('modified: given keys replace, absent ones stay', async () => {
    const h = await startApp()
    await haveFiles(h, 'file-a', 'file-b')
    const { id: vs } = await h.client.vectorStores.create({})
    const { assistants } = h.client.beta
    const before = await assistants.create({
      model: 'demo',
      name: 'Tutor',
      temperature: 0.5,
      tools: [{ type: 'code_interpreter' }],
      metadata: { a: '1', b: '2' },
      tool_resources: { code_interpreter: { file_ids: ['file-a'] }, file_search: { vector_store_ids: [vs] } },
    })
    h.time.now += 5000
    expect(await assistants.update(before.id, {})).toEqual(before)
    const after = await assistants.update(before.id, {
      model: 'other',
      temperature: 0,
      metadata: { c: '3' },
      tools: [{ type: 'function', function: { name: 'f' } }],
      tool_resources: { code_interpreter: { file_ids: ['file-b'] } },
    })
    expect(after).toEqual({
      ...before,
      model: 'other',
      temperature: 0,
      metadata: { c: '3' },
      tools: [
        { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} }, strict: false } },
      ],
      tool_resources: { code_interpreter: { file_ids: ['file-b'] }, file_search: { vector_store_ids: [vs] } },
    })
    expect(await assistants.retrieve(before.id)).toEqual(after)
  })

  test('modified with null: each key goes back to its default', async () => {
    const h = await startApp()
    const { id } = await h.client.beta.assistants.create({
      model: 'demo',
      name: 'Tutor',
      description: 'd',
      instructions: 'i',
      tools: [{ type: 'function', function: { name: 'f' } }],
      top_p: 0,
      temperature: 0,
      reasoning_effort: 'low',
      metadata: { a: 'b' },
      response_format: { type: 'json_object' },
    })
    const { id: _, object, created_at, model, tool_resources, ...settings } = emptyAssistant
    const nulls = Object.fromEntries(Object.keys(settings).map((key) => [key, null]))
    expect(await (await h.send('POST', `/v1/assistants/${id}`, nulls)).json()).toEqual(emptyAssistant)
  })

  test('modified with null: its tool resources are given up', async () => {
    const h = await startApp()
    await haveFiles(h, 'file-a', 'file-b')
    const { id: vs } = await h.client.vectorStores.create({})
    const tool_resources = { code_interpreter: { file_ids: ['file-a'] }, file_search: { vector_store_ids: [vs] } }
    const { id } = await h.client.beta.assistants.create({ model: 'demo', tool_resources })
    const one = await h.client.beta.assistants.update(id, { tool_resources: { code_interpreter: { file_ids: [] } } })
    expect(one.tool_resources).toEqual({ ...tool_resources, code_interpreter: { file_ids: [] } })
    expect((await h.client.beta.assistants.update(id, { tool_resources: null })).tool_resources).toEqual({})
  })

  test('deleted is gone, also from the list, and cannot be deleted again', async () => {
    const h = await startApp()
    const { id } = await h.client.beta.assistants.create({ model: 'demo' })
    expect(await h.client.beta.assistants.delete(id)).toEqual({ id, object: 'assistant.deleted', deleted: true })
    const gone = refusal(`No assistant found with id '${id}'.`, { status: 404 })
    for (const method of ['DELETE', 'GET', 'POST']) {
      const answer = await h.send(method, `/v1/assistants/${id}`, method === 'POST' ? {} : undefined)
      expect(await refusalOf(answer)).toEqual(gone)
    }
    expect((await h.client.beta.assistants.list()).data).toEqual([])
  })

  test('deleted leaves its runs, which keep its id, while a new run finds it no more', async () => {
    const h = await startApp({ started: false })
    const done = await runIn(h, 'completed')
    const waiting = await runIn(h, 'queued')
    for (const { assistant_id } of [done, waiting]) await h.client.beta.assistants.delete(assistant_id)
    await h.services.executor.tick()
    for (const run of [done, waiting]) {
      const now = await h.client.beta.threads.runs.retrieve(run.id, { thread_id: run.thread_id })
      expect(now).toMatchObject({ assistant_id: run.assistant_id, status: 'completed' })
    }
    const again = await h.send('POST', `/v1/threads/${done.thread_id}/runs`, { assistant_id: done.assistant_id })
    expect(await refusalOf(again)).toEqual(
      refusal(`No assistant found with id '${done.assistant_id}'.`, { status: 404 }),
    )
  })
})

describe('a thread', () => {
  test('needs nothing, not even a body', async () => {
    const h = await startApp()
    const empty = { id: idOf('thread'), object: 'thread', created_at: now, metadata: {}, tool_resources: {} }
    for (const body of [undefined, '', {}]) {
      const answer = await h.send('POST', '/v1/threads', body)
      expect(answer.status).toBe(200)
      expect(await answer.json()).toEqual(empty)
    }
  })

  test('keeps what it is given, and its keys are replaced one by one', async () => {
    const h = await startApp()
    await haveFiles(h, 'file-a', 'file-b')
    const { id: vs } = await h.client.vectorStores.create({})
    const { threads } = h.client.beta
    const code_interpreter = { file_ids: ['file-a'] }
    const file_search = { vector_store_ids: [vs] }
    const before = await threads.create({ metadata: { a: '1' }, tool_resources: { code_interpreter } })
    expect(before).toMatchObject({ metadata: { a: '1' }, tool_resources: { code_interpreter } })
    expect(await threads.update(before.id, {})).toEqual(before)
    const after = await threads.update(before.id, { metadata: { b: '2' }, tool_resources: { file_search } })
    expect(after).toEqual({ ...before, metadata: { b: '2' }, tool_resources: { code_interpreter, file_search } })
    expect(await threads.retrieve(before.id)).toEqual(after)
    expect((await threads.update(before.id, { metadata: null })).metadata).toEqual({})
  })

  test('modified with null: its tool resources are given up', async () => {
    const h = await startApp()
    await haveFiles(h, 'file-a', 'file-b')
    const tool_resources = { code_interpreter: { file_ids: ['file-a'] } }
    const { id } = await h.client.beta.threads.create({ tool_resources })
    expect((await h.client.beta.threads.update(id, { tool_resources: null })).tool_resources).toEqual({})
  })

  test('deleted takes its messages, runs and steps along, even while a run is active', async () => {
    const h = await startApp({ started: false })
    const { id, thread_id } = await runIn(h, 'requires_action')
    const url = `/v1/threads/${thread_id}`
    const deleted = await h.client.beta.threads.delete(thread_id)
    expect(deleted).toEqual({ id: thread_id, object: 'thread.deleted', deleted: true })
    const gone = refusal(`No thread found with id '${thread_id}'.`, { status: 404 })
    expect(await refusalOf(await h.send('DELETE', url))).toEqual(gone)
    for (const path of ['', '/messages', '/runs', `/runs/${id}`, `/runs/${id}/steps`]) {
      expect(await refusalOf(await h.send('GET', url + path))).toEqual(gone)
    }
  })
})

describe('a message', () => {
  test('of a text has one part', async () => {
    const h = await startApp()
    const { id } = await h.client.beta.threads.create()
    const answer = await h.send('POST', `/v1/threads/${id}/messages`, hello)
    expect(answer.status).toBe(200)
    const message = (await answer.json()) as { id: string }
    const content = [{ type: 'text', text: { value: 'Hi', annotations: [] } }]
    expect(message).toEqual({ ...emptyMessage, thread_id: id, content })
    expect(await (await h.send('GET', `/v1/threads/${id}/messages/${message.id}`)).json()).toEqual(message)
  })

  test('keeps its parts in order, with the detail of images filled in', async () => {
    const h = await startApp()
    const { id: file_id } = await h.client.files.create({ file: new File(['a'], 'a.txt'), purpose: 'assistants' })
    const { id } = await h.client.beta.threads.create()
    const message = await h.client.beta.threads.messages.create(id, {
      role: 'assistant',
      content: [
        { type: 'text', text: '' },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
        { type: 'image_file', image_file: { file_id: 'file-a' } },
        { type: 'image_file', image_file: { file_id: 'file_b', detail: 'high' } },
      ],
      attachments: [{ file_id, tools: [{ type: 'code_interpreter' }, { type: 'file_search' }] }],
      metadata: { a: 'b' },
    })
    expect(message).toEqual({
      ...emptyMessage,
      thread_id: id,
      role: 'assistant',
      content: [
        { type: 'text', text: { value: '', annotations: [] } },
        { type: 'image_url', image_url: { url: 'https://example.com/a.png', detail: 'auto' } },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA', detail: 'low' } },
        { type: 'image_file', image_file: { file_id: 'file-a', detail: 'auto' } },
        { type: 'image_file', image_file: { file_id: 'file_b', detail: 'high' } },
      ],
      attachments: [{ file_id, tools: [{ type: 'code_interpreter' }, { type: 'file_search' }] }],
      metadata: { a: 'b' },
    })
  })

  test('can be modified in its metadata alone, and deleted once', async () => {
    const h = await startApp()
    const { messages } = h.client.beta.threads
    const { id: thread_id } = await h.client.beta.threads.create()
    const message = await messages.create(thread_id, { ...hello, metadata: { a: '1' } })
    expect(await messages.update(message.id, { thread_id })).toEqual(message)
    const modified = await messages.update(message.id, { thread_id, metadata: { b: '2' } })
    expect(modified).toEqual({ ...message, metadata: { b: '2' } })
    expect((await messages.update(message.id, { thread_id, metadata: null })).metadata).toEqual({})
    const refused = await h.send('POST', `/v1/threads/${thread_id}/messages/${message.id}`, { content: 'x' })
    expect((await refusalOf(refused)).param).toBe('content')
    const deleted = { id: message.id, object: 'thread.message.deleted', deleted: true }
    expect(await messages.delete(message.id, { thread_id })).toEqual(deleted)
    const again = await h.send('DELETE', `/v1/threads/${thread_id}/messages/${message.id}`)
    expect(await refusalOf(again)).toEqual(refusal(`No message found with id '${message.id}'.`, { status: 404 }))
  })
})

const newRun = {
  id: idOf('run'),
  object: 'thread.run',
  created_at: now,
  assistant_id: idOf('asst'),
  thread_id: idOf('thread'),
  status: 'queued',
  started_at: null,
  expires_at: now + 600,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  required_action: null,
  last_error: null,
  model: 'm',
  instructions: null,
  tools: [],
  tool_resources: {},
  metadata: {},
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  max_completion_tokens: null,
  max_prompt_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  incomplete_details: null,
  usage: null,
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
}
const lookUp = {
  type: 'function',
  function: { name: 'look_up', parameters: { type: 'object', properties: {} }, strict: false },
} as const
const usage = {
  prompt_tokens: 10,
  completion_tokens: 5,
  total_tokens: 15,
  prompt_token_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
}

describe('a run', () => {
  test('is queued when it is answered, and lasts ten minutes', async () => {
    const h = await startApp({ started: false })
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm' })
    const thread = await h.client.beta.threads.create({ messages: [hello] })
    h.time.now += 999
    const answer = await h.send('POST', `/v1/threads/${thread.id}/runs`, { assistant_id })
    expect(answer.status).toBe(200)
    const run = (await answer.json()) as { id: string }
    expect(run).toEqual({ ...newRun, assistant_id, thread_id: thread.id })
    expect(await (await h.send('GET', `/v1/threads/${thread.id}/runs/${run.id}`)).json()).toEqual(run)
  })

  test('takes every setting from its assistant, also where the request says null', async () => {
    const h = await startApp({ started: false })
    const { id: vs } = await h.client.vectorStores.create({})
    const settings = {
      model: 'm2',
      instructions: 'Be brief.',
      tools: [lookUp],
      temperature: 0,
      top_p: 0,
      reasoning_effort: 'low' as const,
      response_format: { type: 'json_object' as const },
      tool_resources: { file_search: { vector_store_ids: [vs] } },
    }
    const { id: assistant_id } = await h.client.beta.assistants.create({ ...settings, metadata: { of: 'assistant' } })
    const nulls = Object.fromEntries(Object.keys(settings).map((key) => [key, null]))
    const { reasoning_effort: _, ...known } = nulls
    for (const body of [{}, known]) {
      const answer = await h.send('POST', '/v1/threads/runs', { assistant_id, ...body })
      expect(await answer.json()).toEqual({ ...newRun, ...settings, assistant_id })
    }
  })

  test('takes every setting from its request before its assistant', async () => {
    const h = await startApp({ started: false })
    await haveFiles(h, 'file-a', 'file-b')
    const { id: assistant_id } = await h.client.beta.assistants.create({
      model: 'm',
      instructions: 'Be brief.',
      tools: [{ type: 'code_interpreter' }],
    })
    const settings = {
      model: 'm2',
      tools: [lookUp],
      metadata: { a: 'b' },
      temperature: 0,
      top_p: 0,
      max_prompt_tokens: 300,
      max_completion_tokens: 256,
      truncation_strategy: { type: 'last_messages', last_messages: 3 },
      response_format: { type: 'text' },
      tool_choice: { type: 'function', function: { name: 'look_up' } },
      parallel_tool_calls: false,
    }
    const tool_resources = { code_interpreter: { file_ids: ['file-a'] } }
    const whole = { assistant_id, instructions: 'Be long.', tool_resources, ...settings }
    const { thread_id, ...run } = (await (await h.send('POST', '/v1/threads/runs', whole)).json()) as {
      thread_id: string
    }
    expect({ thread_id, ...run }).toEqual({ ...newRun, ...whole })
    const other = await h.client.beta.threads.create({ messages: [hello] })
    const more = { assistant_id, reasoning_effort: 'high', additional_instructions: 'In French.', ...settings }
    const { additional_instructions, ...shown } = more
    expect(await (await h.send('POST', `/v1/threads/${other.id}/runs`, more)).json()).toEqual({
      ...newRun,
      ...shown,
      instructions: `Be brief.\n\n${additional_instructions}`,
      tool_resources: { code_interpreter: { file_ids: [] } },
    })
  })

  test.for([2 ** 31, 2 ** 53, 1e300])(
    'may look back at %d messages, or is refused, but does not fail',
    async (last) => {
      const h = await startApp({ started: false })
      const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm' })
      const truncation_strategy = { type: 'last_messages', last_messages: last }
      const thread = { messages: [hello] }
      const answer = await h.send('POST', '/v1/threads/runs', { assistant_id, thread, truncation_strategy })
      if (answer.status === 400)
        return expect((await refusalOf(answer)).param).toBe('truncation_strategy.last_messages')
      const { id, thread_id } = (await answer.json()) as { id: string; thread_id: string }
      await h.services.executor.tick()
      const run = await h.client.beta.threads.runs.retrieve(id, { thread_id })
      expect([run.status, run.last_error]).toEqual(['completed', null])
    },
  )

  test('completed has its times and its usage', async () => {
    const h = await startApp({ started: false })
    const run = await runIn(h, 'completed')
    expect(run).toEqual({
      ...newRun,
      status: 'completed',
      started_at: now,
      completed_at: now,
      expires_at: null,
      tools: [lookUp],
      usage,
    })
  })

  test('tells pollers when to ask again, but only while there is something to wait for', async () => {
    const h = await startApp({ started: false })
    for (const [status, wait] of [
      ['completed', null],
      ['expired', null],
      ['cancelling', '300'],
      ['queued', '300'],
    ] as const) {
      const { id, thread_id } = await runIn(h, status)
      const { headers } = await h.send('GET', `/v1/threads/${thread_id}/runs/${id}`)
      expect(headers.get('openai-poll-after-ms')).toBe(wait)
    }
  })

  test('is not found under another thread, nor are its steps and messages', async () => {
    const h = await startApp({ started: false })
    const { id, thread_id } = await runIn(h, 'completed')
    const other = await h.client.beta.threads.create()
    const [message] = (await h.client.beta.threads.messages.list(thread_id)).data
    const [step] = (await h.client.beta.threads.runs.steps.list(id, { thread_id })).data
    const second = await runIn(h, 'completed')
    const noRun = refusal(`No run found with id '${id}'.`, { status: 404 })
    for (const [method, path, expected] of [
      ['GET', `${other.id}/runs/${id}`, noRun],
      ['POST', `${other.id}/runs/${id}/cancel`, noRun],
      ['GET', `${other.id}/runs/${id}/steps`, noRun],
      ['GET', `${other.id}/runs/${id}/stream`, noRun],
      [
        'GET',
        `${other.id}/messages/${message?.id}`,
        refusal(`No message found with id '${message?.id}'.`, { status: 404 }),
      ],
      [
        'DELETE',
        `${other.id}/messages/${message?.id}`,
        refusal(`No message found with id '${message?.id}'.`, { status: 404 }),
      ],
      [
        'GET',
        `${second.thread_id}/runs/${second.id}/steps/${step?.id}`,
        refusal(`No run step found with id '${step?.id}'.`, { status: 404 }),
      ],
    ] as const) {
      expect(await refusalOf(await h.send(method, `/v1/threads/${path}`))).toEqual(expected)
    }
  })
})

test('the steps of a run, the newest first', async () => {
  const h = await startApp({ started: false })
  const { id, thread_id, assistant_id, required_action } = await runIn(h, 'requires_action')
  const step = {
    id: idOf('step'),
    object: 'thread.run.step',
    created_at: now,
    run_id: id,
    assistant_id,
    thread_id,
    type: 'tool_calls',
    status: 'in_progress',
    cancelled_at: null,
    completed_at: null,
    expires_at: now + 600,
    expired_at: null,
    failed_at: null,
    last_error: null,
    usage: null,
    metadata: {},
  }
  const list = async () => (await h.client.beta.threads.runs.steps.list(id, { thread_id })).data
  const calls = required_action?.submit_tool_outputs.tool_calls ?? []
  expect(calls).toEqual(
    [1, 2].map((a) => ({ id: idOf('call'), type: 'function', function: { name: 'look_up', arguments: `{"a":${a}}` } })),
  )
  const details = (outputs: (string | null)[]) => ({
    type: 'tool_calls',
    tool_calls: calls.map((call, n) => ({ ...call, function: { ...call.function, output: outputs[n] } })),
  })
  expect(await list()).toEqual([{ ...step, step_details: details([null, null]) }])

  const tool_outputs = calls
    .toReversed()
    .map((call, n) => ({ tool_call_id: call.id, ...(n === 0 && { output: 'second' }) }))
  await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs })
  await h.services.executor.tick()
  const [message] = (await h.client.beta.threads.messages.list(thread_id)).data
  const steps = await list()
  expect(steps).toEqual([
    {
      ...step,
      type: 'message_creation',
      status: 'completed',
      completed_at: now,
      usage,
      step_details: { type: 'message_creation', message_creation: { message_id: message?.id } },
    },
    { ...step, status: 'completed', completed_at: now, usage, step_details: details(['', 'second']) },
  ])
  for (const one of steps) {
    expect(await h.client.beta.threads.runs.steps.retrieve(one.id, { thread_id, run_id: id })).toEqual(one)
  }
  const run = await h.client.beta.threads.runs.retrieve(id, { thread_id })
  expect(run.usage).toMatchObject({ prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 })
})
