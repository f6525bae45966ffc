import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { checkEnded, finish, holding, madeBy } from './harness/engine.ts'
import { saying } from './harness/search.ts'
import {
  askLead,
  becomes,
  childrenOf,
  closed,
  get,
  handingOver,
  lastTold,
  resultOf,
  specialistCall,
  withGrandchild,
  withQueuedSpecialist,
  withSpecialist,
} from './harness/specialists.ts'

const answering =
  (status: number): Turn =>
  ({ response }) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end('{"error":{"message":"No luck."}}')

describe('a specialist that comes to no answer is told to the run, which goes on', () => {
  test.each([
    [401, /^The specialist failed: .*No luck/],
    [429, /^The specialist failed: /],
    [500, /^The specialist failed: /],
  ] as const)('the backend answers %i', async (status, told) => {
    const h = await startApp({ env: { BACKEND_RETRIES: '0' } })
    const { runWith } = await askLead(h)
    const { run, outputs, children } = await runWith([handingOver({}), answering(status), saying('Then not.')])
    expect(children[0]?.run).toMatchObject({ status: 'failed', usage: { total_tokens: 0 } })
    expect(run).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
    expect(outputs).toEqual([expect.stringMatching(told)])
    expect(outputs[0]).toContain(children[0]?.run.last_error?.message)
    expect(lastTold(h)).toBe(outputs[0])
  })

  test('its answer is cut', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const cut: Turn = ({ chunk, end }) => {
      chunk({ content: 'It is ' })
      chunk({}, 'length')
      end()
    }
    const { run, outputs, children } = await runWith([handingOver({}), cut, saying('Then not.')])
    expect(children[0]?.run.status).toBe('incomplete')
    expect(run.status).toBe('completed')
    expect(outputs).toEqual(['It is \n[The specialist had to stop here: its tokens were used up.]'])
  })

  test('a client cancels it', async () => {
    const h = await startApp()
    const { begun, exchange, child } = await withSpecialist(h)
    await h.client.beta.threads.runs.cancel(child.id, { thread_id: child.thread_id })
    await closed(exchange)
    await becomes(h, begun, 'completed')
    const { run, outputs } = await resultOf(h, begun)
    expect(outputs).toEqual(['The specialist was stopped before it answered (cancelled).'])
    expect(run.usage).toMatchObject({ total_tokens: 30 })
    expect((await checkEnded(h, child)).run.status).toBe('cancelled')
  })

  test('a client deletes its thread', async () => {
    const h = await startApp()
    const { begun, exchange, child } = await withSpecialist(h)
    await h.client.beta.threads.delete(child.thread_id)
    await closed(exchange)
    await becomes(h, begun, 'completed')
    const { steps } = await madeBy(h.client, begun)
    expect(steps.map(({ status }) => status)).toEqual(['completed', 'completed'])
    expect(lastTold(h)).toMatch(/^The specialist was (deleted|stopped) before it answered/)
  })

  test('a client deletes its thread while it waits in the queue', async () => {
    const { h, begun, child, exchange } = await withQueuedSpecialist()
    await h.client.beta.threads.delete(child.thread_id)
    finish(exchange)
    await becomes(h, begun, 'completed')
    expect(lastTold(h)).toMatch(/^The specialist was (deleted|stopped) before it answered/)
  })
})

describe('the time of a run', () => {
  const pass = async (h: Harness) => {
    h.time.now += 601_000
    await h.services.executor.beat()
  }

  test('is that of its specialist, and both expire', async () => {
    const h = await startApp()
    const { begun, exchange, child } = await withSpecialist(h)
    h.time.now += 100_000
    expect((await get(h, child)).expires_at).toBe(begun.expires_at)
    await pass(h)
    await closed(exchange)
    await becomes(h, begun, 'expired')
    await becomes(h, child, 'expired')
    expect((await checkEnded(h, begun)).run.usage).toMatchObject({ total_tokens: 15 })
    expect((await checkEnded(h, child)).messages).toMatchObject([{ status: 'incomplete' }])
  })

  test('is that of a specialist that begins late', async () => {
    const h = await startApp()
    const { turn, held } = holding()
    const lead = await askLead(h)
    h.backend.turns = [turn, saying('Bad.')]
    const begun = await lead.run()
    const exchange = await held
    h.time.now += 599_000
    exchange.calls(specialistCall())
    await becomes(h, begun, 'completed')
    const { children } = await resultOf(h, begun)
    expect(children[0]?.run).toMatchObject({ created_at: h.time.now / 1000, status: 'completed' })
  })

  test('ends with it all below it', async () => {
    const h = await startApp()
    const { begun, exchange, child, grandchild } = await withGrandchild(h)
    await pass(h)
    await closed(exchange)
    for (const run of [begun, child, grandchild]) {
      await becomes(h, run, 'expired')
      await checkEnded(h, run)
    }
  })

  test('ends a specialist that waits in the queue', async () => {
    const { h, begun, child, exchange } = await withQueuedSpecialist()
    await pass(h)
    await becomes(h, begun, 'expired')
    await closed(exchange)
    await expect.poll(async () => (await get(h, child)).status).toMatch(/^(expired|cancelled)$/)
    await checkEnded(h, child)
    expect(h.backend.requests).toHaveLength(2)
  })
})

describe('a stop of the server', () => {
  test('gives both back, and the next start goes on with the same specialist', async () => {
    const h = await startApp()
    const { begun, exchange, child } = await withSpecialist(h)
    await h.services.executor.stop(0)
    await closed(exchange)
    for (const run of [begun, child]) expect(await get(h, run)).toMatchObject({ status: 'in_progress' })
    h.backend.turns = [saying('It is bad.'), saying('No.')]
    h.services.executor.start()
    await becomes(h, begun, 'completed')
    const { run, outputs, children } = await resultOf(h, begun)
    expect(outputs).toEqual(['It is bad.'])
    expect(children.map((one) => `${one.run.id} ${one.run.status}`)).toEqual([`${child.id} completed`])
    expect(run.usage).toMatchObject({ total_tokens: 45 })
    expect(await h.services.store.runs.family(begun.id)).toEqual({ depth: 0, descendants: 1 })
  })

  test('waits for a run whose specialist comes to its end in time', async () => {
    const h = await startApp()
    const { begun, exchange } = await withSpecialist(h)
    const stopped = h.services.executor.stop(60_000)
    finish(exchange, 'bad.')
    await stopped
    expect(await get(h, begun)).toMatchObject({ status: 'completed', usage: { total_tokens: 45 } })
    expect(await childrenOf(h.client, begun)).toHaveLength(1)
  })
})
