import { describe, expect, onTestFinished, test } from 'vitest'
import { isActive, isAtRest, isOver, isTerminal, sourcesOf } from '../src/runs/lifecycle.ts'
import type { RunStatus } from '../src/schemas/runs.ts'
import { noUsage } from '../src/schemas/usage.ts'
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts'
import type { RunChange } from '../src/store/store.ts'
import { aCallStep, aMessage, anAnswer, aRun, aThread } from './harness/objects.ts'

/** Written out once more, so that a change of the table is a decision. */
const legal: Record<RunStatus, readonly RunStatus[]> = {
  queued: ['in_progress', 'cancelling', 'expired'],
  in_progress: ['requires_action', 'completed', 'incomplete', 'failed', 'cancelling', 'expired'],
  requires_action: ['queued', 'cancelling', 'expired'],
  cancelling: ['cancelled'],
  cancelled: [],
  failed: [],
  completed: [],
  incomplete: [],
  expired: [],
}
const statuses = Object.keys(legal) as RunStatus[]

/** Legal moves that lead from `queued` to each status. */
const ways: Record<RunStatus, readonly RunStatus[]> = {
  queued: [],
  in_progress: ['in_progress'],
  requires_action: ['in_progress', 'requires_action'],
  cancelling: ['cancelling'],
  cancelled: ['cancelling', 'cancelled'],
  failed: ['in_progress', 'failed'],
  completed: ['in_progress', 'completed'],
  incomplete: ['in_progress', 'incomplete'],
  expired: ['expired'],
}

/** A run in a status, reached by legal moves, with an open message and step if it has ever been in progress. */
async function runIn(status: RunStatus) {
  const store = createSqliteStore({ file: ':memory:', synchronous: 'NORMAL' }, () => 1_790_000_000_000)
  onTestFinished(() => store.close())
  const thread = aThread()
  const run = aRun(thread.id)
  await store.runs.insert(run, [aMessage(thread.id, 'Hi')], thread)
  const answer = anAnswer(run)
  for (const to of ways[status]) {
    const { applied } = await store.runs.commit(run.id, { to, ...(to === 'in_progress' && { open: answer }) })
    expect(applied).toBe(true)
  }
  const everything = async () => ({
    snapshot: await store.runs.snapshot({ run_id: run.id }),
    open: await store.runs.open(run.id),
    messages: await store.messages.page(thread.id, { limit: 9, order: 'asc' }),
    active: await store.runs.active(thread.id),
  })
  return { store, run, answer, everything }
}

/** A change with all that a change can have. */
function changeOf({ run, answer }: Awaited<ReturnType<typeof runIn>>, to?: RunStatus): RunChange {
  return {
    ...(to && { to }),
    patch: { started_at: 5, last_error: { code: 'server_error', message: 'x' } },
    spent: { ...noUsage, total_tokens: 9 },
    open: { step: aCallStep(run), message: anAnswer(run).message },
    save: {
      steps: [{ ...answer.step, status: 'completed' }],
      messages: [{ ...answer.message, status: 'completed' }],
    },
  }
}

const pairs = statuses.flatMap((from) => statuses.map((to) => [from, to] as const))

describe('the table of moves', () => {
  test.each(pairs)('from %s to %s', async (from, to) => {
    const given = await runIn(from)
    const before = await given.everything()
    expect(before.snapshot?.run.status).toBe(from)
    const commit = await given.store.runs.commit(given.run.id, changeOf(given, to))

    const { applied, state } = commit
    expect(applied).toBe(legal[from].includes(to))
    const after = await given.everything()
    if (!applied) {
      expect(after).toStrictEqual(before)
      expect(commit).toMatchObject({
        held: true,
        state: { run: before.snapshot?.run, version: before.snapshot?.version },
      })
      return
    }
    expect(state?.run).toMatchObject({ status: to, started_at: 5 })
    expect(after.snapshot).toMatchObject({ ...state, version: (before.snapshot?.version ?? 0) + 1 })
    expect(after.snapshot?.steps).toHaveLength((before.snapshot?.steps.length ?? 0) + 1)
    expect(after.active !== undefined).toBe(isActive(to))
  })

  test.each(statuses)('more of the same in %s', async (from) => {
    const given = await runIn(from)
    const before = await given.everything()
    const { applied } = await given.store.runs.commit(given.run.id, changeOf(given))
    expect(applied).toBe(from === 'in_progress')
    if (!applied) expect(await given.everything()).toStrictEqual(before)
  })

  test('the statuses that lead to another are read off the same table', () => {
    for (const [from, to] of pairs)
      expect([from, to, sourcesOf(to).includes(from)]).toEqual([from, to, legal[from].includes(to)])
  })
})

describe('what a status means', () => {
  test('terminal are those from which nothing leads on, active the others', () => {
    expect(statuses.filter(isTerminal)).toEqual(['cancelled', 'failed', 'completed', 'incomplete', 'expired'])
    expect(statuses.filter(isActive)).toEqual(['queued', 'in_progress', 'requires_action', 'cancelling'])
  })

  test('at rest are the terminal ones and the one that waits for the client', () => {
    expect(statuses.filter(isAtRest)).toEqual(['requires_action', ...statuses.filter(isTerminal)])
  })

  test('time is over from the second of expiry on, for runs that are active and not cancelled', () => {
    const now = 1_790_000_600
    const over = statuses.filter((status) => isOver(aRun('thread_1', { status, expires_at: now }), now))
    expect(over).toEqual(['queued', 'in_progress', 'requires_action'])
    expect(isOver(aRun('thread_1', { expires_at: now }), now - 1)).toBe(false)
    expect(isOver(aRun('thread_1', { expires_at: null }), now)).toBe(false)
  })
})
