import fc from 'fast-check'
import { expect, test } from 'vitest'
import { newId } from '../src/ids.ts'
import { countTokens } from '../src/retrieval/extraction/tokens.ts'
import { earlierTurns, madeTurns, type Turn } from '../src/runs/history.ts'
import { requestFor } from '../src/runs/prompt.ts'
import { Room } from '../src/runs/room.ts'
import { select } from '../src/runs/select.ts'
import { Scale, TokenCounter } from '../src/runs/tokens.ts'
import type { Message } from '../src/schemas/messages.ts'
import type { RunStep } from '../src/schemas/run-steps.ts'
import type { Conversation, Earlier } from '../src/store/store.ts'
import { aCallStep, aMessage, anAnswer, aRun } from './harness/objects.ts'

const counter = new TokenCounter(async () => countTokens)
const tokens = { counter, scale: new Scale(1) }
const tokensOf = async (turns: readonly Turn[]) => {
  let sum = 0
  for (const turn of turns) sum += await counter.of(turn)
  return sum
}

interface Said {
  messages: Message[]
  steps: RunStep[]
}

/** What a run says and calls: texts, each followed by calls or not. */
function saidBy(run_id: string, answers: readonly { text: string; outputs: readonly string[] }[]): Said {
  const run = aRun('thread_1', { id: run_id })
  const said: Said = { messages: [], steps: [] }
  for (const { text, outputs } of answers) {
    const { message, step } = anAnswer(run)
    said.messages.push({ ...message, status: 'completed', content: aMessage('thread_1', text).content })
    said.steps.push({ ...step, status: 'completed' })
    if (outputs.length === 0) continue
    const tool_calls = outputs.map((output) => ({
      id: newId('call_'),
      type: 'function' as const,
      function: { name: 'f', arguments: JSON.stringify({ text }), output },
    }))
    said.steps.push(aCallStep(run, { status: 'completed', step_details: { type: 'tool_calls', tool_calls } }))
  }
  return said
}

const text = fc.oneof(fc.lorem({ maxCount: 30 }), fc.string({ unit: 'grapheme', maxLength: 80 }))
const answer = fc.record({ text, outputs: fc.array(text, { maxLength: 3 }) })
const answers = fc.array(answer, { minLength: 1, maxLength: 3 })
const thread = fc.array(fc.oneof(text, answers), { minLength: 1, maxLength: 25 })

/** A thread in memory, read in pages of any size. */
function conversationOf(said: readonly (string | Parameters<typeof saidBy>[1])[], made: Said, firstPage: number) {
  const parts = said.map((one) =>
    typeof one === 'string' ? { messages: [aMessage('thread_1', one)], steps: [] } : saidBy(newId('run_'), one),
  )
  const messages = parts.flatMap((part) => part.messages)
  const callers = new Set(
    parts.flatMap(({ steps }) => (steps.some(({ type }) => type === 'tool_calls') ? steps[0]?.run_id : [])),
  )
  const steps = parts.flatMap((part) => part.steps).filter(({ run_id }) => callers.has(run_id))
  const page = (end: number, limit: number): Earlier => {
    const start = Math.max(0, end - limit)
    const before = messages.slice(start, end)
    const beforeSteps = steps.filter(({ run_id }) => before.some((message) => message.run_id === run_id))
    return { before, beforeSteps, older: start > 0 ? start : undefined }
  }
  const conversation: Conversation = { ...page(messages.length, firstPage), ...made }
  const whole = earlierTurns({ before: messages, beforeSteps: steps }, 'm')
  return { conversation, whole, more: async (older: number, limit: number) => page(older, Math.min(limit, firstPage)) }
}

