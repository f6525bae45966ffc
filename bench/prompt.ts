/** What it takes to make a prompt of a thread of 5,000 messages, of the time in which nothing else can happen. */
import { performance } from 'node:perf_hooks'
import { loadCounter } from '../src/completer/encodings.ts'
import { newId } from '../src/ids.ts'
import { compose } from '../src/runs/compose.ts'
import { Hand } from '../src/runs/hand.ts'
import { firstPage } from '../src/runs/select.ts'
import { Scale, TokenCounter, type Tokens } from '../src/runs/tokens.ts'
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts'
import { aCallStep, aMessage, anAnswer, aRun, aThread } from '../test/harness/objects.ts'
import { below, type Figure, markdownTable, median } from './table.ts'

const messages = 5000
const rounds = 15
const store = createSqliteStore({ file: ':memory:', synchronous: 'NORMAL' }, Date.now)

/** Some sentences, as people write them; no two the same. */
const textOf = (n: number) =>
  `Message ${n}: the ${n % 7} boxes for order #${(n * 7919) % 100_003} left the depot in Reykjavík at ${n % 24}:15. ` +
  'Please tell the customer that they will come a day later than we had said, and ask whether that is all right.'

const thread = aThread()
await store.threads.insert(thread, [])
for (let n = 0; n < messages; n += 2) {
  const run = aRun(thread.id)
  await store.runs.insert(run, [aMessage(thread.id, textOf(n))])
  await store.runs.commit(run.id, { to: 'in_progress' })
  // Every fifth answer comes after a call.
  if (n % 10 === 0) await callTool(run)
  const { message, step } = anAnswer(run)
  const content = aMessage(thread.id, textOf(n + 1)).content
  await store.runs.commit(run.id, { open: { message, step } })
  const save = {
    messages: [{ ...message, status: 'completed' as const, content }],
    steps: [{ ...step, status: 'completed' as const }],
  }
  await store.runs.commit(run.id, { to: 'completed', save })
}

async function callTool(run: ReturnType<typeof aRun>) {
  const call = { name: 'find_order', arguments: '{"number": 4711}', output: 'It is on its way.' }
  const tool_calls = [{ id: newId('call_'), type: 'function' as const, function: call }]
  const step = aCallStep(run, { status: 'completed', step_details: { type: 'tool_calls', tool_calls } })
  await store.runs.commit(run.id, { open: { step } })
}

const run = aRun(thread.id, { instructions: 'Be brief.' })
await store.runs.insert(run, [aMessage(thread.id, 'Where is my order?')])
const claim = await store.runs.claim(Date.now() + 1e6)
if (!claim) throw new Error('There is no run to claim.')
const hand = new Hand(claim, (waiting) => waiting)
const ours = new Map()

async function measure(window: number | undefined, tokens: Tokens) {
  const completer = { windowOf: async () => window, nameOf: (model: string) => model }
  const before = performance.eventLoopUtilization()
  const start = performance.now()
  const conversation = await store.runs.conversation(run, firstPage)
  const prompt = await compose(hand, conversation, ours, {
    store,
    completer,
    tokensOf: () => tokens,
    pictureOf: async () => undefined,
    keyOf: () => undefined,
  })
  const ms = performance.now() - start
  const { active } = performance.eventLoopUtilization(before)
  return { ms: Math.max(ms, active), sent: prompt?.request.messages.length ?? 0 }
}

const newTokens = () => ({ counter: new TokenCounter(() => loadCounter('o200k_base')), scale: new Scale(1) })

const figures: Figure[] = []
for (const [name, window] of [
  ['8,192', 8192],
  ['131,072', 131_072],
  ['unknown: all are sent', undefined],
] as const) {
  const tokens = newTokens()
  const first = await measure(window, tokens)
  const times: number[] = []
  for (let n = 0; n < rounds; n++) times.push((await measure(window, tokens)).ms)
  figures.push({ name: `window ${name}: messages sent`, ours: first.sent, digits: 0 })
  if (window) figures.push({ name: 'the first time, ms', ours: first.ms, digits: 1 })
  figures.push({ name: 'later, median, ms', ours: median(times), digits: 1, target: below(20) })
}
process.stdout.write(`${markdownTable(figures)}\n`)
await store.close()
