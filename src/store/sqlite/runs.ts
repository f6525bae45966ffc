import { randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import type { Clock } from '../../clock.ts'
import { isTerminal } from '../../runs/lifecycle.ts'
import type { Message } from '../../schemas/messages.ts'
import type { Run } from '../../schemas/runs.ts'
import { noUsage } from '../../schemas/usage.ts'
import type { Earlier, RunChange, RunState, Snapshot, Store } from '../store.ts'
import type { Db } from './database.ts'
import { pageOf, runFields } from './objects.ts'
import { prepareRuns } from './run-statements.ts'
import { runs } from './schema.ts'
import type { ThreadStatements } from './threads.ts'

/** After all messages. */
const newest = Number.MAX_SAFE_INTEGER

function stateOf({ version, spent, ...run }: Run & Omit<RunState, 'run'>): RunState {
  return { run, version, spent }
}

export function createRuns(db: Db, threads: ThreadStatements, clock: Clock): Store['runs'] {
  const statements = prepareRuns(db)

  const madeBy = (run_id: string) => ({
    steps: statements.steps.all({ run_id }),
    messages: statements.messages.all({ run_id }),
  })

  function write({ open, save, files = [] }: RunChange) {
    // Steps and messages are only ever saved by whoever may move their run, so ids are all the guard they need.
    for (const step of save?.steps ?? []) statements.saveStep.run({ ...step, spent: step.spent ?? null })
    for (const message of save?.messages ?? []) statements.saveMessage.run({ ...message })
    for (const file of files) statements.insertFile.run({ ...file })
    if (open) statements.insertStep.run({ ...open.step, spent: null })
    if (open?.message) threads.insertMessage.run({ ...open.message })
  }

  function insert(run: Run, before: readonly Message[], parent_run_id: string | null): RunState {
    threads.insertMessages(before)
    const first = { version: 1, spent: noUsage }
    statements.insert.run({ ...run, ...first, lease_id: null, available_at: clock(), parent_run_id })
    return { run, ...first }
  }

  function earlierThan({ id: run_id, thread_id }: Run, older: number, limit: number): Earlier {
    // One more tells whether there are any.
    const rows = statements.othersMessages({ thread_id, run_id, older, limit: limit + 1 })
    const page = rows.slice(0, limit).reverse()
    const before = page.map(({ message }) => message)
    const run_ids = [...new Set(before.flatMap((message) => message.run_id ?? []))]
    const beforeSteps = run_ids.length === 0 ? [] : statements.stepsOfCallers(run_ids)
    return { before, beforeSteps, older: rows.length > limit ? page[0]?.seq : undefined }
  }

  return {
    async insert(run, before, thread) {
      return db.atomically(() => {
        // Nothing can be in the way on a thread that is new.
        if (thread) threads.insertThread.run({ ...thread })
        const refusal = thread ? undefined : threads.refusalOf(run.thread_id)
        if (refusal) return refusal
        return insert(run, before, null)
      })
    },

    async insertChild(parent_run_id, run, before, thread) {
      return db.atomically(() => {
        if (statements.state.get({ id: parent_run_id })?.status !== 'in_progress') return undefined
        threads.insertThread.run({ ...thread })
        return insert(run, before, parent_run_id)
      })
    },

    async family(run_id) {
      return statements.family(run_id)
    },

    async get(thread_id, id) {
      return statements.one.get({ thread_id, id })
    },

    async update(thread_id, id, patch) {
      return statements.update.get({ thread_id, id, ...patch })
    },

    async page(thread_id, query) {
      return pageOf(db, runs, eq(runs.thread_id, thread_id), query, (where, order, limit) =>
        db.select(runFields).from(runs).where(where).orderBy(order).limit(limit).all(),
      )
    },

    async active(thread_id) {
      return threads.active.get({ thread_id })
    },

    async snapshot(of) {
      return db.atOnce((): Snapshot | undefined => {
        const row = 'run_id' in of ? statements.state.get({ id: of.run_id }) : statements.newestState.get(of)
        if (!row) return undefined
        const { lease_id: _, ...state } = { lease_id: null, ...row }
        return { ...stateOf(state), ...madeBy(row.id) }
      })
    },

    async open(run_id) {
      return db.atOnce(() => ({
        steps: statements.openSteps.all({ run_id }),
        messages: statements.openMessages.all({ run_id }),
      }))
    },

    async conversation(run, limit) {
      // Of one moment without a transaction: nobody else adds to the thread of an active run.
      const steps = statements.stepsWithSpent.all({ run_id: run.id })
      const messages = steps.length === 0 ? [] : statements.messages.all({ run_id: run.id })
      return { ...earlierThan(run, newest, limit), steps, messages }
    },

    async earlier(run, older, limit) {
      return earlierThan(run, older, limit)
    },

    async claim(until, held = []) {
      return db.atomically(() => {
        const lease_id = randomUUID()
        const values = { lease_id, until, now: clock() }
        const row =
          held.length === 0
            ? statements.claim.get(values)
            : statements.claimUnheld.get({ ...values, held: JSON.stringify(held) })
        if (!row) return undefined
        if (row.status === 'in_progress') {
          statements.discardMessages.run({ run_id: row.id })
          statements.discardSteps.run({ run_id: row.id })
        }
        return { ...stateOf(row), lease_id }
      })
    },

    async waitingModels() {
      return statements.waitingModels.all({ now: clock() }).map(({ model }) => model)
    },

    async extend(lease_ids, until) {
      return statements.extend.all({ lease_ids: JSON.stringify(lease_ids), until })
    },

    async release(lease_id) {
      statements.release.run({ lease_id, now: clock() })
    },

    async commit(run_id, change, lease_id) {
      const move = statements.moves(change, lease_id !== undefined)
      return db.atomically(() => {
        const values = { ...change.patch, spent: change.spent, id: run_id, lease_id, now: clock() }
        const moved = move.get(values)
        if (moved) {
          write(change)
          if (change.spent) statements.keepSteps.run({ run_id })
          if (change.to && isTerminal(change.to)) statements.cancelChildren.run({ run_id, now: clock() })
          return { applied: true, state: stateOf(moved) }
        }
        const found = statements.state.get({ id: run_id })
        if (!found) return { applied: false, state: undefined, held: false }
        const { lease_id: holder, ...state } = found
        return { applied: false, state: stateOf(state), held: lease_id === undefined || holder === lease_id }
      })
    },
  }
}
