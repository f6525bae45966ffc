import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { aFolder, type Harness, startApp } from './harness/app.ts'
import { atRest, converse, outputsFor } from './harness/engine.ts'
import { refuseAs } from './harness/refusals.ts'

const withKey = (key = 'sk-of-alice') => ({ headers: { 'x-backend-key': key } })

/** Models that begin with `own` are called with the client's keys, others with the server's. */
const backends = (baseURL: string) => ({
  backends: { own: { baseURL, clientKeys: true, retries: 0 }, house: { baseURL, apiKey: 'sk-house' } },
  models: [
    { match: 'own*', backend: 'own' },
    { match: '*', backend: 'house' },
  ],
})

/** The keys with which the backend was called. */
function keysAt({ backend }: Harness): unknown[] {
  const keys: unknown[] = []
  const answering = backend.otherwise
  backend.otherwise = (exchange) => {
    keys.push(exchange.request.headers.authorization)
    return answering(exchange)
  }
  return keys
}

const lookingUp: Harness['backend']['otherwise'] = ({ body, calls, text }) =>
  body.messages.at(-1)?.role === 'tool' ? text('Sunny.') : calls({ name: 'lookup', arguments: '{}' })

async function submit(h: Harness, run: Awaited<ReturnType<typeof atRest>>, options = {}) {
  const { id, thread_id } = run
  const body = { thread_id, tool_outputs: outputsFor(run) }
  await h.client.beta.threads.runs.submitToolOutputs(id, body, options)
  return atRest(h.client, run)
}

describe('a key that the client brings', () => {
  test('is what its run is called with, to its end, and no other run', async () => {
    const h = await startApp({ backends })
    h.backend.otherwise = lookingUp
    const keys = keysAt(h)
    const { thread, assistant, run } = await converse(h.client, { model: 'own-1' })
    const { id: assistant_id } = assistant
    const { runs } = h.client.beta.threads
    const waiting = await atRest(h.client, await runs.create(thread.id, { assistant_id }, withKey()))
    expect((await submit(h, waiting)).status).toBe('completed')
    expect(keys).toEqual(['Bearer sk-of-alice', 'Bearer sk-of-alice'])

    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const begun = await h.client.beta.threads.createAndRun({ assistant_id, thread: { messages } }, withKey('sk-of-bob'))
    await atRest(h.client, begun)
    expect(keys.slice(2)).toEqual(['Bearer sk-of-bob'])

    const without = await atRest(h.client, await run())
    expect(without).toMatchObject({ status: 'failed', last_error: { code: 'server_error' } })
    expect(without.last_error?.message).toMatch(/'own'.*x-backend-key.*None came with this run/)
    expect(keys).toHaveLength(3)
  })

  test('is not looked at where the operator does not allow it', async () => {
    const h = await startApp({ backends })
    const keys = keysAt(h)
    const { thread, assistant } = await converse(h.client, { model: 'm' })
    const begun = await h.client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id }, withKey())
    await atRest(h.client, begun)
    expect(keys).toEqual(['Bearer sk-house'])
  })

  test('and that is refused is told as its own', async () => {
    const h = await startApp({ backends })
    h.backend.otherwise = refuseAs(401, { error: { message: 'Wrong key.' } })
    const { thread, assistant } = await converse(h.client, { model: 'own-1' })
    const begun = await h.client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id }, withKey())
    const { last_error } = await atRest(h.client, begun)
    const message = 'The model backend refused the key of the header x-backend-key. It said: Wrong key.'
    expect(last_error).toEqual({ code: 'server_error', message })
  })

  test('and has come to its limit holds up nobody who brings another', async () => {
    const h = await startApp({ backends })
    h.backend.turns = [
      ({ response }) => void response.writeHead(429, { 'retry-after': '60' }).end('{"error":{"message":"Slow down."}}'),
    ]
    const { thread, assistant, run } = await converse(h.client, { model: 'own-1' })
    const { id: assistant_id } = assistant
    const limited = await h.client.beta.threads.runs.create(thread.id, { assistant_id }, withKey())
    expect((await atRest(h.client, limited)).last_error?.code).toBe('rate_limit_exceeded')
    const other = await h.client.beta.threads.runs.create(thread.id, { assistant_id }, withKey('sk-of-bob'))
    expect((await atRest(h.client, other)).status).toBe('completed')
    expect((await atRest(h.client, await run())).last_error?.message).toMatch(/None came with this run/)
  })

  test('is lost with a restart, which the run says, and may be sent again with the tool outputs', async () => {
    const folder = aFolder()
    const before = await startApp({ backends, folder })
    before.backend.otherwise = lookingUp
    const { assistant } = await converse(before.client, { model: 'own-1' })
    const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
    const body = { assistant_id: assistant.id, thread }
    const { beta } = before.client
    const waiting = [await beta.threads.createAndRun(body, withKey()), await beta.threads.createAndRun(body, withKey())]
    const [one, other] = await Promise.all(waiting.map((run) => atRest(before.client, run)))
    if (!one || !other) throw new Error('There are two.')
    await before.close()
    const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
    const stored = files.map((file) => readFileSync(join(file.parentPath, file.name), 'latin1'))
    expect(stored.join()).toContain(one.id)
    expect(stored.join()).not.toContain('sk-of-alice')

    const after = await startApp({ backends, folder })
    after.backend.otherwise = lookingUp
    const keys = keysAt(after)
    expect((await submit(after, one)).last_error?.message).toMatch(
      /the server has restarted since: keys are not stored/,
    )
    expect((await submit(after, other, withKey())).status).toBe('completed')
    expect(keys).toEqual(['Bearer sk-of-alice'])
  })

  test("is a specialist's too", async () => {
    const h = await startApp({ backends })
    h.backend.turns = [
      ({ calls }) =>
        calls({ name: 'create_specialist', arguments: '{"name":"poet","instructions":"Rhyme.","task":"A poem."}' }),
    ]
    const keys = keysAt(h)
    const tools = [{ type: 'create_specialist' } as never]
    const { thread, assistant } = await converse(h.client, { model: 'own-1', tools })
    const begun = await h.client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id }, withKey())
    expect((await atRest(h.client, begun)).status).toBe('completed')
    expect(keys).toEqual(['Bearer sk-of-alice', 'Bearer sk-of-alice'])
  })

  test('is in no log', async () => {
    const lines: object[] = []
    const h = await startApp({ backends, lines })
    h.backend.otherwise = refuseAs(500, { error: { message: 'No.' } })
    const { thread, assistant } = await converse(h.client, { model: 'own-1' })
    const begun = await h.client.beta.threads.runs.create(thread.id, { assistant_id: assistant.id }, withKey())
    await atRest(h.client, begun)
    expect(lines).toMatchObject([{ run_id: begun.id }])
    expect(JSON.stringify(lines)).not.toContain('sk-of-alice')
  })
})
