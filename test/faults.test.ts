import { setInterval } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { chunk } from './harness/answers.ts'
import { startApp } from './harness/app.ts'
import { selfSigned } from './harness/certificate.ts'
import { atRest, checkEnded, converse } from './harness/engine.ts'
import { type Fault, freeAddress, hello, http, startFaulty, stream } from './harness/faulty-backend.ts'

/** For backends that are silent for ever; others may take their time on a machine that is busy. */
const short = { first: 60, between: 60, after: 60 }
const long = { first: 30_000, between: 30_000, after: 30_000 }
const silence = 'The model backend sent nothing for 0.06 s.'

/** A server with two backends: one with a fault, and another that is well. */
async function startBeside(url: string, idleMs = long) {
  const backends = (sound: string) => ({
    backends: { faulty: { baseURL: url }, sound: { baseURL: sound } },
    models: [
      { match: 'm', backend: 'faulty' },
      { match: '*', backend: 'sound' },
    ],
  })
  const h = await startApp({ backends, patience: { idleMs } })
  h.backend.otherwise = ({ text }) => text('All', ' well.')
  const runOf = async (model: string, question: string) => (await converse(h.client, { model }, question)).run()
  return {
    h,
    faulty: () => runOf('m', 'Hi'),
    other: () => runOf('other', 'All well?'),
  }
}

/** What becomes of a run whose backend has a fault; and nothing becomes of those whose backend has none. */
async function ranInto(url: string, idleMs = long) {
  const { h, faulty, other } = await startBeside(url, idleMs)
  const before = await other()
  const run = await faulty()
  const meanwhile = await other()
  const { status } = await atRest(h.client, run)
  const after = await other()
  for (const one of [before, meanwhile, after]) {
    await atRest(h.client, one)
    const made = await checkEnded(h, one)
    expect(made.run).toMatchObject({ status: 'completed', last_error: null })
    expect(made.messages).toMatchObject([{ content: [{ text: { value: 'All well.' } }] }])
    expect(made.steps).toHaveLength(1)
  }
  const made = await checkEnded(h, run)
  const texts = made.messages.flatMap(({ content }) => content.map((part) => part.type === 'text' && part.text.value))
  return { status, last_error: made.run.last_error, texts }
}

const json = { 'content-type': 'application/json' }
const error = JSON.stringify({ error: { message: 'It went wrong.', type: 'server_error' } })
const says =
  (text: string): Fault =>
  (socket) =>
    void socket.end(text)

/** Sends the first bytes one by one, at this interval, as long as somebody listens. */
const trickles =
  (text: string, count: number, ms: number): Fault =>
  async (socket) => {
    const bytes = [...text.slice(0, count)]
    for await (const _ of setInterval(ms)) {
      const byte = bytes.shift()
      if (byte === undefined || socket.destroyed) break
      socket.write(byte)
    }
    socket.end(text.slice(count))
  }

const failed = (message: string | RegExp, code = 'server_error') => ({
  status: 'failed',
  last_error: { code, message: typeof message === 'string' ? message : expect.stringMatching(message) },
  texts: [],
})
const completed = { status: 'completed', last_error: null, texts: ['Hello.'] }

