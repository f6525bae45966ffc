import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { sourcesOf } from '../src/runs/lifecycle.ts'
import type { Run, RunStatus } from '../src/schemas/runs.ts'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { checkEnded, converse, outputsFor } from './harness/engine.ts'
import { type Random, randomBy } from './harness/random.ts'
import { allEvents } from './harness/sse.ts'

const seed = Number(process.env.RACE_SEED ?? 1)
const races = Number(process.env.RACES ?? 500)
const atOnce = 25

const turnsOfLoop = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await turnOfLoop()
}

type Act = 'text' | 'calls' | 'length' | 'hang' | 'break' | 'refuse'

/** A model call that goes as drawn, with pauses of random length between its chunks. */
function randomTurn(random: Random, act: Act): Turn {
  const pauses = Array.from({ length: 8 }, () => random.below(6))
  const words = random.below(4)
  return async ({ chunk, calls, end, response }) => {
    const pause = async () => {
      await turnsOfLoop(pauses.pop() ?? 0)
      return !response.destroyed
    }
    if (!(await pause())) return
    if (act === 'refuse') {
      response.writeHead(400).end('{}')
      return
    }
    for (let word = 0; word < words; word++) {
      chunk({ content: `word${word} ` })
      if (!(await pause())) return
    }
    if (act === 'break') response.destroy()
    if (act === 'calls') calls({ name: 'lookup', arguments: '{}' }, { name: 'lookup', arguments: '{"q":1}' })
    if (act === 'text' || act === 'length') {
      chunk({}, act === 'text' ? 'stop' : 'length')
      if (await pause()) end()
    }
  }
}

/** One run and all that is done to it, at random moments. */
async function race(h: Harness, number: number, turns: Map<string, Turn[]>) {
  const random = randomBy(seed * 100_000 + number)
  const question = `race ${number}`
  turns.set(
    question,
    Array.from({ length: 4 }, () =>
      randomTurn(
        random,
        random.oneOf(['text', 'text', 'calls', 'calls', 'calls', 'length', 'hang', 'break', 'refuse']),
      ),
    ),
  )
  const plan = {
    streams: random.chance(0.5),
    cancels: random.chance(0.5) ? Array.from({ length: 1 + random.below(2) }, () => random.below(60)) : [],
    submits: Array.from({ length: random.below(4) }, () => random.below(5)),
    deletes: random.chance(0.06) ? random.below(60) : undefined,
  }
  const { thread, assistant } = await converse(h.client, {}, question)
  const watching = new AbortController()
  const heard = statusesOf(h, thread.id, watching.signal)
  const begun = await h.send('POST', `/v1/threads/${thread.id}/runs`, {
    assistant_id: assistant.id,
    stream: plan.streams,
  })
  expect(begun.status).toBe(200)
  const events = plan.streams ? allEvents(begun) : undefined
  const run = (await h.services.store.runs.page(thread.id, { limit: 1, order: 'desc' })) as { data: Run[] }
  const { id } = run.data[0] as Run
  const url = `/v1/threads/${thread.id}/runs/${id}`

  const post = async (pause: number, path: string, body?: object) => {
    await turnsOfLoop(pause)
    return (await h.send('POST', url + path, body)).status
  }
  const submit = async (pause: number) => {
    const statuses: number[] = []
    for (;;) {
      const now = await h.services.store.runs.get(thread.id, id)
      if (!now || !sourcesOf('in_progress').concat('in_progress', 'requires_action').includes(now.status))
        return statuses
      if (now.status === 'requires_action') {
        statuses.push(await post(pause, '/submit_tool_outputs', { tool_outputs: outputsFor(now as never) }))
      }
      await turnOfLoop()
    }
  }
  const deleting = async (pause: number) => {
    await turnsOfLoop(pause)
    return (await h.send('DELETE', `/v1/threads/${thread.id}`)).status
  }
  const acts = Promise.all([
    Promise.all(plan.cancels.map((pause) => post(pause, '/cancel'))),
    Promise.all(plan.submits.map(submit)),
    plan.deletes === undefined ? undefined : deleting(plan.deletes),
  ])
  return { number, thread_id: thread.id, id, acts, events, heard, stopWatching: () => watching.abort() }
}

