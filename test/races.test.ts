import { join } from 'node:path'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, checkEnded, converse, eventsOf, finish, holding, madeBy, outputsFor, until } from './harness/engine.ts'
import { textOf } from './harness/objects.ts'
import { aDirectory } from './harness/process.ts'
import { allEvents, namesOf } from './harness/sse.ts'

type Exchange = Parameters<Turn>[0]

const text = (message: unknown) => textOf(message as Parameters<typeof textOf>[0])
const turnsOfLoop = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await turnOfLoop()
}

describe('cancel', () => {
  test('before the model call: there is none', async () => {
    const h = await startApp({ started: false })
    const { run } = await converse(h.client)
    const { id, thread_id } = await run()
    const cancelling = await h.client.beta.threads.runs.cancel(id, { thread_id })
    expect(cancelling).toMatchObject({ status: 'cancelling', cancelled_at: null, usage: null })
    await h.services.executor.tick()
    const ended = await checkEnded(h, { id, thread_id })
    expect(ended.run).toMatchObject({ status: 'cancelled', started_at: null })
    expect(h.backend.requests).toEqual([])
  })

  test('of a run that waits for outputs ends its step too', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }))
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    const { id, thread_id } = waiting
    const cancelling = await h.client.beta.threads.runs.cancel(id, { thread_id })
    expect(cancelling).toMatchObject({ status: 'cancelling', required_action: null })
    await atRest(h.client, waiting)
    const { run: ended, steps } = await checkEnded(h, waiting)
    expect(ended).toMatchObject({ status: 'cancelled', usage: { total_tokens: 15 } })
    expect(steps).toMatchObject([{ status: 'cancelled', usage: { total_tokens: 15 } }])
    await expect(
      h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) }),
    ).rejects.toThrow('400 Runs in status "cancelled" do not accept tool outputs.')
  })

  test('after the end is refused and changes nothing', async () => {
    const h = await startApp()
    const { run } = await converse(h.client)
    const completed = await atRest(h.client, await run())
    const { id, thread_id } = completed
    await expect(h.client.beta.threads.runs.cancel(id, { thread_id })).rejects.toThrow(
      "400 Cannot cancel run with status 'completed'.",
    )
    expect((await checkEnded(h, completed)).run).toEqual(completed)
  })

  test('twice is once', async () => {
    const h = await startApp({ started: false })
    const { run } = await converse(h.client)
    const { id, thread_id } = await run()
    const answers = await Promise.allSettled([1, 2, 3].map(() => h.client.beta.threads.runs.cancel(id, { thread_id })))
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    const refused = answers.find(({ status }) => status === 'rejected') as PromiseRejectedResult
    expect(refused.reason.message).toBe("400 Cannot cancel run with status 'cancelling'.")
  })

  test('just as the model ends: what was acknowledged holds, at whatever moment it comes', async () => {
    const h = await startApp()
    const outcomes = new Set<string>()
    for (let moment = 0; moment < 40; moment++) {
      const { turn, held } = holding('Hel')
      h.backend.turns.push(turn)
      const begun = await (await converse(h.client)).run()
      finish(await held, 'lo.')
      await turnsOfLoop(moment % 20)
      const answer = await h.send('POST', `/v1/threads/${begun.thread_id}/runs/${begun.id}/cancel`)
      await atRest(h.client, begun)
      const { run, messages } = await checkEnded(h, begun)
      expect([moment, run.status]).toEqual([moment, answer.status === 200 ? 'cancelled' : 'completed'])
      if (run.status === 'completed') expect(messages.map(text)).toEqual(['Hello.'])
      outcomes.add(run.status)
    }
    expect([...outcomes].sort()).toEqual(['cancelled', 'completed'])
  })
})

describe('a cancel ends the connection to the backend within 100 ms', () => {
  test.each([
    ['before its headers', () => {}],
    ['after its headers', ({ response }) => void response.writeHead(200).flushHeaders()],
    ['after its first chunk, without a word', ({ chunk }) => chunk({ role: 'assistant', content: '' })],
    ['in the middle of a text', ({ chunk }) => chunk({ content: 'Hel' })],
    [
      'in the middle of a function call',
      ({ chunk }) =>
        chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'lookup', arguments: '{' } }] }),
    ],
    [
      'between the last word and the end',
      ({ chunk }) => {
        chunk({ content: 'Hello.' })
        chunk({}, 'stop')
      },
    ],
  ] as [string, Turn][])('%s', async (_, begin) => {
    const h = await startApp()
    const { promise: begun, resolve } = Promise.withResolvers<Exchange>()
    h.backend.turns.push((exchange) => {
      begin(exchange)
      resolve(exchange)
    })
    const { id, thread_id } = await (await converse(h.client)).run()
    const closed = (await begun).closed.then(() => performance.now())
    // The server reads what the backend has written.
    await turnsOfLoop(5)
    const asked = performance.now()
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    expect((await closed) - asked).toBeLessThan(100)
    await atRest(h.client, { id, thread_id })
    expect((await checkEnded(h, { id, thread_id })).run.status).toBe('cancelled')
    expect(h.backend.requests).toHaveLength(1)
  })

  test('or its wait for another try', async () => {
    const h = await startApp()
    h.backend.otherwise = ({ response }) => {
      response.writeHead(429, { 'retry-after': '30' }).end('{}')
    }
    const { id, thread_id } = await (await converse(h.client)).run()
    await h.backend.requested(1)
    await turnsOfLoop(5)
    await h.client.beta.threads.runs.cancel(id, { thread_id })
    await atRest(h.client, { id, thread_id })
    expect((await checkEnded(h, { id, thread_id })).run.status).toBe('cancelled')
    expect(h.backend.requests).toHaveLength(1)
  })
})

