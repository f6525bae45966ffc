import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse } from './harness/engine.ts'

type Answer = (response: ServerResponse) => void

const json =
  (body: unknown): Answer =>
  (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
const raw =
  (text: string, type = 'application/json'): Answer =>
  (response) =>
    response.writeHead(200, { 'content-type': type }).end(text)
/** Headers, the beginning of a body, and never its end. */
const begun =
  (status = 200): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).write('{"data":[')
const hello = raw('data: {"choices":[{"delta":{"content":"Hi."},"finish_reason":"stop"}]}\n\n', 'text/event-stream')
const listed = (...data: unknown[]) => json({ object: 'list', data })
const ownedBy = (owned_by: string) => listed({ id: 'm', owned_by })

/** A backend that says this at these paths, and `Hi.` to a chat; else 404. */
async function startWith(answers: Record<string, Answer>, settings: object = {}) {
  const server = createServer(async (request, response) => {
    for await (const _ of request);
    const answer = { '/v1/chat/completions': hello, ...answers }[request.url ?? '']
    if (answer) answer(response)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const lines: { msg?: string }[] = []
  const backends = () => ({
    backends: { b: { baseURL, retries: 0, ...settings } },
    models: [{ match: '*', backend: 'b' }],
  })
  const h = await startApp({ backends, lines })
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { h, lines }
}

async function ran(h: Harness) {
  const { run } = await converse(h.client)
  return atRest(h.client, await run())
}

const idsListed = async (h: Harness) => (await h.client.models.list()).data.map(({ id }) => id)

describe('an answer that never ends, to what a backend is asked of its models, holds up no run', () => {
  test.for([
    ['its list', { '/v1/models': begun() }],
    ['its list, with an error', { '/v1/models': begun(500) }],
    ["llama.cpp's properties", { '/v1/models': ownedBy('llamacpp'), '/props': begun() }],
    ["Ollama's models", { '/v1/models': ownedBy('library'), '/api/show': begun(), '/api/ps': begun() }],
  ] as const)('%s', async ([, answers]) => {
    const { h } = await startWith(answers)
    expect(await ran(h)).toMatchObject({ status: 'completed' })
  })
})

test('a refusal whose words never end is as silent as one without headers', async () => {
  const { h } = await startWith({ '/v1/chat/completions': begun(500) }, { firstByteSeconds: 0.2 })
  const { status, last_error } = await ran(h)
  expect([status, last_error]).toEqual([
    'failed',
    { code: 'server_error', message: 'The model backend sent nothing for 0.2 s.' },
  ])
})

describe('what a backend says of its models is believed as far as it makes sense', () => {
  test.for([
    ['half a token', { '/v1/models': listed({ id: 'm', max_model_len: 0.5 }) }],
    ['more than there is', { '/v1/models': raw('{"data":[{"id":"m","max_model_len":1e999}]}') }],
    [
      'a negative window of a loaded model, and none of the model itself',
      {
        '/v1/models': ownedBy('library'),
        '/api/ps': json({ models: [{ name: 'm', context_length: -5 }] }),
        '/api/show': json({ parameters: 'num_ctx 0' }),
      },
    ],
  ] as const)('%s is no window', async ([, answers]) => {
    const { h } = await startWith(answers)
    expect(await ran(h)).toMatchObject({ status: 'completed' })
  })

  test('what is no model is left out of the list, and what is wrong of one made up', async () => {
    const odd = { id: 'odd', created: '2026-01-01', owned_by: null }
    const { h, lines } = await startWith({ '/v1/models': listed(null, 5, odd, { id: 7 }, {}, { id: 'm', created: 3 }) })
    const { data } = await h.client.models.list()
    expect(data.slice(0, 2)).toEqual([
      { id: 'odd', object: 'model', created: 0, owned_by: 'backend' },
      { id: 'm', object: 'model', created: 3, owned_by: 'backend' },
    ])
    expect(data.slice(2).map(({ id }) => id)).toEqual(['demo'])
    expect(await ran(h)).toMatchObject({ status: 'completed' })
    expect(lines).toEqual([])
  })

  test.for([
    ['a page', raw('<html></html>', 'text/html')],
    ['null', json(null)],
    ['an object', json({ data: {} })],
  ] as const)('%s is no list, and the log says so', async ([, answer]) => {
    const { h, lines } = await startWith({ '/v1/models': answer })
    expect(await ran(h)).toMatchObject({ status: 'completed' })
    expect(await idsListed(h)).toEqual(['demo'])
    expect(lines).toMatchObject([{ msg: 'a backend does not list its models', backend: 'b' }])
  })
})
