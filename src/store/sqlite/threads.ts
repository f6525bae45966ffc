import { and, eq, inArray } from 'drizzle-orm'
import { activeStatuses } from '../../runs/lifecycle.ts'
import type { Message } from '../../schemas/messages.ts'
import type { Refusal, Store } from '../store.ts'
import { allGiven, type Db, given, prepareInsert } from './database.ts'
import { messageFields, pageOf, runFields, threadFields } from './objects.ts'
import { messages, runs, threads, vectorStores } from './schema.ts'

/** The statements that whatever adds to a thread shares. */
export function prepareThreads(db: Db) {
  const thread = db
    .select(threadFields)
    .from(threads)
    .where(eq(threads.id, given('id')))
    .prepare()
  const active = db
    .select(runFields)
    .from(runs)
    .where(and(eq(runs.thread_id, given('thread_id')), inArray(runs.status, activeStatuses)))
    .prepare()
  const insertThread = prepareInsert(db, threads)
  const insertMessage = prepareInsert(db, messages)

  return {
    thread,
    active,
    insertThread,
    insertMessage,
    insertMessages(list: readonly Message[]) {
      for (const message of list) insertMessage.run({ ...message })
    },
    /** Why nothing may be added to a thread now. */
    refusalOf(thread_id: string): Refusal | undefined {
      if (!thread.get({ id: thread_id })) return { refused: 'no_thread' }
      const run = active.get({ thread_id })
      return run && { refused: 'active_run', run_id: run.id }
    },
  }
}

export type ThreadStatements = ReturnType<typeof prepareThreads>

export function createThreads(db: Db, statements: ThreadStatements): Store['threads'] {
  const vectorStore = db
    .select({ id: vectorStores.id })
    .from(vectorStores)
    .where(eq(vectorStores.id, given('id')))
    .prepare()

  return {
    async insert(thread, first) {
      db.atomically(() => {
        statements.insertThread.run({ ...thread })
        statements.insertMessages(first)
      })
    },
    async addResources(id, { code_files, vector_store }) {
      return db.atomically(() => {
        const thread = statements.thread.get({ id })
        if (!thread) return undefined
        const { code_interpreter, file_search } = thread.tool_resources
        const kept = file_search?.vector_store_ids.some((store) => vectorStore.get({ id: store }))
        const needsStore = vector_store && !kept
        if (needsStore) db.insert(vectorStores).values(vector_store).run()
        const file_ids = [...new Set([...(code_interpreter?.file_ids ?? []), ...code_files])]
        const tool_resources = {
          ...thread.tool_resources,
          ...(file_ids.length > 0 && { code_interpreter: { file_ids } }),
          ...(needsStore && { file_search: { vector_store_ids: [vector_store.id] } }),
        }
        db.update(threads).set({ tool_resources }).where(eq(threads.id, id)).run()
        return tool_resources
      })
    },
    async get(id) {
      return statements.thread.get({ id })
    },
    async update(id, patch) {
      if (Object.keys(patch).length === 0) return this.get(id)
      return db.update(threads).set(patch).where(eq(threads.id, id)).returning(threadFields).get()
    },
    async delete(id) {
      return db.delete(threads).where(eq(threads.id, id)).run().changes > 0
    },
    async page(query) {
      return pageOf(db, threads, undefined, query, (where, order, limit) =>
        db.select(threadFields).from(threads).where(where).orderBy(order).limit(limit).all(),
      )
    },
  }
}

export function createMessages(db: Db, statements: ThreadStatements): Store['messages'] {
  const isOne = and(eq(messages.id, given('id')), eq(messages.thread_id, given('thread_id')))
  const one = db.select(messageFields).from(messages).where(isOne).prepare()
  const update = db
    .update(messages)
    .set(allGiven(['metadata']))
    .where(isOne)
    .returning(messageFields)
    .prepare()
  const fromUser = db
    .select({ id: messages.id })
    .from(messages)
    .where(and(eq(messages.thread_id, given('thread_id')), eq(messages.role, 'user')))
    .limit(1)
    .prepare()

  return {
    async insert(message) {
      return db.atomically(() => {
        const refusal = statements.refusalOf(message.thread_id)
        if (!refusal) statements.insertMessage.run({ ...message })
        return refusal
      })
    },
    async get(thread_id, id) {
      return one.get({ thread_id, id })
    },
    async update(thread_id, id, patch) {
      return update.get({ thread_id, id, ...patch })
    },
    async delete(thread_id, id) {
      return (
        db
          .delete(messages)
          .where(and(eq(messages.id, id), eq(messages.thread_id, thread_id)))
          .run().changes > 0
      )
    },
    async page(thread_id, { run_id, ...query }) {
      const ofRun = run_id === undefined ? undefined : eq(messages.run_id, run_id)
      return pageOf(db, messages, and(eq(messages.thread_id, thread_id), ofRun), query, (where, order, limit) =>
        db.select(messageFields).from(messages).where(where).orderBy(order).limit(limit).all(),
      )
    },
    async anyFromUser(thread_id) {
      return fromUser.get({ thread_id }) !== undefined
    },
  }
}
