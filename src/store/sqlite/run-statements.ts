import { and, asc, desc, eq, inArray, isNull, lt, lte, ne, or, type SQL, sql } from 'drizzle-orm'
import { isTerminal, sourcesOf } from '../../runs/lifecycle.ts'
import type { RunStatus } from '../../schemas/runs.ts'
import type { Done, RunChange, Said } from '../store.ts'
import { allGiven, type Db, given, prepareInsert } from './database.ts'
import { messageFields, runFields, stepFields } from './objects.ts'
import { files, messages, runs, steps } from './schema.ts'

const stateFields = { ...runFields, version: runs.version, spent: runs.spent }

/** Every statement about runs and what they make, built once. */
export function prepareRuns(db: Db) {
  const isOne = and(eq(runs.id, given('id')), eq(runs.thread_id, given('thread_id')))
  const stepsOfRun = eq(steps.run_id, given('run_id'))
  const messagesOfRun = eq(messages.run_id, given('run_id'))
  const isDue = lte(runs.available_at, given('now'))
  const isNotHeld = sql`NOT (${runs.status} = 'queued' AND ${runs.model} IN (SELECT value FROM json_each(${given('held')}))
    AND coalesce(${runs.expires_at} * 1000 > ${given('now')}, 1))`
  const unfinished = and(stepsOfRun, isNull(steps.spent))
  const unfinishedMessages = db
    .select({ id: sql`json_extract(${steps.step_details}, '$.message_creation.message_id')` })
    .from(steps)
    .where(unfinished)
  const openMessages = and(messagesOfRun, eq(messages.status, 'in_progress'))
  const leases = sql`(SELECT value FROM json_each(${given('lease_ids')}))`

  return {
    insert: prepareInsert(db, runs),
    one: db.select(runFields).from(runs).where(isOne).prepare(),
    update: db
      .update(runs)
      .set(allGiven(['metadata']))
      .where(isOne)
      .returning(runFields)
      .prepare(),

    state: db
      .select({ ...stateFields, lease_id: runs.lease_id })
      .from(runs)
      .where(eq(runs.id, given('id')))
      .prepare(),
    newestState: db
      .select(stateFields)
      .from(runs)
      .where(eq(runs.thread_id, given('thread_id')))
      .orderBy(desc(runs.seq))
      .limit(1)
      .prepare(),

    steps: db.select(stepFields).from(steps).where(stepsOfRun).orderBy(asc(steps.seq)).prepare(),
    stepsWithSpent: db
      .select({ ...stepFields, spent: steps.spent })
      .from(steps)
      .where(stepsOfRun)
      .orderBy(asc(steps.seq))
      .prepare(),
    messages: db.select(messageFields).from(messages).where(messagesOfRun).orderBy(asc(messages.seq)).prepare(),
    openSteps: db
      .select({ ...stepFields, spent: steps.spent })
      .from(steps)
      .where(and(stepsOfRun, eq(steps.status, 'in_progress')))
      .orderBy(asc(steps.seq))
      .prepare(),
    openMessages: db.select(messageFields).from(messages).where(openMessages).orderBy(asc(messages.seq)).prepare(),
    othersMessages: othersMessages(db),
    stepsOfCallers: stepsOfCallers(db),

    claim: prepareClaim(db, isDue),
    claimUnheld: prepareClaim(db, and(isDue, isNotHeld)),
    waitingModels: db
      .selectDistinct({ model: runs.model })
      .from(runs)
      .where(and(isDue, eq(runs.status, 'queued')))
      .prepare(),
    discardMessages: db.delete(messages).where(inArray(messages.id, unfinishedMessages)).prepare(),
    discardSteps: db.delete(steps).where(unfinished).prepare(),
    keepSteps: db
      .update(steps)
      .set({ spent: sql`${steps.usage}` })
      .where(unfinished)
      .prepare(),
    extend: db
      .update(runs)
      .set({ available_at: sql`${given('until')}` })
      .where(sql`${runs.lease_id} IN ${leases}`)
      .returning({ lease_id: sql<string>`${runs.lease_id}`, status: runs.status })
      .prepare(),
    release: db
      .update(runs)
      .set({ lease_id: null, available_at: sql`${given('now')}` })
      .where(eq(runs.lease_id, given('lease_id')))
      .prepare(),

    insertFile: prepareInsert(db, files),
    insertStep: prepareInsert(db, steps),
    saveStep: db
      .update(steps)
      .set(
        allGiven([
          'metadata',
          'status',
          'cancelled_at',
          'completed_at',
          'expired_at',
          'failed_at',
          'last_error',
          'step_details',
          'usage',
          'spent',
        ]),
      )
      .where(eq(steps.id, given('id')))
      .prepare(),
    // What a client may write meanwhile, the metadata, is not saved over.
    saveMessage: db
      .update(messages)
      .set(allGiven(['status', 'incomplete_details', 'incomplete_at', 'completed_at', 'content', 'attachments']))
      .where(eq(messages.id, given('id')))
      .prepare(),

    moves: prepareMoves(db),

    cancelChildren: db
      .update(runs)
      .set({
        status: 'cancelling',
        required_action: null,
        ...scheduled('cancelling'),
        version: sql`${runs.version} + 1`,
      })
      .where(
        and(
          eq(runs.parent_run_id, given('run_id')),
          inArray(runs.status, sourcesOf('cancelling')),
          // Those whose own time is over expire.
          sql`coalesce(${runs.expires_at} * 1000 > ${given('now')}, 1)`,
        ),
      )
      .prepare(),
    family: (run_id: string) => familyOf(db, run_id),
  }
}

