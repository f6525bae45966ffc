import fc from 'fast-check'
import { countTokens } from 'gpt-tokenizer/encoding/cl100k_base'
import type { Run } from 'openai/resources/beta/threads/runs/runs'
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import { expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, checkEnded, lookupTool } from './harness/engine.ts'
import { allEvents } from './harness/sse.ts'

type Body = ChatCompletionCreateParams

/** More of them, and others, from the environment. */
const numRuns = Number(process.env.BUDGET_RUNS ?? 40)
const seed = Number(process.env.BUDGET_SEED ?? 1)

const windows = [512, 1024, 4096]
const instructions = 'Be brief.'

/** What a model of OpenAI's counts for a prompt; four tokens are put around each message, three before the answer. */
function promptTokens({ messages, tools }: Body): number {
  const texts = messages.flatMap((message) => {
    const calls = message.role === 'assistant' ? (message.tool_calls ?? []) : []
    const written = calls.flatMap((call) =>
      call.type === 'function' ? [call.function.name, call.function.arguments] : [],
    )
    return [String(message.content ?? ''), ...written]
  })
  if (tools) texts.push(JSON.stringify(tools))
  return texts.reduce((sum, text) => sum + countTokens(text), 0) + 4 * messages.length + 3
}

const words = (count: number) => 'apple '.repeat(count).trim()
const size = fc.integer({ min: 1, max: 120 })
const limit = (max: number) => fc.option(fc.integer({ min: 256, max }))
const cases = fc.record({
  thread: fc.array(fc.record({ role: fc.constantFrom('user' as const, 'assistant' as const), size }), {
    minLength: 1,
    maxLength: 30,
  }),
  model: fc.constantFrom('gpt-4', ...windows.map((window) => `gpt-4-${window}`)),
  max_prompt_tokens: limit(3000),
  max_completion_tokens: limit(600),
  last_messages: fc.option(fc.integer({ min: 1, max: 20 })),
  /** Answers with calls, and the tokens of each output; then the tokens of the last answer. */
  rounds: fc.array(fc.array(fc.integer({ min: 0, max: 250 }), { minLength: 1, maxLength: 3 }), { maxLength: 4 }),
  answer: fc.integer({ min: 1, max: 400 }),
  /** The model heeds the limit of its answer. */
  heeds: fc.boolean(),
})
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never

/** The model: calls as planned, then answers. What it is asked and spends is written down. */
function planned({ rounds, answer, heeds }: Case) {
  const asked: { body: Body; prompt: number; completion: number; wasCut: boolean }[] = []
  const turn: Turn = ({ body, chunk, end }) => {
    const prompt = promptTokens(body)
    const outputs = rounds[asked.length]
    const wanted = outputs ? 10 * outputs.length : answer
    const most = body.max_completion_tokens ?? Number.POSITIVE_INFINITY
    const completion = heeds ? Math.min(wanted, most) : wanted
    const wasCut = completion < wanted
    asked.push({ body, prompt, completion, wasCut })
    if (outputs && !wasCut) {
      const tool_calls = outputs.map((_, index) => ({
        ...{
          index,
          id: `call_${index}`,
          type: 'function',
          function: { name: 'lookup', arguments: `{"q":"${index}"}` },
        },
      }))
      chunk({ tool_calls })
      chunk({}, 'tool_calls')
    } else {
      chunk({ content: words(completion) })
      chunk({}, wasCut ? 'length' : 'stop')
    }
    end({ prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion })
  }
  return { asked, turn }
}

async function playedOut(h: Harness, given: Case): Promise<Run> {
  const { client } = h
  const { model, max_prompt_tokens, max_completion_tokens, last_messages } = given
  const assistant = await client.beta.assistants.create({ model, instructions, tools: [lookupTool] })
  const messages = given.thread.map(({ role, size }, n) => ({ role, content: `${n} ${words(size)}` }))
  const thread = await client.beta.threads.create({
    messages: [{ role: 'user', content: 'Hi' }, ...messages],
  })
  let run = await atRest(
    client,
    await client.beta.threads.runs.create(thread.id, {
      assistant_id: assistant.id,
      max_prompt_tokens,
      max_completion_tokens,
      truncation_strategy: last_messages === null ? { type: 'auto' } : { type: 'last_messages', last_messages },
    }),
  )
  for (let round = 0; run.status === 'requires_action'; round++) {
    const calls = run.required_action?.submit_tool_outputs.tool_calls ?? []
    const tool_outputs = calls.map(({ id }, at) => ({
      ...{ tool_call_id: id, output: words(given.rounds[round]?.[at] ?? 0) },
    }))
    run = await atRest(
      client,
      await client.beta.threads.runs.submitToolOutputs(run.id, { thread_id: thread.id, tool_outputs }),
    )
  }
  return run
}

