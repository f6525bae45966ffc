import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'

const noKey = refusal(
  "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
  { status: 401 },
)
const wrongKey = (masked: string) =>
  refusal(`Incorrect API key provided: ${masked}.`, { status: 401, code: 'invalid_api_key' })

const keys = { API_KEYS: 'sk-first-key-0001, sk-second-key-0002' }
const listWith = (h: Harness, authorization: string) => h.send('GET', '/v1/threads', undefined, { authorization })

describe('with keys configured', () => {
  test('each of them is good, and nothing else', async () => {
    const h = await startApp({ env: keys })
    for (const key of ['sk-first-key-0001', 'sk-second-key-0002']) {
      expect((await listWith(h, `Bearer ${key}`)).status).toBe(200)
    }
    for (const key of ['sk-first-key-0002', 'sk-first-key-000', 'sk-first-key-00011', 'SK-FIRST-KEY-0001']) {
      expect(await refusalOf(await listWith(h, `Bearer ${key}`))).toEqual(
        wrongKey(`${key.slice(0, 5)}***${key.slice(-4)}`),
      )
    }
    expect((await refusalOf(await listWith(h, 'Bearer sk-first-key-0001,sk-second-key-0002'))).status).toBe(401)
  })

  test('a wrong key is shown so that its owner knows it again and nobody else learns it', async () => {
    const h = await startApp({ env: keys })
    const secret = 'sk-secretsecretsecret-wxyz'
    const answer = await listWith(h, `Bearer ${secret}`)
    expect(await refusalOf(answer)).toEqual(wrongKey('sk-se***wxyz'))
    expect(await refusalOf(await listWith(h, 'Bearer short'))).toEqual(wrongKey('***'))
  })

  test('every route under /v1 wants one, and says so before it looks at anything else', async () => {
    const h = await startApp({ env: keys })
    for (const [method, url, body] of [
      ['POST', '/v1/assistants', '{'],
      ['GET', '/v1/assistants/undefined'],
      ['GET', '/v1/threads?limit=x'],
      ['POST', '/v1/threads/runs', { assistant_id: 'asst_x', stream: true }],
      ['GET', '/v1/threads/thread_x/messages'],
      ['GET', '/v1/threads/thread_x/runs/stream'],
      ['GET', '/v1/threads/thread_x/runs/run_x/steps'],
      ['GET', '/v1/models'],
      ['GET', '/v1/models/demo'],
    ] as const) {
      const answer = await h.send(method, url, body, { authorization: '' })
      expect(await refusalOf(answer), url).toEqual(noKey)
      expect(answer.headers.get('x-request-id')).toMatch(/^req_/)
    }
  })

  test('the health routes want none', async () => {
    const h = await startApp({ env: keys })
    for (const url of ['/healthz', '/readyz']) {
      const answer = await h.send('GET', url, undefined, { authorization: '' })
      expect([answer.status, await answer.json()]).toEqual([200, { status: 'ok' }])
    }
  })
})

describe('the header', () => {
  test.for(['Bearer sk-first-key-0001', 'bearer sk-first-key-0001', 'BEARER   sk-first-key-0001  '])(
    'may be written as %j',
    async (authorization) => {
      const h = await startApp({ env: keys })
      expect((await listWith(h, authorization)).status).toBe(200)
    },
  )

  test.for(['', 'Bearer', 'Bearer ', 'sk-first-key-0001', 'Basic c2s6', 'Bearersk-first-key-0001', 'Token sk-first'])(
    'names no key as %j',
    async (authorization) => {
      const h = await startApp({ env: keys })
      expect(await refusalOf(await listWith(h, authorization))).toEqual(noKey)
    },
  )
})

describe('in development mode', () => {
  test('any key is good, but there must be one', async () => {
    const h = await startApp()
    for (const key of ['sk-any', 'x', 'none']) expect((await listWith(h, `Bearer ${key}`)).status).toBe(200)
    expect(await refusalOf(await listWith(h, ''))).toEqual(noKey)
    expect(await refusalOf(await listWith(h, 'Bearer'))).toEqual(noKey)
  })
})

test('readiness tells of a database that does not answer', async () => {
  const h = await startApp()
  await h.services.store.close()
  const ready = await h.app.inject('/readyz')
  expect([ready.statusCode, ready.json()]).toEqual([503, { status: 'unavailable' }])
  expect((await h.app.inject('/healthz')).statusCode).toBe(200)
})
