import { type AddressInfo, createServer } from 'node:net'
import { setInterval } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type CompletionChunk, CompletionError } from '../src/completer/completer.ts'
import { connect } from '../src/completer/openai.ts'
import { joined, request } from './harness/answers.ts'
import { ScriptedBackend, type Turn } from './harness/backend.ts'

type Exchange = Parameters<Turn>[0]

const short = { first: 40, between: 40, after: 40 }

/** What a backend answers, as far as it came, and how it ended. */
async function answerOf(turns: Turn[], { idleMs = short, maxRetries = 0 } = {}) {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const exchanges: Exchange[] = []
  backend.turns = turns.map((turn) => (exchange) => {
    exchanges.push(exchange)
    return turn(exchange)
  })
  const { complete } = connect({ baseURL: backend.url, apiKey: 'sk-backend', maxRetries, backoffMs: 1, idleMs })
  const chunks: CompletionChunk[] = []
  let error: unknown
  try {
    for await (const one of complete(request, new AbortController().signal)) chunks.push(one)
  } catch (caught) {
    error = caught
  }
  return { ...joined(chunks), error, exchanges }
}

const silent: Turn = () => {}
const onlyHeaders: Turn = ({ response }) =>
  response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
const halfway: Turn = ({ chunk: send }) => send({ content: 'Hel' })
const nothing = (ms: number) => `The model backend sent nothing for ${ms / 1000} s.`

describe('a backend that says nothing', () => {
  test.each([
    ['no headers', silent],
    ['nothing after its headers', onlyHeaders],
    ['nothing after a chunk without a word', ({ chunk: send }) => send({ role: 'assistant', content: '' })],
  ] as [string, Turn][])('%s is asked again, and its connection is closed', async (_, turn) => {
    const { text, error, exchanges } = await answerOf([turn, turn, ({ text }) => text('Hello.')], { maxRetries: 2 })
    expect([text, error]).toEqual(['Hello.', undefined])
    await Promise.all(exchanges.slice(0, 2).map(({ closed }) => closed))
  })

  test.each([
    ['no headers', silent],
    ['nothing after its headers', onlyHeaders],
    ['nothing after a part of its answer', halfway],
  ] as [string, Turn][])('%s is an error of the backend that says for how long', async (_, turn) => {
    const { error, exchanges } = await answerOf([turn])
    expect(error).toBeInstanceOf(CompletionError)
    expect(error).toMatchObject({ code: 'server_error', message: nothing(40) })
    await exchanges[0]?.closed
  })

  test('is not asked again once a part of its answer was passed on', async () => {
    const { text, error, exchanges } = await answerOf([halfway], { maxRetries: 2 })
    expect([text, exchanges.length]).toEqual(['Hel', 1])
    expect(error).toMatchObject({ message: nothing(40) })
  })

  test('may be silent for longer before its first word than after it', async () => {
    const idleMs = { ...short, first: 60_000 }
    expect((await answerOf([halfway], { idleMs })).error).toMatchObject({ message: nothing(40) })
  })

  test('a stall in one JSON object is one too', async () => {
    const { error } = await answerOf([
      ({ response }) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{"choices": ['),
    ])
    expect(error).toMatchObject({ message: nothing(40) })
  })
})

test('a backend that keeps its connection alive by comments has not stalled', async () => {
  const { text, error } = await answerOf(
    [
      async ({ response, text }) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        let count = 0
        for await (const _ of setInterval(20)) {
          response.write(': OPENROUTER PROCESSING\n\n')
          if (++count === 25) break
        }
        text('Hello.')
      },
    ],
    { idleMs: { first: 300, between: 300, after: 300 } },
  )
  expect([text, error]).toEqual(['Hello.', undefined])
})

test('a backend to which no connection comes about is not said to have been silent', { timeout: 20_000 }, async () => {
  // It takes connections, but never answers the greeting of TLS.
  const server = createServer((socket) => void socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const baseURL = `https://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const idleMs = { first: 60_000 }
  const { complete } = connect({ baseURL, apiKey: 'sk-backend', maxRetries: 0, backoffMs: 1, idleMs })
  const answer = complete(request, new AbortController().signal)[Symbol.asyncIterator]()
  await expect(answer.next()).rejects.toMatchObject({
    message: 'The connection to the model backend failed: UND_ERR_CONNECT_TIMEOUT nobody answers at its address.',
  })
})

test('an error whose words do not come to an end is told by those that came', async () => {
  const stops: Turn = ({ response }) =>
    void response.writeHead(500, { 'content-type': 'text/plain' }).write('Out of memory')
  const { error, exchanges } = await answerOf([stops], { idleMs: { ...short, first: 60_000 } })
  expect(error).toMatchObject({ code: 'server_error', message: 'The model backend failed: Out of memory' })
  await exchanges[0]?.closed
})

test('an error that goes on for ever is told by its beginning', async () => {
  const goesOn: Turn = ({ response }) => {
    const goOn = () => {
      while (!response.destroyed && response.write('no '.repeat(10_000)));
    }
    response.writeHead(400, { 'content-type': 'text/plain' }).on('drain', goOn)
    goOn()
  }
  const { error, exchanges } = await answerOf([goesOn], { idleMs: { ...short, first: 60_000 } })
  expect(error).toMatchObject({ code: 'invalid_prompt', message: expect.stringMatching(/^no no no .{0,200000}$/) })
  await exchanges[0]?.closed
})

test('a signal that aborts after the finish_reason ends the answer all the same', async () => {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const controller = new AbortController()
  const { complete } = connect({ baseURL: backend.url, apiKey: 'sk-backend', maxRetries: 0, backoffMs: 1 })
  backend.turns.push(({ chunk: send }) => send({ content: 'Hello.' }, 'stop'))
  const reason = new Error('cancelled')
  const read = async () => {
    for await (const _ of complete(request, controller.signal)) controller.abort(reason)
  }
  await expect(read()).rejects.toBe(reason)
})