/** Every status that a thread's runs are published with, in order. */
async function statusesOf(h: Harness, thread_id: string, signal: AbortSignal): Promise<RunStatus[]> {
  const statuses: RunStatus[] = []
  let last = 0
  for await (const batch of h.services.bus.subscribe(thread_id, signal)) {
    for (const { event, data, version } of batch) {
      expect(version).toBeGreaterThanOrEqual(last)
      last = version
      if (data.object === 'thread.run' && event !== 'thread.run.created') statuses.push(data.status)
    }
  }
  return statuses
}

async function check(h: Harness, one: Awaited<ReturnType<typeof race>>): Promise<RunStatus | 'deleted'> {
  const [cancels, submits, deleted] = await one.acts
  one.stopWatching()
  const heard = await one.heard
  const at = `race ${one.number} of seed ${seed}: ${heard.join(' ')}`
  for (const [index, status] of heard.entries()) {
    if (index > 0) expect(sourcesOf(status), at).toContain(heard[index - 1])
  }
  const sent = await one.events
  if (sent) expect(sent.at(-1), at).toEqual({ event: 'done', data: '[DONE]' })
  const allowed = deleted === undefined ? [200, 400] : [200, 400, 404]
  for (const status of [...cancels, ...submits.flat()]) expect(allowed, at).toContain(status)
  const cancelled = cancels.filter((status) => status === 200).length
  expect(cancelled, at).toBeLessThanOrEqual(1)

  if (deleted !== undefined) {
    expect(deleted, at).toBe(200)
    expect(await h.services.store.runs.snapshot({ run_id: one.id }), at).toBeUndefined()
    return 'deleted'
  }
  const { run, steps } = await checkEnded(h, one)
  expect(heard.at(-1), at).toBe(run.status)
  expect(run.status === 'cancelled', at).toBe(cancelled === 1)
  const answered = steps.filter(({ type, status }) => type === 'tool_calls' && status === 'completed')
  expect(answered.length, at).toBe(submits.flat().filter((status) => status === 200).length)
  return run.status
}

test(`${races} random races leave no run in an impossible state and no thread locked`, {
  timeout: 120_000,
}, async () => {
  const h = await startApp()
  const turns = new Map<string, Turn[]>()
  h.backend.otherwise = (exchange) => {
    const question = exchange.body.messages.find(({ role }) => role === 'user')?.content
    return (turns.get(String(question))?.shift() ?? (({ text }) => text('Done.')))(exchange)
  }
  const random = randomBy(seed)
  const outcomes = new Set<string>()
  for (let first = 0; first < races; first += atOnce) {
    const running = await Promise.all(Array.from({ length: atOnce }, (_, index) => race(h, first + index, turns)))
    if (random.chance(0.5)) {
      await turnsOfLoop(random.below(40))
      h.time.now += 600_000
      await h.services.executor.beat()
    }
    const active = async () =>
      (await Promise.all(running.map(({ thread_id }) => h.services.store.runs.active(thread_id)))).filter(Boolean)
    // What hangs, or waits for outputs that nobody sends, ends with its time.
    await turnsOfLoop(300)
    h.time.now += 600_000
    await h.services.executor.beat()
    await expect.poll(active, { timeout: 5000, interval: 2 }).toEqual([])
    for (const one of running) outcomes.add(await check(h, one))
  }
  expect([...outcomes].sort()).toEqual(['cancelled', 'completed', 'deleted', 'expired', 'failed', 'incomplete'])
  // Nothing is left that anybody would ever work on.
  expect(await h.services.store.runs.claim(Number.MAX_SAFE_INTEGER)).toBeUndefined()
})
