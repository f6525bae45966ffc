import { expect, onTestFinished, test } from 'vitest'
import { ScriptedBackend } from './harness/backend.ts'
import { atRest, converse, finish, holding, madeBy, until } from './harness/engine.ts'
import { textOf } from './harness/objects.ts'
import { aDirectory, type ServerProcess, startProcess } from './harness/process.ts'
import { allEvents, namesOf, readEvents } from './harness/sse.ts'

async function startBoth(env: Record<string, string> = {}) {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const dir = aDirectory()
  // A run that is not given back would wait for ten minutes.
  const start = () => startProcess({ dir, env: { OPENAI_BASE_URL: backend.url, RUN_LEASE_SECONDS: '600', ...env } })
  return { backend, start }
}

/** A streamed run of which the client has read the first piece of text. */
async function streaming({ url, client }: ServerProcess, backend: ScriptedBackend) {
  const { turn, held } = holding('Hel')
  backend.turns.push(turn)
  const { thread, assistant } = await converse(client)
  const response = await fetch(`${url}/v1/threads/${thread.id}/runs`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-test-001', 'content-type': 'application/json' },
    body: JSON.stringify({ assistant_id: assistant.id, stream: true }),
  })
  const events = readEvents(response)
  const { data } = await until(events, 'thread.run.created')
  await until(events, 'thread.message.delta')
  return { run: { id: String(data.id), thread_id: thread.id }, events, exchange: await held }
}

async function rest(events: AsyncGenerator<Awaited<ReturnType<typeof allEvents>>[number]>) {
  const all = []
  for await (const event of events) all.push(event)
  return all
}

test('SIGTERM: streams of runs that come to rest in time end with done, the others with an error, and no run is lost', async () => {
  const { backend, start } = await startBoth({ SHUTDOWN_SECONDS: '1' })
  const server = await start()
  const quick = await streaming(server, backend)
  const slow = await streaming(server, backend)
  const exited = server.stop()
  await server.said(/SIGTERM/)
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow()

  finish(quick.exchange, 'lo.')
  expect(namesOf(await rest(quick.events))).toMatch(/M.completed S.completed R.completed done$/)
  const last = (await rest(slow.events)).at(-1)
  expect(last).toMatchObject({ event: 'error', data: { error: { type: 'server_error', param: null, code: null } } })
  await slow.exchange.closed
  expect(await exited).toBe(0)
  expect(server.output).not.toMatch(/"level":[56]0/)

  const next = await start()
  for (const { run } of [quick, slow]) {
    expect((await atRest(next.client, run)).status).toBe('completed')
    const { messages, steps } = await madeBy(next.client, run)
    expect(messages.map((message) => textOf(message as Parameters<typeof textOf>[0]))).toEqual(['Hello.'])
    expect(steps.map(({ status }) => status)).toEqual(['completed'])
    await next.client.beta.threads.messages.create(run.thread_id, { role: 'user', content: 'Next.' })
  }
  expect(backend.requests).toHaveLength(3)
})

test('SIGTERM: an idle server ends at once, even while clients keep connections open and listen to threads', async () => {
  const { start } = await startBoth({ SHUTDOWN_SECONDS: '60' })
  const server = await start()
  const { thread } = await converse(server.client)
  const response = await fetch(`${server.url}/v1/threads/${thread.id}/runs/stream`, {
    headers: { authorization: 'Bearer sk-test-001' },
  })
  const events = allEvents(response)
  expect(await server.stop()).toBe(0)
  expect((await events).map(({ event }) => event)).toEqual(['error'])
})

test('SIGTERM: runs that wait in the queue are left to the next process', async () => {
  const { backend, start } = await startBoth({ RUN_CONCURRENCY: '1', SHUTDOWN_SECONDS: '0' })
  const server = await start()
  const { exchange } = await streaming(server, backend)
  const queued = await (await converse(server.client)).run()
  expect(await server.stop()).toBe(0)
  await exchange.closed
  const { client } = await start()
  expect((await atRest(client, queued)).status).toBe('completed')
})

test('SIGTERM twice: the second ends the process at once', async () => {
  const { backend, start } = await startBoth({ SHUTDOWN_SECONDS: '600' })
  const server = await start()
  await streaming(server, backend)
  const exited = server.stop()
  await server.said(/SIGTERM/)
  expect(await server.stop()).toBeNull()
  expect(await exited).toBeNull()
})
