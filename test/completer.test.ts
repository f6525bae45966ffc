import type { RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { completionError } from '../src/completer/backend-error.ts'
import { type Harness, startApp } from './harness/app.ts'
import { ScriptedBackend, type Turn } from './harness/backend.ts'
import { atRest, converse, eventsOf, holding, madeBy, until } from './harness/engine.ts'
import { startProcess } from './harness/process.ts'
import { openAIError, refuseAs } from './harness/refusals.ts'

/** The backend answers with a status and an error. */
const refuse =
  (status: number, error: object = { message: 'No.' }, headers: Record<string, string> = {}): Turn =>
  ({ response }) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify({ error }))
  }

/** A run from its start to its rest, and what it has made. */
async function ranOn(h: Harness, body: Partial<RunCreateParamsNonStreaming> = {}) {
  const { run } = await converse(h.client)
  return madeBy(h.client, await atRest(h.client, await run(body)))
}

const completed = { run: { status: 'completed' }, messages: [{ content: [{ text: { value: 'Hello.' } }] }] }

describe('a backend that is in trouble for a moment is asked again', () => {
  test.each([
    ['429', refuse(429)],
    ['500', refuse(500)],
    ['503', refuse(503)],
    ['a connection that breaks', ({ response }) => void response.destroy()],
    [
      'a connection that breaks before the first token',
      ({ chunk, response }) => {
        chunk({ role: 'assistant', content: '' })
        response.write('', () => response.destroy())
      },
    ],
  ] as [string, Turn][])('%s, then fine', async (_, trouble) => {
    const h = await startApp()
    h.backend.turns = [trouble, trouble]
    const made = await ranOn(h)
    expect(made).toMatchObject(completed)
    expect(made.steps).toHaveLength(1)
    expect(h.backend.requests).toHaveLength(3)
    expect(h.backend.requests[2]).toEqual(h.backend.requests[0])
  })

  const waits: [string, () => string][] = [
    ['in seconds', () => '1'],
    // Dates have whole seconds.
    ['by a date', () => new Date(Date.now() + 2000).toUTCString()],
  ]
  test.for(waits)('after the time that it asks for, %s', async ([, asked]) => {
    const h = await startApp()
    const times: number[] = []
    h.backend.turns.push(
      (exchange) => {
        times.push(performance.now())
        return refuse(429, { message: 'Slow down.' }, { 'retry-after': asked() })(exchange)
      },
      ({ text }) => {
        times.push(performance.now())
        text('Hello.')
      },
    )
    expect(await ranOn(h)).toMatchObject(completed)
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(950)
  })

  test.each([
    ['llama.cpp', { error: { message: 'Loading model', type: 'unavailable_error', code: 503 } }],
    ['Hugging Face', { error: 'Model org/m is currently loading', estimated_time: 20 }],
  ])('until a model that is loading is there, however long that takes: %s', async (_, said) => {
    const h = await startApp({ env: { BACKEND_RETRIES: '0' } })
    h.backend.turns = Array.from({ length: 8 }, () => refuseAs(503, said))
    expect(await ranOn(h)).toMatchObject(completed)
    expect(h.backend.requests).toHaveLength(9)
  })

  const loading = refuseAs(503, openAIError('Loading model'))

  test('while a model is loading as one that asks to wait: it is not left alone for longer and longer', async () => {
    // A gate that shut for this long would not open before the test ends.
    const h = await startApp({ patience: { backoffMs: 1, shutMs: 60_000 } })
    h.backend.turns = Array.from({ length: 8 }, () => loading)
    expect(await ranOn(h)).toMatchObject(completed)
    expect(h.backend.requests).toHaveLength(9)
  })

  test('after it was loading as often as if it had not', async () => {
    const h = await startApp({ env: { BACKEND_RETRIES: '1' } })
    h.backend.turns = [loading, loading, loading, refuse(500, { message: 'Once.' }), loading]
    expect(await ranOn(h)).toMatchObject(completed)
    expect(h.backend.requests).toHaveLength(6)
  })

  test('and what it says at length is told in short', async () => {
    const h = await startApp()
    h.backend.turns.push(refuse(400, { message: `No. ${'You said: hello. '.repeat(3000)}` }))
    const { run } = await ranOn(h)
    expect(run.last_error?.message).toMatch(/^No\. You said: hello\. .*…$/)
    expect(run.last_error?.message).toHaveLength(2001)
  })

  test('and when it stays so the run fails', async () => {
    const h = await startApp()
    h.backend.otherwise = refuse(500, { message: 'The GPU is on fire.' })
    const { run, steps, messages } = await ranOn(h)
    expect(run).toMatchObject({ status: 'failed', failed_at: h.time.now / 1000, usage: { total_tokens: 0 } })
    expect(run.last_error).toMatchObject({
      code: 'server_error',
      message: expect.stringContaining('The GPU is on fire.'),
    })
    expect([steps, messages]).toEqual([[], []])
    expect(h.backend.requests).toHaveLength(3)
  })

  test('as often as configured', async () => {
    const h = await startApp({ env: { BACKEND_RETRIES: '0' } })
    h.backend.otherwise = refuse(429, { message: 'Slow down.' })
    const { run } = await ranOn(h)
    expect(run.last_error).toEqual({ code: 'rate_limit_exceeded', message: 'Slow down.' })
    expect(h.backend.requests).toHaveLength(1)
  })

  test('a backend that is not there', async () => {
    const h = await startApp()
    await h.backend.stop()
    const { run } = await ranOn(h)
    expect(run.last_error?.code).toBe('server_error')
    expect(run.last_error?.message).toMatch(/connection to the model backend failed.*ECONNREFUSED/)
  })
})

