import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { complete } from './reference-completion.ts'
import { openReferenceStore, type Row } from './reference-store.ts'

/**
 * What the server is measured against: the same writes, the same events and the same answers for the few requests of
 * the benchmark, on node:http alone. It checks nothing, recovers nothing and cannot be attached to.
 */
const store = openReferenceStore(process.env.DATABASE ?? ':memory:')

const newId = (prefix: string) => prefix + randomBytes(12).toString('hex')
const seconds = () => Math.floor(Date.now() / 1000)

function newAssistant({ model, instructions }: Row): Row {
  return {
    ...{ id: newId('asst_'), object: 'assistant', created_at: seconds(), name: null, description: null, model },
    ...{ instructions, tools: [], top_p: 1, temperature: 1, reasoning_effort: null, tool_resources: {}, metadata: {} },
    response_format: 'auto',
  }
}

const newThread = (): Row => ({
  ...{ id: newId('thread_'), object: 'thread', created_at: seconds(), metadata: {}, tool_resources: {} },
})

function newMessage(thread_id: unknown, given: Row): Row {
  const now = seconds()
  return {
    ...{ id: newId('msg_'), object: 'thread.message', created_at: now, assistant_id: null, thread_id, run_id: null },
    ...{ status: 'completed', incomplete_details: null, incomplete_at: null, completed_at: now, role: 'user' },
    ...{ content: [], attachments: [], metadata: {}, ...given },
  }
}

const textContent = (value: unknown) => [{ type: 'text', text: { value, annotations: [] } }]

function newRun(assistant: Row, thread_id: unknown): Row {
  const now = seconds()
  const {
    id: assistant_id,
    model,
    instructions,
    tools,
    tool_resources,
    temperature,
    top_p,
    response_format,
  } = assistant
  return {
    ...{ id: newId('run_'), object: 'thread.run', created_at: now, assistant_id, thread_id, status: 'queued' },
    ...{ started_at: null, expires_at: now + 600, cancelled_at: null, failed_at: null, completed_at: null },
    ...{ required_action: null, last_error: null, model, instructions, tools, tool_resources, metadata: {} },
    ...{ temperature, top_p, reasoning_effort: null, max_completion_tokens: null, max_prompt_tokens: null },
    ...{ truncation_strategy: { type: 'auto', last_messages: null }, incomplete_details: null, usage: null },
    ...{ response_format, tool_choice: 'auto', parallel_tool_calls: true },
  }
}

function newStep({ id: run_id, assistant_id, thread_id, expires_at }: Row, message_id: unknown): Row {
  return {
    ...{ id: newId('step_'), object: 'thread.run.step', created_at: seconds(), run_id, assistant_id, thread_id },
    ...{ type: 'message_creation', status: 'in_progress', cancelled_at: null, completed_at: null, expires_at },
    ...{ expired_at: null, failed_at: null, last_error: null, usage: null, metadata: {} },
    step_details: { type: 'message_creation', message_creation: { message_id } },
  }
}

function streamRun({ assistant_id, thread: given }: Row, response: ServerResponse) {
  const assistant = store.assistant(assistant_id as string)
  const thread = newThread()
  const text = (given as { messages: { content: string }[] }).messages[0]?.content
  const question = newMessage(thread.id, { content: textContent(text) })
  let run = newRun(assistant, thread.id)
  store.beginRun(thread, question, run)

  const send = (event: string, data: Row) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  send('thread.created', thread)
  send('thread.run.created', run)
  send('thread.run.queued', run)
  store.claim(run, newId('lease_'))
  run = { ...run, status: 'in_progress', started_at: seconds() }
  store.startRun(run)
  send('thread.run.in_progress', run)

  const messages = [
    { role: 'system', content: run.instructions },
    { role: 'user', content: text },
  ]
  const { model, temperature, top_p } = run
  complete(
    { model, messages, temperature, top_p, stream: true, stream_options: { include_usage: true } },
    answerInto(run, send, () => response.end('event: done\ndata: [DONE]\n\n')),
  )
}

function answerInto(run: Row, send: (event: string, data: Row) => void, done: () => void) {
  const { id: run_id, assistant_id, thread_id } = run
  let step: Row | undefined
  let message: Row = {}
  let answer = ''

  function open() {
    message = newMessage(thread_id, { assistant_id, run_id, role: 'assistant' })
    Object.assign(message, { status: 'in_progress', completed_at: null })
    step = newStep(run, message.id)
    store.open(run, step, message)
    send('thread.run.step.created', step)
    send('thread.run.step.in_progress', step)
    send('thread.message.created', message)
    send('thread.message.in_progress', message)
  }

  return {
    onText(value: string) {
      const text = step ? { value } : { value, annotations: [] }
      if (!step) open()
      answer += value
      const delta = { content: [{ index: 0, type: 'text', text }] }
      send('thread.message.delta', { id: message.id, object: 'thread.message.delta', delta })
    },

    onEnd(used: Row) {
      const end = { status: 'completed', completed_at: seconds() }
      const details = { prompt_token_details: { cached_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 } }
      const usage = { ...used, ...details }
      message = { ...message, ...end, content: textContent(answer) }
      step = { ...step, ...end, usage }
      const completed = { ...run, ...end, expires_at: null, usage }
      store.complete(completed, step, message)
      send('thread.message.completed', message)
      send('thread.run.step.completed', step)
      send('thread.run.completed', completed)
      done()
    },
  }
}

function answer(request: IncomingMessage, body: Row, response: ServerResponse) {
  const { method, url = '' } = request
  if (method === 'POST' && url === '/v1/threads/runs') return streamRun(body, response)

  response.setHeader('content-type', 'application/json; charset=utf-8')
  const send = (object: Row) => response.end(JSON.stringify(object))
  const [, collection, id = ''] = url.slice(1).split('/')
  if (method === 'GET' && collection === 'assistants') return send(store.assistant(id))
  if (method === 'GET') return send({})

  if (collection === 'assistants') {
    const assistant = newAssistant(body)
    store.insertAssistant(assistant)
    return send(assistant)
  }
  if (id === '') {
    const thread = newThread()
    store.insertThread(thread)
    return send(thread)
  }
  const message = newMessage(id, { content: textContent(body.content) })
  store.insertMessage(message)
  return send(message)
}

const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (text) => {
    body += text
  })
  request.on('end', () => answer(request, body === '' ? {} : JSON.parse(body), response))
})
server.listen(Number(process.env.PORT), '127.0.0.1')
