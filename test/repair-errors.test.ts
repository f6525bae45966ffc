import { describe, expect, test } from 'vitest'
import { answeredBy, chunk, done, sending, whole } from './harness/answers.ts'
import { startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'

const hello = chunk({ content: 'Hello.' })

const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
const nested = `data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"lookup","arguments":${deep}}}]}}]}\n\n`
const calling = Array.from({ length: 101 }, (_, at) =>
  chunk({
    tool_calls: Array.from({ length: 10 }, (_, index) => ({
      index: 10 * at + index,
      function: { name: 'lookup', arguments: '{}' },
    })),
  }),
)

describe('an error in place of an answer', () => {
  const said = 'It went wrong.'
  test.each([
    ['OpenAI, llama.cpp, SGLang', { error: { message: said, type: 'server_error', code: 500 } }, 'server_error', 3],
    [
      'vLLM before 0.10',
      { object: 'error', message: said, type: 'BadRequestError', param: null, code: 400 },
      'invalid_prompt',
      1,
    ],
    ['vLLM since', { error: { message: said, type: 'BadRequestError', param: null, code: 400 } }, 'invalid_prompt', 1],
    ['OpenRouter, 429', { error: { code: 429, message: said }, user_id: 'u' }, 'rate_limit_exceeded', 3],
    [
      'OpenRouter, in the stream',
      { ...chunk({ content: '' }, 'error'), error: { code: 'server_error', message: said } },
      'server_error',
      3,
    ],
    [
      'OpenRouter, in the choice',
      chunk({ content: '' }, 'error', { error: { code: 502, message: said } }),
      'server_error',
      3,
    ],
    [
      'LiteLLM',
      { error: { message: said, type: 'throttling_error', param: null, code: '429' } },
      'rate_limit_exceeded',
      3,
    ],
    [
      'Mistral',
      { object: 'error', message: said, type: 'invalid_request_error', param: null, code: '3051' },
      'invalid_prompt',
      1,
    ],
    ['Ollama', { error: said }, 'server_error', 3],
    ['TGI', { error: said, error_type: 'overloaded' }, 'server_error', 3],
    ['TGI, of the prompt', { error: said, error_type: 'validation' }, 'invalid_prompt', 1],
    ['Gemini', [{ error: { code: 400, message: said, status: 'INVALID_ARGUMENT' } }], 'invalid_prompt', 1],
    [
      'a gateway to Anthropic',
      { type: 'error', error: { type: 'overloaded_error', message: said } },
      'server_error',
      3,
    ],
    [
      'Groq, a used-up quota',
      { error: { message: said, type: 'insufficient_quota', code: 'insufficient_quota' } },
      'rate_limit_exceeded',
      1,
    ],
    ['FastAPI', { detail: said }, 'server_error', 3],
  ] as [string, object, string, number][])('%s', async (_, error, code, tries) => {
    for (const turn of [sending(error), whole(error)]) {
      const h = await startApp()
      h.backend.otherwise = turn
      const { run } = await answeredBy(turn, {}, h)
      expect(run).toMatchObject({ status: 'failed', last_error: { code } })
      expect(run.last_error?.message).toContain(said)
      expect(run.last_error?.message).not.toMatch(/"It went|\{/)
      expect(h.backend.requests).toHaveLength(tries)
    }
  })

  test.each([
    ['vLLM before 0.10', { object: 'error', message: said, type: 'BadRequestError', code: 400 }],
    ['Ollama', { error: said }],
    ['Gemini', [{ error: { code: 400, message: said } }]],
    ['FastAPI', { detail: said }],
  ])('with an HTTP status, by its words (%s)', async (_, body) => {
    const { run } = await answeredBy(({ response }) => {
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    })
    expect(run.last_error).toEqual({ code: 'invalid_prompt', message: said })
  })

  test('an event of LM Studio', async () => {
    const h = await startApp({ env: { BACKEND_RETRIES: '0' } })
    const { run } = await answeredBy(
      sending(`event: error\ndata: ${JSON.stringify({ error: { message: said } })}\n\n`),
      {},
      h,
    )
    expect(run.last_error).toEqual({ code: 'server_error', message: `The model backend failed: ${said}` })
    const plain = await answeredBy(sending(`event: error\ndata: ${said}\n\n`), {}, h)
    expect(plain.run.last_error?.message).toContain(said)
  })

  test('after a part of the answer: the part is kept', async () => {
    const { run, texts } = await answeredBy(sending(hello, { error: { message: said, code: 429 } }))
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'rate_limit_exceeded', message: said } })
    expect(texts).toEqual(['Hello.'])
  })

  test.each([
    [
      'a page',
      whole('<!doctype html><h1>Open WebUI</h1>', 'text/html; charset=utf-8'),
      /text\/html.*OPENAI_BASE_URL/,
      1,
    ],
    ['some text', whole('ok', 'text/plain'), /text\/plain.*OPENAI_BASE_URL/, 1],
    ['JSON that is no answer', whole({ status: 'ok' }), /nothing in it/, 4],
    ['JSON that breaks off', whole('{"choices": ['), /malformed/, 1],
    ['nothing', whole('', 'text/event-stream'), /nothing in it/, 4],
    ['an end without an answer', sending(done), /nothing in it/, 4],
    ['a chunk that breaks off', sending('data: {"choices": [\n\n'), /malformed/, 1],
    ['arguments that are nested without end', sending(nested), /malformed/, 1],
    ['a line without end', sending(`data: ${'"'.padEnd(33_000_000)}`), /more at once/, 1],
    ['an object without end', whole('{'.padEnd(33_000_000)), /more at once/, 1],
    ['calls without end', sending(...calling), /more than 1000 times/, 1],
    ['a reason without an error (DeepSeek)', sending(chunk({}, 'insufficient_system_resource'), done), /failed/, 3],
  ] as [string, Turn, RegExp, number][])('%s', async (_, turn, message, tries) => {
    const h = await startApp()
    h.backend.otherwise = turn
    const { run } = await answeredBy(turn, {}, h)
    expect(run).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } })
    expect(run.last_error?.message).toMatch(message)
    expect(h.backend.requests).toHaveLength(tries)
  })
})
