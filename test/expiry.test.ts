import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { atRest, converse, eventsOf, holding, lookupTool, madeBy, outputsFor, until } from './harness/engine.ts'
import { textOf } from './harness/objects.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const tenMinutes = 600_000

describe('a run expires', () => {
  test('while it is queued, and its model is never asked', async () => {
    const h = await startApp({ started: false })
    const { thread, run } = await converse(h.client)
    const { id, thread_id, expires_at } = await run()
    expect(expires_at).toBe(h.time.now / 1000 + 600)
    h.time.now += tenMinutes
    await h.services.executor.tick()
    expect(await h.client.beta.threads.runs.retrieve(id, { thread_id })).toMatchObject({
      status: 'expired',
      started_at: null,
      expires_at,
      completed_at: null,
      failed_at: null,
      cancelled_at: null,
      last_error: null,
      usage: { total_tokens: 0 },
    })
    expect(h.backend.requests).toEqual([])
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'Still there?' })
  })

  test('while the model speaks: the call is stopped, what has come is kept, and the stream tells', async () => {
    const h = await startApp()
    const { turn, held } = holding('Hel', 'lo')
    h.backend.turns.push(turn)
    const { thread, assistant } = await converse(h.client)
    const response = await h.send('POST', `/v1/threads/${thread.id}/runs`, { assistant_id: assistant.id, stream: true })
    const events = allEvents(response)
    const { closed } = await held
    const run = await h.services.store.runs.active(thread.id)
    await until(await eventsOf(h, { id: run?.id ?? '', thread_id: thread.id }), 'thread.message.delta')
    h.time.now += tenMinutes
    await h.services.executor.beat()
    await closed
    expect(namesOf(await events)).toMatch(
      /S.created S.in_progress M.created M.in_progress M.delta M.incomplete S.expired R.expired done$/,
    )
    const made = await madeBy(h.client, { id: run?.id ?? '', thread_id: thread.id })
    const now = h.time.now / 1000
    expect(made.run).toMatchObject({ status: 'expired', expires_at: now, completed_at: null, last_error: null })
    expect(made.run.usage).not.toBeNull()
    expect(made.steps).toMatchObject([{ status: 'expired', expired_at: now }])
    expect(made.messages).toMatchObject([
      { status: 'incomplete', incomplete_at: now, incomplete_details: { reason: 'run_expired' } },
    ])
    expect(textOf(made.messages[0] as Parameters<typeof textOf>[0])).toMatch(/^Hel(lo)?$/)
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'Still there?' })
  })

  test('while it waits for its client, who is then refused', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }))
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    expect(waiting.status).toBe('requires_action')
    h.time.now += tenMinutes
    await h.services.executor.beat()
    const { id, thread_id } = waiting
    await expect.poll(async () => (await madeBy(h.client, waiting)).run.status).toBe('expired')
    const made = await madeBy(h.client, waiting)
    expect(made.run).toMatchObject({
      required_action: null,
      expires_at: waiting.expires_at,
      usage: { total_tokens: 15 },
    })
    expect(made.steps).toMatchObject([
      { status: 'expired', expired_at: h.time.now / 1000, usage: { total_tokens: 15 } },
    ])
    await expect(
      h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) }),
    ).rejects.toThrow('400 Runs in status "expired" do not accept tool outputs.')
    await h.client.beta.threads.messages.create(thread_id, { role: 'user', content: 'Still there?' })
  })

  test('in a wait before another try of the model call', async () => {
    const h = await startApp()
    h.backend.otherwise = ({ response }) => {
      response.writeHead(429, { 'retry-after': '30' }).end('{}')
    }
    const { run } = await converse(h.client)
    const { id, thread_id } = await run()
    await h.backend.requested(1)
    h.time.now += tenMinutes
    await h.services.executor.beat()
    expect((await atRest(h.client, { id, thread_id })).status).toBe('expired')
    expect(h.backend.requests).toHaveLength(1)
  })
})

describe('a run does not expire', () => {
  test('before its time', async () => {
    const h = await startApp()
    const { turn, held } = holding('Hel')
    h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }), turn)
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    h.time.now += tenMinutes - 1
    await h.services.executor.beat()
    expect(await h.services.executor.tick()).toBe(false)
    expect((await madeBy(h.client, waiting)).run.status).toBe('requires_action')
    const { id, thread_id } = waiting
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    await held
    await h.services.executor.beat()
    const { run: going } = await madeBy(h.client, waiting)
    expect(going).toMatchObject({ status: 'in_progress', expires_at: waiting.expires_at })
    // Outputs do not prolong it.
    h.time.now += 1
    await h.services.executor.beat()
    expect((await atRest(h.client, waiting)).status).toBe('expired')
  })

  test('once it is over', async () => {
    const h = await startApp()
    const { run } = await converse(h.client)
    const completed = await atRest(h.client, await run())
    expect(completed.status).toBe('completed')
    h.time.now += 2 * tenMinutes
    await h.services.executor.beat()
    expect(await h.services.executor.tick()).toBe(false)
    expect((await madeBy(h.client, completed)).run).toEqual(completed)
  })

  test('once it is asked to cancel', async () => {
    const h = await startApp({ started: false })
    const { run } = await converse(h.client)
    const { id, thread_id } = await run()
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    h.time.now += 2 * tenMinutes
    await h.services.executor.tick()
    expect((await madeBy(h.client, { id, thread_id })).run.status).toBe('cancelled')
  })
})

test('the time a run has can be configured', async () => {
  const h = await startApp({ env: { RUN_EXPIRY_SECONDS: '5' } })
  h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }))
  const { run } = await converse(h.client, { tools: [lookupTool] })
  const waiting = await atRest(h.client, await run())
  expect(waiting.expires_at).toBe(waiting.created_at + 5)
  h.time.now += 5000
  await h.services.executor.beat()
  await expect.poll(async () => (await madeBy(h.client, waiting)).run.status).toBe('expired')
})
