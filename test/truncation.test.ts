import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, eventsOf, madeBy, outputsFor } from './harness/engine.ts'

/** About as many tokens as words. */
const words = (count: number, word = 'apple') => `${word} `.repeat(count).trim()

async function longThread(h: Harness, count: number, each: number) {
  const { thread, run, assistant } = await converse(
    h.client,
    // Counted exactly.
    { model: 'gpt-4', instructions: 'Be brief.', tools: [] },
    words(each, 'first'),
  )
  for (let n = 1; n < count; n++) {
    const role = n % 2 === 0 ? 'user' : 'assistant'
    await h.client.beta.threads.messages.create(thread.id, { role, content: `${n} ${words(each)}` })
  }
  return { thread, run, assistant }
}

describe('a run with max_prompt_tokens', () => {
  test('sends the newest messages that there is room for, and its instructions in any case', async () => {
    const h = await startApp()
    const { run } = await longThread(h, 21, 100)
    const ended = await atRest(h.client, await run({ max_prompt_tokens: 500 }))
    expect(ended.status).toBe('completed')
    const [system, ...messages] = h.backend.requests[0]?.messages ?? []
    expect(system).toEqual({ role: 'system', content: 'Be brief.' })
    expect(messages.map(({ content }) => Number.parseInt(String(content), 10))).toEqual([17, 18, 19, 20])
  })

  test('that does not reach for the newest message ends incomplete, and asks nobody', async () => {
    const h = await startApp()
    const { run } = await converse(h.client, { tools: [] }, words(400))
    const {
      run: ended,
      steps,
      messages,
    } = await madeBy(h.client, await atRest(h.client, await run({ max_prompt_tokens: 300 })))
    expect(ended).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_prompt_tokens' } })
    expect(ended.usage).toMatchObject({ total_tokens: 0 })
    expect([steps, messages]).toEqual([[], []])
    expect(h.backend.requests).toEqual([])
    const events: string[] = []
    for await (const { event } of await eventsOf(h, ended)) events.push(event)
    expect(events).toEqual([
      'thread.run.created',
      'thread.run.queued',
      'thread.run.in_progress',
      'thread.run.incomplete',
      'done',
    ])
  })

  test('sends less of the thread in each turn, for what the turns before have used', async () => {
    const h = await startApp()
    const { thread, assistant } = await longThread(h, 11, 100)
    const lookup = { type: 'function' as const, function: { name: 'lookup' } }
    h.backend.turns = [
      ({ chunk, end }) => {
        chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'lookup', arguments: '{}' } }] })
        chunk({}, 'tool_calls')
        end({ prompt_tokens: 700, completion_tokens: 5, total_tokens: 705 })
      },
    ]
    const body = { assistant_id: assistant.id, tools: [lookup], max_prompt_tokens: 1100 }
    const waiting = await atRest(h.client, await h.client.beta.threads.runs.create(thread.id, body))
    const outputs = { thread_id: thread.id, tool_outputs: outputsFor(waiting) }
    await h.client.beta.threads.runs.submitToolOutputs(waiting.id, outputs)
    expect((await atRest(h.client, waiting)).status).toBe('completed')
    const counts = h.backend.requests.map(({ messages }) =>
      messages.filter(({ content }) => /^\d+ /.test(String(content))),
    )
    expect(counts.map(({ length }) => length)).toEqual([9, 3])
    expect(h.backend.requests[1]?.messages.slice(-2).map(({ role }) => role)).toEqual(['assistant', 'tool'])
  })
})

test('a thread that is longer than a page is sent whole, if nothing limits it', async () => {
  const h = await startApp()
  const { run } = await longThread(h, 251, 1)
  await atRest(h.client, await run())
  const numbers = h.backend.requests[0]?.messages.slice(2).map(({ content }) => Number.parseInt(String(content), 10))
  expect(numbers).toEqual(Array.from({ length: 250 }, (_, n) => n + 1))
})