describe('what another try would not change is not tried again', () => {
  test.each([
    [400, { message: 'The prompt is too long.' }, 'invalid_prompt', /^The prompt is too long\.$/],
    [401, { message: 'Wrong key.' }, 'server_error', /OPENAI_API_KEY.*Wrong key\./],
    [403, { message: 'Not you.' }, 'server_error', /OPENAI_API_KEY.*Not you\./],
    [404, { message: 'No such model.' }, 'server_error', /does not serve 'm'.*GET \/v1\/models.*No such model\./],
    [
      429,
      { message: 'You exceeded your current quota.', code: 'insufficient_quota' },
      'rate_limit_exceeded',
      /^You exceeded your current quota\.$/,
    ],
  ] as const)('%i %o fails the run as %s', async (status, error, code, message) => {
    const h = await startApp()
    h.backend.turns.push(refuse(status, error))
    const { run } = await ranOn(h)
    expect(run).toMatchObject({ status: 'failed', last_error: { code } })
    expect(run.last_error?.message).toMatch(message)
    expect(h.backend.requests).toHaveLength(1)
  })

  test('a name with several addresses, at which nobody listens, is told by one of them', () => {
    const refused = (address: string) => Object.assign(new Error(`connect ${address}`), { code: 'ECONNREFUSED' })
    const both = Object.assign(new AggregateError([refused('::1:80'), refused('127.0.0.1:80')]), {
      code: 'ECONNREFUSED',
    })
    expect(completionError(both, { model: 'm' })).toMatchObject({
      message: 'The connection to the model backend failed: ECONNREFUSED connect 127.0.0.1:80.',
    })
  })

  test('without a backend the run fails and says what to configure', async () => {
    const h = await startApp({ env: { OPENAI_BASE_URL: '', OPENAI_API_KEY: '' } })
    const { run } = await ranOn(h)
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } })
    expect(run.last_error?.message).toMatch(/'m'.*OPENAI_BASE_URL.*'demo'/)
    expect((await ranOn(h, { model: 'demo' })).run.status).toBe('completed')
  })
})