test('a prompt has the newest of a thread, whole turns of it, and as much as there is room for', async () => {
  const cases = fc.record({
    said: thread,
    made: fc.array(answer, { maxLength: 4 }),
    limit: fc.integer({ min: 1, max: 1200 }),
    firstPage: fc.integer({ min: 1, max: 12 }),
  })
  const property = fc.asyncProperty(cases, async ({ said, made: ownAnswers, limit, firstPage }) => {
    const own = saidBy('run_own', ownAnswers)
    const { conversation, whole, more } = conversationOf(said, own, firstPage)
    const made = madeTurns(own)
    const selected = await select(conversation, new Room(limit, tokens), aRun('thread_1'), more)
    const must = [...whole.slice(-1), ...made.slice(-1)]
    if (!selected) {
      expect(await tokensOf(must)).toBeGreaterThan(limit)
      return
    }

    const sent = [...selected.earlier, ...selected.made]
    expect(await tokensOf(sent)).toBeLessThanOrEqual(limit)
    expect(selected.earlier).toEqual(whole.slice(-selected.earlier.length))
    expect(selected.made).toEqual(made.slice(made.length - selected.made.length))
    expect(selected.earlier.length).toBeGreaterThan(0)
    if (selected.made.length < made.length) expect(selected.earlier).toHaveLength(1)
    const missing =
      selected.made.length < made.length
        ? made[made.length - selected.made.length - 1]
        : whole[whole.length - selected.earlier.length - 1]
    if (missing) expect(await tokensOf([...sent, missing])).toBeGreaterThan(limit)

    const options = { completionTokens: null, tools: [], hasCalled: false, pictures: new Map() }
    const { messages } = requestFor(aRun('thread_1'), sent, options)
    for (const [at, message] of messages.entries()) {
      if (message.role !== 'tool') continue
      const asked = messages.slice(0, at).findLast(({ role }) => role === 'assistant')
      const ids = asked?.role === 'assistant' ? asked.tool_calls?.map(({ id }) => id) : []
      expect(ids).toContain(message.tool_call_id)
    }
    const calls = messages.flatMap((message) => (message.role === 'assistant' ? (message.tool_calls ?? []) : []))
    expect(messages.filter(({ role }) => role === 'tool')).toHaveLength(calls.length)
  })
  await fc.assert(property, { numRuns: 400 })
})

test('a prompt has no more messages than the run wants, whatever the pages', async () => {
  const cases = fc.record({
    said: thread,
    wanted: fc.integer({ min: 1, max: 30 }),
    firstPage: fc.integer({ min: 1, max: 12 }),
  })
  const property = fc.asyncProperty(cases, async ({ said, wanted, firstPage }) => {
    const size = Math.min(firstPage, wanted)
    const { conversation, whole, more } = conversationOf(said, saidBy('run_own', []), size)
    const run = aRun('thread_1', { truncation_strategy: { type: 'last_messages', last_messages: wanted } })
    const selected = await select(conversation, new Room(Number.POSITIVE_INFINITY, tokens), run, more)
    const ids = (turns: readonly Turn[] = []) =>
      turns.flat().flatMap(({ object, id }) => (object === 'thread.message' ? id : []))
    expect(ids(selected?.earlier)).toEqual(ids(whole).slice(-wanted))
  })
  await fc.assert(property, { numRuns: 300 })
})

test('no page is read of which nothing can be taken', async () => {
  const said = Array.from({ length: 12 }, (_, n) => `${n} apples`)
  const { conversation, whole, more } = conversationOf(said, saidBy('run_own', []), 3)
  const room = await tokensOf(whole.slice(-5))
  const asked: number[] = []
  const counted = (older: number, limit: number) => {
    asked.push(older)
    return more(older, limit)
  }
  const selected = await select(conversation, new Room(room, tokens), aRun('thread_1'), counted)
  expect(selected?.earlier).toEqual(whole.slice(-5))
  expect(asked).toEqual([9])
})

test('calls are counted as they are sent, whatever they had when they were counted before', async () => {
  const call = (output: string) => ({
    id: newId('call_'),
    type: 'function' as const,
    function: { name: 'f', arguments: '{}', output },
  })
  const [long, short] = [call('apples '.repeat(5000)), call('pears')]
  const tool_calls = [long, short]
  const reasoning = { model: 'm', message: { reasoning_content: 'Hm. '.repeat(1000) }, calls: {} }
  const step = aCallStep(aRun('thread_1'), { step_details: { type: 'tool_calls', tool_calls, reasoning } })
  const sent = (calls: (typeof long)[], more: object = {}) =>
    counter.of([{ ...step, step_details: { type: 'tool_calls', tool_calls: calls, ...more } }])
  expect(await sent(tool_calls, { reasoning })).toBeGreaterThan(6000)
  expect(await sent(tool_calls)).toBeLessThan(6000)
  expect(await sent([short])).toBeLessThan(100)
})
