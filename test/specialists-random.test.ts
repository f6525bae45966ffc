import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { isTerminal } from '../src/runs/lifecycle.ts'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, finish, holding } from './harness/engine.ts'
import { type Random, randomBy } from './harness/random.ts'
import { askLead, childrenOf, critic, get, handingOver, type Place, specialistCall } from './harness/specialists.ts'

const seed = Number(process.env.RACE_SEED ?? 1)
const asker = 'Ask one.'

async function turnsOfLoop(count: number) {
  for (let turn = 0; turn < count; turn++) await turnOfLoop()
}

/** Models that take their time, and fail now and then. */
function answerBy(h: Harness, random: Random) {
  h.backend.otherwise = async (exchange) => {
    await turnsOfLoop(random.below(15))
    const { messages } = exchange.body
    const system = messages[0]?.content
    if (random.chance(0.1)) exchange.response.writeHead(400).end('{}')
    else if (system === critic.instructions || messages.at(-1)?.role === 'tool') exchange.text('It ', 'is ', 'bad.')
    else if (system === asker) exchange.calls(specialistCall())
    else handingOver({ instructions: asker, tools: ['create_specialist'] }, {})(exchange)
  }
}

/** What a client may do to a run at any moment; that it comes too late is no fault. */
async function disturb({ client, services }: Harness, random: Random, begun: Place) {
  const { threads } = client.beta
  await turnsOfLoop(random.below(150))
  const children = await childrenOf(client, begun).catch(() => [])
  const { id, thread_id } = children.length > 0 && random.chance(0.5) ? random.oneOf(children) : begun
  const late = () => {}
  const act = random.oneOf([
    () => threads.runs.cancel(id, { thread_id }).catch(late),
    () => threads.delete(thread_id).catch(late),
    () => services.executor.beat(),
    late,
  ])
  await act()
}

/** The newest runs of all threads. */
async function allRuns({ services: { store } }: Harness) {
  const threads = await store.threads.page({ limit: 1000, order: 'asc' })
  if ('unknown_cursor' in threads) throw new Error('There are no threads.')
  const runs = await Promise.all(threads.data.map(({ id }) => store.runs.snapshot({ thread_id: id })))
  return runs.flatMap((snapshot) => (snapshot ? [snapshot.run] : []))
}

test(`whatever is cancelled, deleted or fails at whatever moment (seed ${seed}): all ends, and there are as many places as before`, async () => {
  const random = randomBy(seed)
  const h = await startApp({ env: { RUN_CONCURRENCY: '3', BACKEND_RETRIES: '0' } })
  answerBy(h, random)
  const { assistant } = await askLead(h)
  const thread = { messages: [{ role: 'user' as const, content: 'Is it good?' }] }
  const create = () => h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })
  for (let round = 0; round < 4; round++) {
    const begun = await Promise.all(Array.from({ length: 10 }, create))
    await Promise.all(begun.map((run) => disturb(h, random, run)))
  }
  const active = async () => (await allRuns(h)).filter(({ status }) => !isTerminal(status)).length
  await expect.poll(active, { timeout: 10_000 }).toBe(0)
  const statuses = (await allRuns(h)).map(
    ({ status, metadata }) => `${metadata.specialist ? 'child' : 'run'} ${status}`,
  )
  for (const status of ['completed', 'cancelled']) {
    expect(statuses).toEqual(expect.arrayContaining([`run ${status}`, `child ${status}`]))
  }

  const turns = Array.from({ length: 5 }, () => holding('a'))
  h.backend.turns = turns.map(({ turn }) => turn)
  const before = h.backend.requests.length
  const runs = await Promise.all(turns.map(async () => (await converse(h.client)).run()))
  await h.backend.requested(before + 3)
  await h.services.executor.beat()
  await turnsOfLoop(50)
  expect(h.backend.requests).toHaveLength(before + 3)
  for (const { held } of turns) finish(await held)
  for (const run of runs) expect((await atRest(h.client, await get(h, run))).status).toBe('completed')
})