describe('an answer that breaks off', () => {
  /** The backend says a word, then `breakOff` happens once the word has arrived. */
  async function brokenOff(breakOff: Turn) {
    const h = await startApp()
    const { turn, held } = holding('Hel')
    h.backend.turns.push(turn)
    const { run } = await converse(h.client)
    const begun = await run()
    const events = await eventsOf(h, begun)
    await until(events, 'thread.message.delta')
    await breakOff(await held)
    const made = await madeBy(h.client, await atRest(h.client, begun))
    return { ...made, requests: h.backend.requests.length }
  }

  test.each([
    ['by a lost connection', ({ response }) => void response.destroy(), /connection to the model backend failed/],
    [
      'by an error in the stream',
      ({ response }) => void response.end('data: {"error":{"message":"Out of memory.","code":500}}\n\n'),
      /Out of memory\./,
    ],
    ['by a chunk that is no JSON', ({ response }) => void response.end('data: {"choices": [\n\n'), /malformed stream/],
    ['by an end without a reason', ({ response }) => void response.end(), /./],
  ] as [string, Turn, RegExp][])(
    '%s fails the run; its text is kept, and not asked for again',
    async (_, breakOff, message) => {
      const { run, steps, messages, requests } = await brokenOff(breakOff)
      expect(run).toMatchObject({ status: 'failed', completed_at: null, last_error: { code: 'server_error' } })
      expect(run.last_error?.message).toMatch(message)
      expect(steps).toMatchObject([{ status: 'failed', failed_at: run.failed_at, last_error: run.last_error }])
      expect(messages).toMatchObject([
        {
          status: 'incomplete',
          incomplete_details: { reason: 'run_failed' },
          content: [{ type: 'text', text: { value: 'Hel' } }],
        },
      ])
      expect(requests).toBe(1)
    },
  )
})

test('what a model says gets into no log, even if it cannot be read', async () => {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  backend.otherwise = ({ chunk, response }) => {
    chunk({ content: 'secret' })
    response.end('data: {"choices": [{"delta": {"content": "secret"\n\n')
  }
  const server = await startProcess({ env: { OPENAI_BASE_URL: backend.url } })
  const { run } = await converse(server.client, {}, 'secret')
  expect((await atRest(server.client, await run())).last_error?.message).toMatch(/malformed/)
  await server.stop()
  expect(server.output).toContain('listening')
  expect(server.output).not.toContain('secret')
})

test('the tokens of a call are those that the backend counts, with their details', async () => {
  const h = await startApp()
  h.backend.turns.push(({ chunk, end }) => {
    chunk({ content: 'Hello.' })
    chunk({}, 'stop')
    end({
      prompt_tokens: 100,
      completion_tokens: 20,
      total_tokens: 120,
      prompt_tokens_details: { cached_tokens: 64 },
      completion_tokens_details: { reasoning_tokens: 7, accepted_prediction_tokens: 1 },
    })
  })
  const { run, steps } = await ranOn(h)
  const usage = {
    prompt_tokens: 100,
    completion_tokens: 20,
    total_tokens: 120,
    prompt_token_details: { cached_tokens: 64 },
    completion_tokens_details: { reasoning_tokens: 7 },
  }
  expect(run.usage).toEqual(usage)
  expect(steps[0]?.usage).toEqual(usage)
})

describe('a backend that has moved', () => {
  const moved = (location: string): Turn => refuse(308, {}, { location })
  const keys: (string | undefined)[] = []
  const answering: Turn = ({ request, text }) => {
    keys.push(request.headers.authorization)
    text('Hello.')
  }

  test('is followed, with the key on its own ground and without it elsewhere', async () => {
    const h = await startApp()
    const other = await new ScriptedBackend().start()
    onTestFinished(() => other.stop())
    other.turns = [answering]
    h.backend.turns = [moved('/v1/chat/completions?again'), answering, moved(`${other.url}/chat/completions`)]
    expect(await ranOn(h)).toMatchObject(completed)
    expect(await ranOn(h)).toMatchObject(completed)
    expect(keys).toEqual(['Bearer sk-backend', undefined])
    expect(other.requests).toMatchObject([{ messages: [{ role: 'user' }] }])
  })

  test('and moves for ever fails the run', async () => {
    const h = await startApp()
    h.backend.otherwise = moved('/v1/chat/completions')
    expect(await ranOn(h)).toMatchObject({ run: { status: 'failed', last_error: { code: 'server_error' } } })
    expect(h.backend.requests).toHaveLength(6)
  })
})
