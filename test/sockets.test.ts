/** What only a true connection shows. */
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { flawOf } from './harness/refusal.ts'

async function startListening(options?: Parameters<typeof startApp>[0]) {
  const h = await startApp(options)
  await h.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = h.app.server.address() as AddressInfo
  return { ...h, port, url: `http://127.0.0.1:${port}/v1` }
}

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => {
    socket.destroy()
  })
  return socket
}

/** All that comes until the server closes the connection: the status line, the headers, and the body as JSON. */
async function answerOf(socket: Socket) {
  let text = ''
  for await (const bytes of socket) text += bytes
  const [head = '', body = ''] = text.split('\r\n\r\n')
  const [status = '', ...headers] = head.split('\r\n')
  return { status, headers: headers.map((line) => line.toLowerCase()), body: body && JSON.parse(body) }
}

const authorization = 'Bearer sk-test-001'
const head = (method: string, path: string, ...headers: string[]) =>
  [`${method} /v1${path} HTTP/1.1`, 'host: x', `authorization: ${authorization}`, ...headers, '', ''].join('\r\n')
const json = 'content-type: application/json'

const hello = { role: 'user' as const, content: 'Hi' }

/** Resolves when the server has seen the end of the next connection. */
async function nextConnectionEnds(h: Harness) {
  const [socket] = await once(h.app.server, 'connection')
  await once(socket, 'close')
}

const aborted = (signal: AbortSignal) =>
  signal.aborted ? undefined : new Promise((resolve) => signal.addEventListener('abort', resolve))