/** One statement is schedule, lease and crash recovery. */
function prepareClaim(db: Db, isClaimable: SQL | undefined) {
  const next = db
    .select({ seq: runs.seq })
    .from(runs)
    .where(isClaimable)
    .orderBy(asc(runs.available_at), asc(runs.seq))
    .limit(1)
  return db
    .update(runs)
    .set({ lease_id: sql`${given('lease_id')}`, available_at: sql`${given('until')}` })
    .where(eq(runs.seq, next))
    .returning(stateFields)
    .prepare()
}

function familyOf(db: Db, run_id: string) {
  const up = sql`up(id, parent, depth) AS (
    SELECT id, parent_run_id, 0 FROM ${runs} WHERE id = ${run_id}
    UNION ALL SELECT r.id, r.parent_run_id, depth + 1 FROM ${runs} r JOIN up ON r.id = up.parent)`
  const down = sql`down(id) AS (
    SELECT id FROM (SELECT id FROM up ORDER BY depth DESC LIMIT 1)
    UNION ALL SELECT r.id FROM ${runs} r JOIN down ON r.parent_run_id = down.id)`
  return db.get<{ depth: number; descendants: number }>(
    sql`WITH RECURSIVE ${up}, ${down}
      SELECT (SELECT max(depth) FROM up) AS depth, (SELECT count(*) - 1 FROM down) AS descendants`,
  )
}

// Of thousands of rows Drizzle takes longer to make objects than SQLite to find them: these are taken as they come.

/** Newest first. */
function othersMessages(db: Db) {
  const { seq, id, run_id, role, content } = messages
  const others = and(
    eq(messages.thread_id, given('thread_id')),
    lt(seq, given('older')),
    or(isNull(run_id), ne(run_id, given('run_id'))),
  )
  const statement = db
    .select({ seq, id, run_id, role, content })
    .from(messages)
    .where(others)
    .orderBy(desc(seq))
    .limit(given('limit'))
    .prepare()
  type Row = [number, string, string | null, Said['role'], string]
  return (values: { thread_id: string; run_id: string; older: number; limit: number }) =>
    (statement.values(values) as Row[]).map(([seq, id, run_id, role, content]) => {
      const message: Said = { id, object: 'thread.message', run_id, role, content: JSON.parse(content) }
      return { seq, message }
    })
}

function stepsOfCallers(db: Db) {
  const { id, run_id, type, step_details } = steps
  const runIds = sql`SELECT value FROM json_each(${given('run_ids')})`
  const callers = sql`SELECT run_id FROM ${steps} WHERE run_id IN (${runIds}) AND type = 'tool_calls'`
  const statement = db
    .select({ id, run_id, type, step_details })
    .from(steps)
    .where(and(sql`${run_id} IN (${callers})`, eq(steps.status, 'completed')))
    .orderBy(asc(steps.seq))
    .prepare()
  type Row = [string, string, Done['type'], string]
  return (run_ids: readonly string[]) =>
    (statement.values({ run_ids: JSON.stringify(run_ids) }) as Row[]).map(
      ([id, run_id, type, details]): Done => ({
        id,
        object: 'thread.run.step',
        run_id,
        type,
        step_details: JSON.parse(details),
      }),
    )
}

/** The guarded UPDATE for changes of a shape: what they move to, the keys they patch, and whether under a lease. */
function prepareMoves(db: Db) {
  const build = ({ to, patch, spent }: RunChange, leased: boolean) =>
    db
      .update(runs)
      .set({
        ...allGiven(Object.keys(patch ?? {})),
        ...(spent && allGiven(['spent'])),
        ...(to && { status: to, ...scheduled(to) }),
        version: sql`${runs.version} + 1`,
      })
      .where(
        and(
          eq(runs.id, given('id')),
          inArray(runs.status, to ? sourcesOf(to) : ['in_progress']),
          leased ? eq(runs.lease_id, given('lease_id')) : undefined,
        ),
      )
      .returning(stateFields)
      .prepare()
  const built = new Map<string, ReturnType<typeof build>>()

  return (change: RunChange, leased: boolean) => {
    const shape = [change.to, leased, change.spent !== undefined, ...Object.keys(change.patch ?? {})].join()
    const statement = built.get(shape) ?? build(change, leased)
    built.set(shape, statement)
    return statement
  }
}

/** The queue's columns after a move to `to`: who holds the run, and when it next wants a worker. */
function scheduled(to: RunStatus) {
  const now = sql`${given('now')}`
  if (to === 'queued') return { lease_id: null, available_at: now }
  if (to === 'requires_action') return { lease_id: null, available_at: sql`${runs.expires_at} * 1000` }
  if (isTerminal(to)) return { lease_id: null, available_at: null }
  // Somebody who holds the run will see for himself that it is to be cancelled.
  if (to === 'cancelling') return { available_at: sql`iif(${runs.lease_id} IS NULL, ${now}, ${runs.available_at})` }
  return {}
}
