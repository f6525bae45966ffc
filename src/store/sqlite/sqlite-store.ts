import { and, eq, sql } from 'drizzle-orm'
import type { Clock } from '../../clock.ts'
import type { Store } from '../store.ts'
import { type DatabaseOptions, openDatabase } from './database.ts'
import { assistantFields, messageFields, pageOf, stepFields, threadFields } from './objects.ts'
import { createRuns, insertMessages, refusalOf } from './runs.ts'
import { assistants, messages, steps, threads } from './schema.ts'

export function createSqliteStore(options: DatabaseOptions, clock: Clock): Store {
  const db = openDatabase(options)
  const messageOf = (thread_id: string, id: string) => and(eq(messages.id, id), eq(messages.thread_id, thread_id))

  return {
    assistants: {
      async insert(assistant) {
        db.insert(assistants).values(assistant).run()
      },
      async get(id) {
        return db.select(assistantFields).from(assistants).where(eq(assistants.id, id)).get()
      },
      async update(id, patch) {
        if (Object.keys(patch).length === 0) return this.get(id)
        return db.update(assistants).set(patch).where(eq(assistants.id, id)).returning(assistantFields).get()
      },
      async delete(id) {
        return db.delete(assistants).where(eq(assistants.id, id)).run().changes > 0
      },
      async page(query) {
        return pageOf(db, assistants, undefined, query, (where, order, limit) =>
          db.select(assistantFields).from(assistants).where(where).orderBy(order).limit(limit).all(),
        )
      },
    },

    threads: {
      async insert(thread, first) {
        db.transaction(
          (tx) => {
            tx.insert(threads).values(thread).run()
            insertMessages(tx, first)
          },
          { behavior: 'immediate' },
        )
      },
      async get(id) {
        return db.select(threadFields).from(threads).where(eq(threads.id, id)).get()
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
    },

    messages: {
      async insert(message) {
        return db.transaction(
          (tx) => {
            const refusal = refusalOf(tx, message.thread_id)
            if (!refusal) tx.insert(messages).values(message).run()
            return refusal
          },
          { behavior: 'immediate' },
        )
      },
      async get(thread_id, id) {
        return db.select(messageFields).from(messages).where(messageOf(thread_id, id)).get()
      },
      async update(thread_id, id, patch) {
        return db.update(messages).set(patch).where(messageOf(thread_id, id)).returning(messageFields).get()
      },
      async delete(thread_id, id) {
        return db.delete(messages).where(messageOf(thread_id, id)).run().changes > 0
      },
      async page(thread_id, { run_id, ...query }) {
        const ofRun = run_id === undefined ? undefined : eq(messages.run_id, run_id)
        return pageOf(db, messages, and(eq(messages.thread_id, thread_id), ofRun), query, (where, order, limit) =>
          db.select(messageFields).from(messages).where(where).orderBy(order).limit(limit).all(),
        )
      },
      async anyFromUser(thread_id) {
        const fromUser = and(eq(messages.thread_id, thread_id), eq(messages.role, 'user'))
        return db.select({ id: messages.id }).from(messages).where(fromUser).limit(1).get() !== undefined
      },
    },

    runs: createRuns(db, clock),

    steps: {
      async get(run_id, id) {
        return db
          .select(stepFields)
          .from(steps)
          .where(and(eq(steps.id, id), eq(steps.run_id, run_id)))
          .get()
      },
      async page(run_id, query) {
        return pageOf(db, steps, eq(steps.run_id, run_id), query, (where, order, limit) =>
          db.select(stepFields).from(steps).where(where).orderBy(order).limit(limit).all(),
        )
      },
    },

    async ping() {
      db.get(sql`SELECT 1`)
    },
    async close() {
      db.$client.close()
    },
  }
}