describe('what is no request gets the envelope all the same', () => {
  test.for([
    ['words', 'hello world\r\n\r\n'],
    ['a TLS greeting', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an unknown verb', 'FETCH /v1/threads HTTP/1.1\r\nhost: x\r\n\r\n'],
    ['a length that is none', head('POST', '/threads', json, 'content-length: many')],
    ['two lengths', head('POST', '/threads', json, 'content-length: 2', 'transfer-encoding: chunked')],
    ['a chunk without a length', `${head('POST', '/threads', json, 'transfer-encoding: chunked')}zz\r\n`],
  ] as const)('%s', async ([, bytes]) => {
    const { port } = await startListening()
    const socket = open(port)
    socket.write(bytes, 'latin1')
    const { status, headers, body } = await answerOf(socket)
    expect(status).toBe('HTTP/1.1 400 Bad Request')
    expect(headers).toContain('content-type: application/json')
    expect(body).toEqual({
      error: { message: 'The request is not valid HTTP.', type: 'invalid_request_error', param: null, code: null },
    })
  })

  test('endless headers', async () => {
    const { port } = await startListening()
    const socket = open(port)
    socket.write(head('GET', '/threads', `x-long: ${'x'.repeat(20_000)}`))
    const { status, body } = await answerOf(socket)
    expect(status).toMatch(/^HTTP\/1\.1 431 /)
    expect(flawOf(body)).toBeUndefined()
  })

  test('a body that is announced as too large, before it is sent', async () => {
    const { port } = await startListening()
    const socket = open(port)
    socket.write(head('POST', '/threads', json, 'content-length: 99999999'))
    const { status, body } = await answerOf(socket)
    expect(status).toMatch(/^HTTP\/1\.1 413 /)
    expect(body.error.message).toBe('The request body is too large.')
  })

  test('a body that turns out too large on the way', async () => {
    const { url } = await startListening()
    const piece = new Uint8Array(1024 * 1024).fill(0x20)
    let pieces = 0
    // One byte past the limit: a client that has much more to say may find the connection closed before it reads why.
    const body = new ReadableStream({
      pull(controller) {
        if (pieces++ < 32) return controller.enqueue(piece)
        controller.enqueue(piece.subarray(0, 1))
        controller.close()
      },
    })
    const headers = { authorization, 'content-type': 'application/json' }
    const answer = await fetch(`${url}/threads`, { method: 'POST', headers, body, duplex: 'half' })
    expect(answer.status).toBe(413)
    expect(flawOf(await answer.json())).toBeUndefined()
  })
})

describe('a slow client', () => {
  test('may send its body byte by byte, also within a character', async () => {
    const { port } = await startListening()
    const socket = open(port).setNoDelay()
    const body = Buffer.from(JSON.stringify({ metadata: { greeting: 'Grüße 😀' } }))
    socket.write(head('POST', '/threads', json, 'transfer-encoding: chunked', 'connection: close'))
    for (const byte of body) {
      await new Promise((resolve) => socket.write(Buffer.from([0x31, 13, 10, byte, 13, 10]), resolve))
    }
    socket.write('0\r\n\r\n')
    const answer = await answerOf(socket)
    expect(answer.status).toBe('HTTP/1.1 200 OK')
    expect(answer.body.metadata).toEqual({ greeting: 'Grüße 😀' })
  })

  test('may go away in the middle of its body, and nothing is made of it', async () => {
    const h = await startListening()
    const closed = nextConnectionEnds(h)
    const socket = open(h.port)
    socket.write(`${head('POST', '/threads', json, 'content-length: 1000')}{"metadata":{}`)
    await once(h.app.server, 'request')
    socket.destroy()
    await closed
    expect(await (await h.send('GET', '/v1/threads')).json()).toMatchObject({ data: [] })
  })

  test('may ask whether to send its body', async () => {
    const { port } = await startListening()
    const socket = open(port)
    socket.write(head('POST', '/threads', json, 'content-length: 2', 'expect: 100-continue', 'connection: close'))
    const [first] = await once(socket, 'data')
    expect(String(first)).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('{}')
    expect((await answerOf(socket)).status).toBe('HTTP/1.1 200 OK')
  })
})

test('answers to requests sent at once come in their order', async () => {
  const { port } = await startListening()
  const socket = open(port)
  socket.write(head('GET', '/threads/thread_1') + head('GET', '/models') + head('GET', '/foo', 'connection: close'))
  let text = ''
  for await (const bytes of socket) text += bytes
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 404'])
  expect(text).toMatch(/thread_1.*scripted.*GET \/v1\/foo/s)
})

describe('a stream', () => {
  test('of a silent thread sends its headers and a sign of life before any event', async () => {
    const h = await startListening({ started: false })
    const { id } = await h.client.beta.threads.create()
    const answer = await fetch(`${h.url}/threads/${id}/runs/stream`, { headers: { authorization } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(answer.headers.get('cache-control')).toBe('no-cache')
    expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-f]{32}$/)
    const reader = answer.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value)).toMatch(/^:.*\n\n$/)

    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'demo', instructions: 'Be brief.' })
    await h.client.beta.threads.runs.create(id, { assistant_id })
    expect(new TextDecoder().decode((await reader?.read())?.value)).toMatch(/^event: thread\.run\.created\n/)
    await reader?.cancel()
  })

  test('sends each piece when it comes, not when it is full', async () => {
    const h = await startListening()
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm' })
    const { promise: heard, resolve: goOn } = Promise.withResolvers<void>()
    h.backend.turns.push(async ({ chunk, text }) => {
      chunk({ content: 'first' })
      await heard
      text('second')
    })
    const answer = await fetch(`${h.url}/threads/runs`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id, stream: true, thread: { messages: [hello] } }),
    })
    let received = ''
    for await (const bytes of answer.body as unknown as AsyncIterable<Uint8Array>) {
      received += new TextDecoder().decode(bytes)
      if (received.includes('first')) goOn()
    }
    expect(received).toMatch(/first.*second.*event: done\ndata: \[DONE\]\n\n$/s)
  })

  test('whose client goes away does not take its run along', async () => {
    const h = await startListening()
    const closed = nextConnectionEnds(h)
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm' })
    const { id: thread_id } = await h.client.beta.threads.create({ messages: [hello] })
    const { promise: gone, resolve: goOn } = Promise.withResolvers<void>()
    h.backend.turns.push(async ({ chunk, text }) => {
      chunk({ content: 'first' })
      await gone
      text(' second')
    })
    const subscribe = vi.spyOn(h.services.bus, 'subscribe')
    const leaving = new AbortController()
    const answer = await fetch(`${h.url}/threads/${thread_id}/runs`, {
      method: 'POST',
      headers: { authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ assistant_id, stream: true }),
      signal: leaving.signal,
    })
    await answer.body?.getReader().read()
    leaving.abort()
    await closed
    await aborted(subscribe.mock.calls[0]?.[1] as AbortSignal)
    goOn()
    const [{ id } = { id: '' }] = (await h.client.beta.threads.runs.list(thread_id)).data
    const run = await h.client.beta.threads.runs.poll(id, { thread_id }, { pollIntervalMs: 5 })
    expect(run.status).toBe('completed')
    const [message] = (await h.client.beta.threads.messages.list(thread_id)).data
    expect(message?.content).toEqual([{ type: 'text', text: { value: 'first second', annotations: [] } }])
  })

  test('that nobody can hear, since only its headers were asked for, is not kept open', { timeout: 3000 }, async () => {
    const h = await startListening({ started: false })
    const { id } = await h.client.beta.threads.create()
    const subscribe = vi.spyOn(h.services.bus, 'subscribe')
    const answer = await fetch(`${h.url}/threads/${id}/runs/stream`, { method: 'HEAD', headers: { authorization } })
    expect(await answer.text()).toBe('')
    const signals = subscribe.mock.calls.map(([, signal]) => signal)
    await Promise.all(signals.map(aborted))
    expect(signals.every((signal) => signal.aborted)).toBe(true)
  })
})
