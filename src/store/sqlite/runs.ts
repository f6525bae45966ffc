import { randomUUID } from 'node:crypto'
import { and, asc, desc, eq, inArray, isNull, lte, ne, or, sql } from 'drizzle-orm'
import type { Clock } from '../../clock.ts'
import { activeStatuses, isTerminal, sourcesOf } from '../../runs/lifecycle.ts'
import type { Message } from '../../schemas/messages.ts'
import type { Run, RunStatus } from '../../schemas/runs.ts'
import { noUsage } from '../../schemas/usage.ts'
import type { Claim, Refusal, RunChange, RunState, Snapshot, Store } from '../store.ts'
import type { Db, Queries } from './database.ts'
import { messageFields, pageOf, runFields, stepFields } from './objects.ts'
import { messages, runs, steps, threads } from './schema.ts'

const stateFields = { ...runFields, version: runs.version, spent: runs.spent }

function stateOf(row: Run & Omit<RunState, 'run'>): RunState {
  const { version, spent, ...run } = row
  return { run, version, spent }
}

/** Why nothing may be added to a thread now. */
export function refusalOf(db: Queries, thread_id: string): Refusal | undefined {
  const thread = db.select({ id: threads.id }).from(threads).where(eq(threads.id, thread_id)).get()
  if (!thread) return { refused: 'no_thread' }
  const active = db
    .select({ id: runs.id })
    .from(runs)
    .where(and(eq(runs.thread_id, thread_id), inArray(runs.status, activeStatuses)))
    .get()
  return active && { refused: 'active_run', run_id: active.id }
}

export function insertMessages(tx: Queries, list: readonly Message[]) {
  // One at a time: a statement may have 32,766 parameters, a thread more messages than that allows.
  for (const message of list) tx.insert(messages).values(message).run()
}

/** The queue's columns after a move to `to`: who holds the run, and when it next wants a worker. */
function scheduled(to: RunStatus, now: number) {
  if (to === 'queued') return { lease_id: null, available_at: now }
  if (to === 'requires_action') return { lease_id: null, available_at: sql`${runs.expires_at} * 1000` }
  if (isTerminal(to)) return { lease_id: null, available_at: null }
  // Somebody who holds the run will see for himself that it is to be cancelled.
  if (to === 'cancelling') return { available_at: sql`iif(${runs.lease_id} IS NULL, ${now}, ${runs.available_at})` }
  return {}
}

function writeChange(tx: Queries, change: RunChange) {
  // Steps and messages are only ever saved by whoever may move their run, so ids are all the guard they need.
  for (const step of change.save?.steps ?? []) tx.update(steps).set(step).where(eq(steps.id, step.id)).run()
  for (const message of change.save?.messages ?? []) {
    tx.update(messages).set(message).where(eq(messages.id, message.id)).run()
  }
  if (change.open) {
    tx.insert(steps).values(change.open.step).run()
    if (change.open.message) tx.insert(messages).values(change.open.message).run()
  }
}

