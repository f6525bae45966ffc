import { join } from 'node:path'
import Database from 'better-sqlite3'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { checkEnded, eventsOf, finish, until } from './harness/engine.ts'
import { aDirectory } from './harness/process.ts'
import {
  becomes,
  closed,
  get,
  lastTold,
  type Place,
  withGrandchild,
  withQueuedSpecialist,
  withSpecialist,
  withTwoTools,
} from './harness/specialists.ts'

describe('a cancel of the run', () => {
  const cancel = (h: Harness, { id, thread_id }: Place) => h.client.beta.threads.runs.cancel(id, { thread_id })

  test('ends its specialist at once, and the call of it with the run', async () => {
    const h = await startApp()
    const { begun, exchange, child } = await withSpecialist(h)
    await cancel(h, begun)
    await closed(exchange)
    await becomes(h, begun, 'cancelled')
    await becomes(h, child, 'cancelled')
    const { run, steps } = await checkEnded(h, begun)
    expect(run.usage).toMatchObject({ total_tokens: 15 })
    expect(steps).toMatchObject([{ type: 'tool_calls', status: 'cancelled' }])
    const made = await checkEnded(h, child)
    expect(made.messages).toMatchObject([{ status: 'incomplete', incomplete_details: { reason: 'run_cancelled' } }])
    expect(h.backend.requests).toHaveLength(2)
  })

  test('ends a specialist that waits for its own, and that one', async () => {
    const h = await startApp()
    const { begun, exchange, child, grandchild } = await withGrandchild(h)
    await cancel(h, begun)
    await closed(exchange)
    for (const run of [begun, child, grandchild]) {
      await becomes(h, run, 'cancelled')
      await checkEnded(h, run)
    }
  })

  test('ends a specialist that waits in the queue, even if all hands are full', async () => {
    const { h, begun, child, filler, exchange } = await withQueuedSpecialist()
    await cancel(h, begun)
    await becomes(h, child, 'cancelled')
    await becomes(h, begun, 'cancelled')
    expect(await get(h, filler)).toMatchObject({ status: 'in_progress' })
    finish(exchange)
    await becomes(h, filler, 'completed')
    await checkEnded(h, child)
  })

  test('ends its specialist at once, also where another tool of the turn gives up before', async () => {
    const h = await startApp({ tools: ['./test/tools/waiting.ts'] })
    const { begun, exchange, child } = await withTwoTools(h)
    await cancel(h, begun)
    await becomes(h, begun, 'cancelled')
    await closed(exchange)
    await becomes(h, child, 'cancelled')
  })

  test('is told to whoever listens to the specialist', async () => {
    const h = await startApp()
    const { begun, child } = await withSpecialist(h)
    const events = await eventsOf(h, child)
    await cancel(h, begun)
    const { data } = await until(events, 'thread.run.cancelled')
    expect(data).toMatchObject({ id: child.id, status: 'cancelled' })
    await until(events, 'done')
  })
})

describe('the deletion of its thread', () => {
  test('ends the specialist of its run at once', async () => {
    const h = await startApp()
    const { begun, exchange, child } = await withSpecialist(h)
    await h.client.beta.threads.delete(begun.thread_id)
    await closed(exchange)
    await becomes(h, child, 'cancelled')
    await checkEnded(h, child)
  })

  test('ends the specialists of its specialist at once', async () => {
    const h = await startApp()
    const { begun, exchange, child, grandchild } = await withGrandchild(h)
    await h.client.beta.threads.delete(begun.thread_id)
    await closed(exchange)
    for (const run of [child, grandchild]) {
      await becomes(h, run, 'cancelled')
      await checkEnded(h, run)
    }
  })

  test('of a specialist ends the specialist that it waits for, and the run goes on', async () => {
    const h = await startApp()
    const { begun, exchange, child, grandchild } = await withGrandchild(h)
    await h.client.beta.threads.delete(child.thread_id)
    await closed(exchange)
    await becomes(h, grandchild, 'cancelled')
    await becomes(h, begun, 'completed')
    expect(lastTold(h)).toMatch(/^The specialist was (deleted|stopped) before it answered/)
  })

  test('ends a specialist that waits in the queue', async () => {
    const { h, begun, child, exchange } = await withQueuedSpecialist()
    await h.client.beta.threads.delete(begun.thread_id)
    finish(exchange)
    await becomes(h, child, 'cancelled')
    await checkEnded(h, child)
    expect(h.backend.requests).toHaveLength(2)
  })
})

test('a run that fails by a fault of ours ends its specialist at once', async () => {
  const file = join(aDirectory(), 'a.db')
  const h = await startApp({ env: { DATABASE_URL: `sqlite:${file}` }, tools: ['./test/tools/waiting.ts'] })
  const { begun, exchange, child } = await withTwoTools(h)
  const database = new Database(file)
  database.exec(`CREATE TRIGGER full BEFORE UPDATE ON run_steps WHEN NEW.step_details LIKE '%It has come.%'
    BEGIN SELECT RAISE(ABORT, 'The disk is full.'); END`)
  database.close()
  process.emit('waited' as 'exit', 0)
  await becomes(h, begun, 'failed')
  await closed(exchange)
  await becomes(h, child, 'cancelled')
})