const isNumbered = ({ content, role }: Body['messages'][number]) => role !== 'tool' && /^\d+ /.test(String(content))

function checkRequest({ messages, max_completion_tokens }: Body, prompt: number, given: Case, left: number) {
  const window = Number(given.model.split('-')[2] ?? Number.POSITIVE_INFINITY)
  expect(prompt).toBeLessThanOrEqual(left)
  expect(prompt + (max_completion_tokens ?? 1)).toBeLessThanOrEqual(window)
  expect(messages[0]).toEqual({ role: 'system', content: instructions })
  const newest = given.thread.length - 1
  const numbers = messages.filter(isNumbered).map(({ content }) => Number.parseInt(String(content), 10))
  expect(numbers).toEqual(numbers.map((_, at) => newest - numbers.length + 1 + at))
  expect(numbers).toContain(newest)
  if (given.last_messages) expect(numbers.length).toBeLessThanOrEqual(given.last_messages)
  const open = new Set<string>()
  for (const message of messages) {
    if (message.role === 'tool') expect(open.delete(message.tool_call_id)).toBe(true)
    else expect([...open]).toEqual([])
    if (message.role === 'assistant') for (const { id } of message.tool_calls ?? []) open.add(id)
  }
  expect([...open]).toEqual([])
}

async function check(h: Harness, given: Case) {
  const { asked, turn } = planned(given)
  h.backend.otherwise = turn
  const run = await playedOut(h, given)
  const max = {
    prompt: given.max_prompt_tokens ?? Number.POSITIVE_INFINITY,
    completion: given.max_completion_tokens ?? Number.POSITIVE_INFINITY,
  }
  let [prompt, completion] = [0, 0]
  for (const one of asked) {
    expect(completion).toBeLessThan(max.completion)
    expect(one.body.max_completion_tokens ?? max.completion).toBeLessThanOrEqual(max.completion - completion)
    checkRequest(one.body, one.prompt, given, max.prompt - prompt)
    prompt += one.prompt
    completion += one.completion
  }
  expect(run.usage).toMatchObject({ prompt_tokens: prompt, completion_tokens: completion })
  expect(prompt).toBeLessThanOrEqual(max.prompt)
  if (given.heeds) expect(completion).toBeLessThanOrEqual(max.completion)

  const last = asked.at(-1)
  const isOver = asked.length === given.rounds.length + 1 && !last?.wasCut
  const outcome = { status: run.status, reason: run.incomplete_details?.reason, code: run.last_error?.code }
  if (isOver) expect(outcome).toEqual({ status: 'completed' })
  else if (last?.wasCut || completion >= max.completion) {
    expect(outcome).toEqual({ status: 'incomplete', reason: 'max_completion_tokens' })
  } else if (outcome.status === 'failed') {
    expect(outcome.code).toBe('invalid_prompt')
    expect(run.last_error?.message).toMatch(/do not fit into the \d+ tokens/)
  } else expect(outcome).toEqual({ status: 'incomplete', reason: 'max_prompt_tokens' })

  const { steps, messages } = await checkEnded(h, run)
  const events = await allEvents(await h.send('GET', `/v1/threads/${run.thread_id}/runs/${run.id}/stream`))
  expect(events.slice(-2).map(({ event }) => event)).toEqual([`thread.run.${run.status}`, 'done'])
  expect(events.at(-2)?.data).toEqual(run)
  expect(steps.filter(({ type }) => type === 'tool_calls')).toHaveLength(asked.filter(isCalling(given)).length)
  const cut = messages.filter(({ status }) => status === 'incomplete')
  expect(cut.map(({ incomplete_details }) => incomplete_details)).toEqual(
    last?.wasCut ? [{ reason: 'max_tokens' }] : [],
  )
}

const isCalling =
  ({ rounds }: Case) =>
  ({ wasCut }: { wasCut: boolean }, at: number) =>
    at < rounds.length && !wasCut

test(`whatever the thread, the window and the budgets (seed ${seed}): no prompt is too long, and a run ends as it must`, {
  timeout: 120_000,
}, async () => {
  const h = await startApp({
    backends: (baseURL) => ({
      backends: { only: { baseURL } },
      models: [
        ...windows.map((window) => ({ match: `gpt-4-${window}`, backend: 'only', window })),
        { match: '*', backend: 'only' },
      ],
    }),
  })
  await fc.assert(
    fc.asyncProperty(cases, (given) => check(h, given)),
    { numRuns, seed, endOnFailure: numRuns > 200 },
  )
})