describe('of requests that exclude each other one is served', () => {
  test('creates of runs on one thread', async () => {
    const h = await startApp({ started: false })
    const { run, thread } = await converse(h.client)
    const answers = await Promise.allSettled([run(), run(), run()])
    const won = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
    const lost = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason.message] : []))
    expect(won).toHaveLength(1)
    const refusal = `400 Thread ${thread.id} already has an active run ${won[0]?.id}.`
    expect(lost).toEqual([refusal, refusal])
    const { data } = await h.client.beta.threads.runs.list(thread.id)
    expect(data).toHaveLength(1)
  })

  test('submits of outputs', async () => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }))
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    const { id, thread_id } = waiting
    const answers = await Promise.all(
      ['one', 'two'].map((output) =>
        h.send('POST', `/v1/threads/${thread_id}/runs/${id}/submit_tool_outputs`, {
          tool_outputs: outputsFor(waiting, output),
        }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
    const refusal = answers.find(({ status }) => status === 400) as Response
    const { error } = (await refusal.json()) as { error: { message: string } }
    expect(error.message).toMatch(/^Runs in status "(queued|in_progress|completed)" do not accept tool outputs\.$/)
    await atRest(h.client, waiting)
    const { run: ended, steps } = await checkEnded(h, waiting)
    expect(ended.status).toBe('completed')
    expect(steps.map(({ type }) => type)).toEqual(['tool_calls', 'message_creation'])
    const given = answers[0]?.status === 200 ? 'one' : 'two'
    expect(h.backend.requests).toHaveLength(2)
    expect(h.backend.requests[1]?.messages.at(-1)).toMatchObject({ role: 'tool', content: given })
  })

  test('outputs and a cancel', async () => {
    const h = await startApp()
    for (const first of ['submit', 'cancel'] as const) {
      h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }))
      const waiting = await atRest(h.client, await (await converse(h.client)).run())
      const url = `/v1/threads/${waiting.thread_id}/runs/${waiting.id}`
      const submit = () => h.send('POST', `${url}/submit_tool_outputs`, { tool_outputs: outputsFor(waiting) })
      const cancel = () => h.send('POST', `${url}/cancel`)
      await Promise.all(first === 'submit' ? [submit(), cancel()] : [cancel(), submit()])
      await atRest(h.client, waiting)
      expect((await checkEnded(h, waiting)).run.status).toBe('cancelled')
    }
  })
})

test('an expiry just as the model ends leaves the run completed or expired, and that for good', async () => {
  const h = await startApp()
  const outcomes = new Set<string>()
  for (let moment = 0; moment < 40; moment++) {
    const { turn, held } = holding('Hel')
    h.backend.turns.push(turn)
    const begun = await (await converse(h.client)).run()
    finish(await held, 'lo.')
    await turnsOfLoop(moment % 20)
    h.time.now += 600_000
    await h.services.executor.beat()
    const rested = await atRest(h.client, begun)
    await h.services.executor.beat()
    const { run, messages } = await checkEnded(h, begun)
    expect(run).toEqual(rested)
    if (run.status === 'completed') expect(messages.map(text)).toEqual(['Hello.'])
    else expect(run.status).toBe('expired')
    outcomes.add(run.status)
  }
  expect([...outcomes].sort()).toEqual(['completed', 'expired'])
})