describe('a backend that', () => {
  test.each([
    [
      'resets the connection before it answers',
      (socket) => void socket.resetAndDestroy(),
      failed(/^The connection to the model backend failed: .*ECONNRESET/),
      3,
    ],
    [
      'closes the connection before it answers',
      (socket) => void socket.end(),
      failed(/^The connection to the model backend failed: .*closed/),
      3,
    ],
    [
      'has too much to do, for ever (429)',
      says(http(429, json, error)),
      failed('It went wrong.', 'rate_limit_exceeded'),
      3,
    ],
    [
      'has too much to do, and then time',
      (socket, count) => void socket.end(count < 3 ? http(429, json, error) : stream(...hello)),
      completed,
      3,
    ],
    [
      'fails once (500)',
      (socket, count) => void socket.end(count < 2 ? http(500, json, error) : stream(...hello)),
      completed,
      2,
    ],
    ['fails for ever (500)', says(http(500, json, error)), failed('The model backend failed: It went wrong.'), 3],
    ['is silent', () => {}, failed(silence), 3],
    ['is silent after its headers', (socket) => void socket.write(stream()), failed(silence), 3],
    [
      'is silent in the middle of its answer',
      (socket) => void socket.write(stream(chunk({ content: 'Hel' }))),
      { ...failed(silence), texts: ['Hel'] },
      1,
    ],
    [
      'resets the connection in the middle of its answer',
      (socket) => void socket.write(stream(chunk({ content: 'Hel' })), () => socket.end()),
      { ...failed('The model backend broke off its answer.'), texts: ['Hel'] },
      1,
    ],
    [
      'sends a malformed chunk',
      says(stream(chunk({ content: 'Hel' }), 'data: {"choices": [\n\n')),
      { ...failed('The model backend sent a malformed stream.'), texts: ['Hel'] },
      1,
    ],
    [
      'answers with a page',
      says(http(200, { 'content-type': 'text/html' }, '<!doctype html><h1>Welcome</h1>')),
      failed(
        /^The model backend answered with text\/html that is no answer of a model\. Check `baseURL` of the backend 'faulty' in BACKENDS_CONFIG: /,
      ),
      1,
    ],
    [
      'calls its answer something else',
      says(stream(...hello).replace('text/event-stream', 'application/octet-stream')),
      completed,
      1,
    ],
    ['answers 200 with an error', says(http(200, json, error)), failed('The model backend failed: It went wrong.'), 3],
    ['never comes to the end of its headers', trickles(stream(...hello), 50, 25), failed(silence), 3],
    ['takes its time for its headers', trickles(stream(...hello), 30, 2), completed, 1],
    [
      'speaks no HTTP',
      says('220 mail.example.com ESMTP\r\n'),
      failed(/^The connection to the model backend failed/),
      3,
    ],
  ] as [string, Fault, object, number][])('%s', async (_, fault, end, tries) => {
    const backend = await startFaulty(fault)
    const isSilent = JSON.stringify(end).includes(silence)
    expect(await ranInto(backend.url, isSilent ? short : long)).toEqual(end)
    expect(backend.requests).toHaveLength(tries)
    await backend.closed()
  })

  test('says when it has time again is asked then', async () => {
    const backend = await startFaulty((socket, count) => {
      socket.end(count < 2 ? http(429, { ...json, 'retry-after': '0.2' }, error) : stream(...hello))
    })
    expect(await ranInto(backend.url)).toEqual(completed)
    const [first = 0, second = 0] = backend.requests
    expect(second - first).toBeGreaterThan(190)
    await backend.closed()
  })

  test('does not exist', async () => {
    const refused = failed(/^The connection to the model backend failed: .*ECONNREFUSED/)
    expect(await ranInto(await freeAddress())).toEqual(refused)
  })

  test('has a name that nobody knows', async () => {
    const unknown = failed(/^The connection to the model backend failed: .*(ENOTFOUND|EAI_AGAIN).*does-not-exist/)
    expect(await ranInto('http://does-not-exist.invalid/v1')).toEqual(unknown)
  })

  test('has a certificate that nobody vouches for', async () => {
    const backend = await startFaulty(says(stream(...hello)), selfSigned())
    const distrusted = failed(
      /^The connection to the model backend failed: DEPTH_ZERO_SELF_SIGNED_CERT self-signed certificate/,
    )
    expect(await ranInto(backend.url)).toEqual(distrusted)
    // Nothing was said to it, and the key least of all.
    expect(backend.requests).toEqual([])
    await backend.closed()
  })

  test('knows no TLS', async () => {
    const backend = await startFaulty(says(http(400, {}, '')))
    const confused = failed(/^The connection to the model backend failed: .*(SSL|EPROTO)/)
    expect(await ranInto(backend.url.replace('http:', 'https:'))).toEqual(confused)
    await backend.closed()
  })

  test('does not answer the greeting of TLS', async () => {
    const backend = await startFaulty(() => {})
    expect(await ranInto(backend.url.replace('http:', 'https:'), short)).toEqual(failed(silence))
  })

  test('cannot be connected to holds up no cancel', { timeout: 5000 }, async () => {
    const backend = await startFaulty(() => {})
    const { h, faulty } = await startBeside(backend.url.replace('http:', 'https:'))
    const { id, thread_id } = await faulty()
    await expect.poll(() => backend.requests.length).toBe(1)
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    expect((await atRest(h.client, { id, thread_id })).status).toBe('cancelled')
    await checkEnded(h, { id, thread_id })
  })
})
