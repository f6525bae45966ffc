import { and, eq, sql } from 'drizzle-orm'
import type { Clock } from '../../clock.ts'
import type { Store } from '../store.ts'
import { type DatabaseOptions, type Db, given, openDatabase, prepareInsert } from './database.ts'
import { createFileBatches } from './file-batches.ts'
import { createFiles, createUploads } from './files.ts'
import { createIngestion } from './ingestion.ts'
import { assistantFields, pageOf, stepFields } from './objects.ts'
import { createRuns } from './runs.ts'
import { assistants, steps } from './schema.ts'
import { createMessages, createThreads, prepareThreads } from './threads.ts'
import { createVectorStoreFiles, createVectorStores } from './vector-stores.ts'

export function createSqliteStore(options: DatabaseOptions, clock: Clock): Store {
  const db = openDatabase(options)
  const statements = prepareThreads(db)
  return {
    assistants: createAssistants(db),
    threads: createThreads(db, statements),
    messages: createMessages(db, statements),
    runs: createRuns(db, statements, clock),
    steps: createSteps(db),
    files: createFiles(db),
    uploads: createUploads(db),
    vectorStores: createVectorStores(db),
    vectorStoreFiles: createVectorStoreFiles(db),
    fileBatches: createFileBatches(db),
    ingestion: createIngestion(db, clock),
    async ping() {
      db.get(sql`SELECT 1`)
    },
    async close() {
      db.$client.close()
    },
  }
}

function createAssistants(db: Db): Store['assistants'] {
  const insert = prepareInsert(db, assistants)
  const one = db
    .select(assistantFields)
    .from(assistants)
    .where(eq(assistants.id, given('id')))
    .prepare()

  return {
    async insert(assistant) {
      insert.run({ ...assistant })
    },
    async get(id) {
      return one.get({ id })
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
  }
}

function createSteps(db: Db): Store['steps'] {
  return {
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
  }
}