export function createRuns(db: Db, clock: Clock): Store['runs'] {
  const madeBy = (tx: Queries, run_id: string) => ({
    steps: tx.select(stepFields).from(steps).where(eq(steps.run_id, run_id)).orderBy(asc(steps.seq)).all(),
    messages: tx
      .select(messageFields)
      .from(messages)
      .where(eq(messages.run_id, run_id))
      .orderBy(asc(messages.seq))
      .all(),
  })

  /** One claim statement is schedule, lease and crash recovery. */
  const claimNext = (tx: Queries, lease_id: string, until: number) =>
    tx
      .update(runs)
      .set({ lease_id, available_at: until })
      .where(
        eq(
          runs.seq,
          tx
            .select({ seq: runs.seq })
            .from(runs)
            .where(lte(runs.available_at, clock()))
            .orderBy(asc(runs.available_at), asc(runs.seq))
            .limit(1),
        ),
      )
      .returning(stateFields)
      .get()

  return {
    async insert(run, before, thread) {
      return db.transaction(
        (tx) => {
          if (thread) tx.insert(threads).values(thread).run()
          const refusal = refusalOf(tx, run.thread_id)
          if (refusal) return refusal
          insertMessages(tx, before)
          const first = { version: 1, spent: noUsage, lease_id: null, available_at: clock() }
          tx.insert(runs)
            .values({ ...run, ...first })
            .run()
          return { run, version: 1, spent: noUsage }
        },
        { behavior: 'immediate' },
      )
    },

    async get(thread_id, id) {
      return db
        .select(runFields)
        .from(runs)
        .where(and(eq(runs.id, id), eq(runs.thread_id, thread_id)))
        .get()
    },

    async update(thread_id, id, patch) {
      return db
        .update(runs)
        .set(patch)
        .where(and(eq(runs.id, id), eq(runs.thread_id, thread_id)))
        .returning(runFields)
        .get()
    },

    async page(thread_id, query) {
      return pageOf(db, runs, eq(runs.thread_id, thread_id), query, (where, order, limit) =>
        db.select(runFields).from(runs).where(where).orderBy(order).limit(limit).all(),
      )
    },

    async active(thread_id) {
      return db
        .select(runFields)
        .from(runs)
        .where(and(eq(runs.thread_id, thread_id), inArray(runs.status, activeStatuses)))
        .get()
    },

    async snapshot(of) {
      return db.transaction((tx): Snapshot | undefined => {
        const which = 'run_id' in of ? eq(runs.id, of.run_id) : eq(runs.thread_id, of.thread_id)
        const row = tx.select(stateFields).from(runs).where(which).orderBy(desc(runs.seq)).limit(1).get()
        if (!row) return undefined
        const state = stateOf(row)
        return { ...state, ...madeBy(tx, state.run.id) }
      })
    },

    async open(run_id) {
      return db.transaction((tx) => ({
        steps: tx
          .select({ ...stepFields, spent: steps.spent })
          .from(steps)
          .where(and(eq(steps.run_id, run_id), eq(steps.status, 'in_progress')))
          .orderBy(asc(steps.seq))
          .all(),
        messages: tx
          .select(messageFields)
          .from(messages)
          .where(and(eq(messages.run_id, run_id), eq(messages.status, 'in_progress')))
          .orderBy(asc(messages.seq))
          .all(),
      }))
    },

    async conversation(run, limit) {
      return db.transaction((tx) => {
        const others = or(isNull(messages.run_id), ne(messages.run_id, run.id))
        const newest = tx
          .select(messageFields)
          .from(messages)
          .where(and(eq(messages.thread_id, run.thread_id), others))
          .orderBy(desc(messages.seq))
          .limit(limit ?? -1)
          .all()
        return { before: newest.reverse(), ...madeBy(tx, run.id) }
      })
    },

    async claim(until) {
      return db.transaction(
        (tx): Claim | undefined => {
          const lease_id = randomUUID()
          const row = claimNext(tx, lease_id, until)
          if (!row) return undefined
          if (row.status === 'in_progress') {
            const open = and(eq(steps.run_id, row.id), eq(steps.status, 'in_progress'), isNull(steps.spent))
            tx.delete(steps).where(open).run()
            tx.delete(messages)
              .where(and(eq(messages.run_id, row.id), eq(messages.status, 'in_progress')))
              .run()
          }
          return { ...stateOf(row), lease_id }
        },
        { behavior: 'immediate' },
      )
    },

    async extend(lease_ids, until) {
      const held = db
        .update(runs)
        .set({ available_at: until })
        .where(inArray(runs.lease_id, [...lease_ids]))
        .returning({ lease_id: runs.lease_id, status: runs.status })
        .all()
      return held as { lease_id: string; status: RunStatus }[]
    },

    async release(lease_id) {
      db.update(runs).set({ lease_id: null, available_at: clock() }).where(eq(runs.lease_id, lease_id)).run()
    },

    async commit(run_id, change, lease_id) {
      const { to } = change
      return db.transaction(
        (tx) => {
          const moved = tx
            .update(runs)
            .set({
              ...change.patch,
              ...(change.spent && { spent: change.spent }),
              ...(to && { status: to, ...scheduled(to, clock()) }),
              version: sql`${runs.version} + 1`,
            })
            .where(
              and(
                eq(runs.id, run_id),
                inArray(runs.status, to ? sourcesOf(to) : ['in_progress']),
                lease_id === undefined ? undefined : eq(runs.lease_id, lease_id),
              ),
            )
            .returning(stateFields)
            .get()
          if (!moved) {
            const found = tx
              .select({ ...stateFields, lease: runs.lease_id })
              .from(runs)
              .where(eq(runs.id, run_id))
              .get()
            if (!found) return { applied: false, state: undefined, held: false }
            const { lease, ...row } = found
            return { applied: false, state: stateOf(row), held: lease_id === undefined || lease === lease_id }
          }
          writeChange(tx, change)
          return { applied: true, state: stateOf(moved) }
        },
        { behavior: 'immediate' },
      )
    },
  }
}
