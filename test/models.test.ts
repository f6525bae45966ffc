import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'

const demo = { id: 'demo', object: 'model', created: expect.any(Number), owned_by: expect.any(String) }
const scripted = { id: 'org/scripted', object: 'model', created: 1, owned_by: 'test' }

const noModel = (id: string) =>
  refusal(`The model '${id}' does not exist.`, { status: 404, param: 'model', code: 'model_not_found' })

/** The server before a backend that answers everything with this. */
async function startWith(status: number, body: string): Promise<Harness> {
  const backend = createServer((_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    backend.closeAllConnections()
    backend.close()
  })
  return startApp({ env: { OPENAI_BASE_URL: `http://127.0.0.1:${(backend.address() as AddressInfo).port}/v1` } })
}

const listOf = async (h: Harness) => (await h.client.models.list()).data

describe('the list of models', () => {
  test("is the backend's, and the demo model", async () => {
    const h = await startApp()
    expect(await (await h.send('GET', '/v1/models')).json()).toEqual({ object: 'list', data: [scripted, demo] })
    const seen: string[] = []
    for await (const model of h.client.models.list()) seen.push(model.id)
    expect(seen).toEqual(['org/scripted', 'demo'])
  })

  test('is the demo model alone while the backend is down', async () => {
    const h = await startApp()
    await h.backend.stop()
    expect(await listOf(h)).toEqual([demo])
    expect(await h.client.models.retrieve('demo')).toMatchObject({ id: 'demo' })
  })

  test.for([
    [500, '{"error":{"message":"no"}}'],
    [401, '{"error":{"message":"no"}}'],
    [404, 'not found'],
    [200, '<html></html>'],
    [200, '{}'],
    [200, 'null'],
    [200, '{"object":"list","data":null}'],
    [200, '{"object":"list","data":[null]}'],
  ] as const)('is the demo model alone where the backend has no such list: %i %s', async ([status, body]) => {
    expect(await listOf(await startWith(status, body))).toEqual([demo])
  })

  test('is whole where the backend leaves out keys or adds its own', async () => {
    const h = await startWith(200, '{"data":[{"id":"a","size":7},{"id":"b","created":5,"owned_by":"me","meta":{}}]}')
    expect(await listOf(h)).toEqual([
      { id: 'a', object: 'model', created: expect.any(Number), owned_by: expect.any(String) },
      { id: 'b', object: 'model', created: 5, owned_by: 'me' },
      demo,
    ])
  })

  test('has each id once, even where the backend has a demo model too', async () => {
    const h = await startWith(200, '{"object":"list","data":[{"id":"demo","created":5,"owned_by":"me"}]}')
    expect((await listOf(h)).map(({ id }) => id)).toEqual(['demo'])
  })
})

describe('a model', () => {
  test('is found by its id, also with a slash, encoded or not', async () => {
    const h = await startApp()
    expect(await h.client.models.retrieve('org/scripted')).toMatchObject(scripted)
    for (const path of ['org/scripted', 'org%2Fscripted', 'org/scripted/']) {
      expect(await (await h.send('GET', `/v1/models/${path}`)).json()).toEqual(scripted)
    }
    expect(await (await h.send('GET', '/v1/models/demo')).json()).toEqual(demo)
  })

  test('that does not exist is a 404 that names it', async () => {
    const h = await startApp()
    for (const id of ['gpt-4o', 'org', 'scripted', 'org/scripted/x', 'Demo']) {
      expect(await refusalOf(await h.send('GET', `/v1/models/${id}`))).toEqual(noModel(id))
    }
  })
})