describe('a worker whose lease is lost', () => {
  /** Two servers on one database; the second takes over what the first one's model has begun. */
  async function takenOver(begin: Turn, begun: string) {
    const env = { DATABASE_URL: `sqlite:${join(aDirectory(), 'a.db')}` }
    const one = await startApp({ env, started: false, leaseMs: 1000 })
    const other = await startApp({ env, started: false, leaseMs: 1000 })
    const { turn, held } = holding()
    one.backend.turns.push(turn)
    const run = await (await converse(one.client)).run()
    const events = await eventsOf(one, run)
    const first = one.services.executor.tick()
    const exchange = await held
    begin(exchange)
    await until(events, begun)
    other.time.now += 1000
    return { one, other, run, first, exchange }
  }

  test('writes nothing more and doubles nothing, though its model goes on', async () => {
    const { one, other, run, first, exchange } = await takenOver(
      ({ chunk }) => chunk({ content: 'Hel' }),
      'thread.message.delta',
    )
    const { turn, held } = holding('Good')
    other.backend.turns.push(turn)
    const second = other.services.executor.tick()
    const taken = await held
    finish(exchange, 'lo.')
    await first
    expect((await madeBy(one.client, run)).run.status).toBe('in_progress')
    finish(taken, 'bye.')
    await second
    const { run: ended, steps, messages } = await checkEnded(other, run)
    expect(ended).toMatchObject({ status: 'completed', usage: { total_tokens: 15 } })
    expect(steps.map(({ status }) => status)).toEqual(['completed'])
    expect(messages.map(text)).toEqual(['Goodbye.'])
  })

  test('opens no second message beside that of the worker who has the run now', async () => {
    const { one, other, run, first, exchange } = await takenOver(
      ({ chunk }) => chunk({ role: 'assistant' }),
      'thread.run.in_progress',
    )
    await other.services.executor.tick()
    finish(exchange, 'Hello again.')
    await first
    const { messages } = await checkEnded(one, run)
    expect(messages.map(text)).toEqual(['Hello.'])
  })

  test('leaves no text behind that its model said before it called a function', async () => {
    const { other, run, first, exchange } = await takenOver(({ chunk }) => {
      chunk({ content: 'Let me see.' })
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'lookup', arguments: '{' } }] })
    }, 'thread.run.step.delta')
    await other.services.executor.tick()
    exchange.response.destroy()
    await first
    const { messages, steps } = await checkEnded(other, run)
    expect(messages.map(text)).toEqual(['Hello.'])
    expect(steps.map(({ type }) => type)).toEqual(['message_creation'])
    expect(other.backend.requests[0]?.messages).toEqual([{ role: 'user', content: 'Hi' }])
  })

  test('keeps what earlier turns of the run have said and called', async () => {
    const env = { DATABASE_URL: `sqlite:${join(aDirectory(), 'a.db')}` }
    const one = await startApp({ env, started: false, leaseMs: 1000 })
    const other = await startApp({ env, started: false, leaseMs: 1000 })
    const { turn, held } = holding('Hel')
    one.backend.turns.push((exchange) => {
      exchange.chunk({ content: 'Let me see.' })
      exchange.calls({ name: 'lookup', arguments: '{}' })
    }, turn)
    const begun = await (await converse(one.client)).run()
    await one.services.executor.tick()
    const waiting = await atRest(one.client, begun)
    const { id, thread_id } = waiting
    await one.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    const first = one.services.executor.tick()
    await held
    await until(await eventsOf(one, begun), 'thread.message.completed')
    other.time.now += 1000
    await other.services.executor.tick()
    finish(await held, 'lo.')
    await first
    const { messages, steps } = await checkEnded(other, begun)
    expect(messages.map(text)).toEqual(['Let me see.', 'Hello.'])
    expect(steps.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls', 'message_creation'])
  })
})

test('deleting a thread ends its run, the call to the model and the streams, and leaves nothing', async () => {
  const h = await startApp()
  const { turn, held } = holding('Hel')
  h.backend.turns.push(turn)
  const { thread, assistant } = await converse(h.client)
  const created = await h.send('POST', `/v1/threads/${thread.id}/runs`, { assistant_id: assistant.id, stream: true })
  const events = allEvents(created)
  const exchange = await held
  const run = await h.services.store.runs.active(thread.id)
  await until(await eventsOf(h, { id: run?.id ?? '', thread_id: thread.id }), 'thread.message.delta')
  expect(await h.client.beta.threads.delete(thread.id)).toMatchObject({ deleted: true })
  await exchange.closed
  expect(namesOf(await events)).toMatch(/M.delta R.cancelling M.incomplete S.cancelled R.cancelled done$/)
  expect(await h.services.store.runs.snapshot({ thread_id: thread.id })).toBeUndefined()
  await expect(h.client.beta.threads.retrieve(thread.id)).rejects.toThrow(/^404/)
  expect(await h.services.executor.tick()).toBe(false)
})

test('metadata that a client gives a message while it is being written stays', async () => {
  const h = await startApp()
  const { turn, held } = holding('Hel')
  h.backend.turns.push(turn)
  const { thread, run } = await converse(h.client)
  const begun = await run()
  const { data } = await until(await eventsOf(h, begun), 'thread.message.created')
  await h.client.beta.threads.messages.update(data.id, { thread_id: thread.id, metadata: { seen: 'yes' } })
  finish(await held, 'lo.')
  await atRest(h.client, begun)
  const { messages } = await checkEnded(h, begun)
  expect(messages).toMatchObject([{ status: 'completed', metadata: { seen: 'yes' } }])
})
