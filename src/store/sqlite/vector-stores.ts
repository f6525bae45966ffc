import { and, eq, gt, inArray, isNull, or, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn } from 'drizzle-orm/sqlite-core'
import { passes } from '../../schemas/filters.ts'
import type { VectorStore } from '../../schemas/vector-stores.ts'
import type { Attachment, AttachRefusal, VectorStoreFileStore, VectorStoreStore } from '../vector-stores.ts'
import type { Db } from './database.ts'
import { pageOf, vectorStoreFileFields } from './objects.ts'
import { vectorStoreFiles as entries, fileBatches, files, filesOfBatches, vectorStores } from './schema.ts'

type Counts = VectorStore['file_counts']

/** How many entries there are by status, of those that `where` picks. */
export const countsOf = (from: SQL) =>
  sql`(SELECT json_object(
    'in_progress', count(*) FILTER (WHERE status = 'in_progress'),
    'completed', count(*) FILTER (WHERE status = 'completed'),
    'failed', count(*) FILTER (WHERE status = 'failed'),
    'cancelled', count(*) FILTER (WHERE status = 'cancelled'),
    'total', count(*)) FROM ${from})`.mapWith((text: string): Counts => JSON.parse(text))

const ofStore = sql`vector_store_files AS entry WHERE entry.vector_store_id = ${vectorStores.id}`

const storeFields = {
  id: vectorStores.id,
  created_at: vectorStores.created_at,
  name: vectorStores.name,
  description: vectorStores.description,
  usage_bytes: sql<number>`(SELECT coalesce(sum(usage_bytes), 0) FROM ${ofStore})`,
  file_counts: countsOf(ofStore),
  expires_after: vectorStores.expires_after,
  expires_at: vectorStores.expires_at,
  last_active_at: vectorStores.last_active_at,
  metadata: vectorStores.metadata,
}

type StoreRow = Omit<VectorStore, 'object' | 'status'>

function storeOf(
  { id, expires_after, expires_at, last_active_at, metadata, ...row }: StoreRow,
  now: number,
): VectorStore {
  const isExpired = expires_at !== null && expires_at <= now
  const status = isExpired ? 'expired' : row.file_counts.in_progress > 0 ? 'in_progress' : 'completed'
  return { id, object: 'vector_store', ...row, status, expires_after, expires_at, last_active_at, metadata }
}

/** A second use within the second changes nothing, so that a store in use is not written all the time. */
function touch(db: Db, ids: readonly string[], now: number) {
  db.update(vectorStores)
    .set({
      last_active_at: now,
      expires_at: sql`${now} + json_extract(${vectorStores.expires_after}, '$.days') * 86400`,
    })
    .where(and(inArray(vectorStores.id, [...ids]), sql`${vectorStores.last_active_at} < ${now}`, isLive(now)))
    .run()
}

const isLive = (now: number) => or(isNull(vectorStores.expires_at), sql`${vectorStores.expires_at} > ${now}`)

/** Makes files part of a store; within a transaction, which the caller ends as the answer says. */
function attach(db: Db, vector_store_id: string, list: readonly Attachment[], now: number): AttachRefusal | undefined {
  for (const { file_id, attributes, chunking_strategy } of list) {
    const isThere = and(eq(files.id, file_id), or(isNull(files.expires_at), gt(files.expires_at, now)))
    if (!db.select({ id: files.id }).from(files).where(isThere).get()) return { refused: 'no_file', file_id }
    const fresh = {
      status: 'in_progress' as const,
      usage_bytes: 0,
      last_error: null,
      chunking_strategy,
      attributes,
      lease_id: null,
      available_at: now * 1000,
    }
    db.insert(entries)
      .values({ id: file_id, created_at: now, vector_store_id, ...fresh })
      .onConflictDoUpdate({
        target: [entries.vector_store_id, entries.id],
        set: fresh,
        setWhere: inArray(entries.status, ['failed', 'cancelled']),
      })
      .run()
  }
  return undefined
}

/** Ends a transaction without a trace; what it says is the answer. */
class Refused extends Error {
  readonly refusal: AttachRefusal
  constructor(refusal: AttachRefusal) {
    super(refusal.refused)
    this.refusal = refusal
  }
}

function orRefusal(work: () => void): AttachRefusal | undefined {
  try {
    work()
  } catch (error) {
    if (error instanceof Refused) return error.refusal
    throw error
  }
  return undefined
}

export function createVectorStores(db: Db): VectorStoreStore {
  return {
    async insert(store, list) {
      return orRefusal(() =>
        db.atomically(() => {
          db.insert(vectorStores).values(store).run()
          const refusal = attach(db, store.id, list, store.created_at)
          if (refusal) throw new Refused(refusal)
        }),
      )
    },
    async get(id, now) {
      const row = db.select(storeFields).from(vectorStores).where(eq(vectorStores.id, id)).get()
      return row && storeOf(row, now)
    },
    async update(id, patch) {
      if (Object.keys(patch).length === 0) return true
      return db.update(vectorStores).set(patch).where(eq(vectorStores.id, id)).run().changes > 0
    },
    async delete(id) {
      return db.delete(vectorStores).where(eq(vectorStores.id, id)).returning({ seq: vectorStores.seq }).get()?.seq
    },
    async page(query, now) {
      const page = pageOf(db, vectorStores, undefined, query, (where, order, limit) =>
        db.select(storeFields).from(vectorStores).where(where).orderBy(order).limit(limit).all(),
      )
      if ('unknown_cursor' in page) return page
      return { ...page, data: page.data.map((row) => storeOf(row, now)) }
    },
    async touch(ids, now) {
      touch(db, ids, now)
    },
  }
}

export const keyOf = { store: vectorStores.seq, entry: entries.seq }

export function createVectorStoreFiles(db: Db): VectorStoreFileStore {
  const isOne = (vector_store_id: string, id: string) =>
    and(eq(entries.vector_store_id, vector_store_id), eq(entries.id, id))
  const keys = () =>
    db.select(keyOf).from(entries).innerJoin(vectorStores, eq(vectorStores.id, entries.vector_store_id))

  return {
    async attach(vector_store_id, list, now, batch) {
      return orRefusal(() =>
        db.atomically(() => {
          if (!db.select({ id: vectorStores.id }).from(vectorStores).where(eq(vectorStores.id, vector_store_id)).get())
            throw new Refused({ refused: 'no_store' })
          const refusal = attach(db, vector_store_id, list, now)
          if (refusal) throw new Refused(refusal)
          touch(db, [vector_store_id], now)
          if (!batch) return
          const { seq } = db
            .insert(fileBatches)
            .values({ ...batch, vector_store_id, is_cancelled: false })
            .returning({ seq: fileBatches.seq })
            .get()
          const ids = JSON.stringify(list.map(({ file_id }) => file_id))
          db.run(sql`INSERT INTO ${filesOfBatches} (batch, entry) SELECT ${seq}, seq FROM ${entries}
            WHERE vector_store_id = ${vector_store_id} AND id IN (SELECT value FROM json_each(${ids}))`)
        }),
      )
    },
    async get(vector_store_id, id) {
      return db.select(vectorStoreFileFields).from(entries).where(isOne(vector_store_id, id)).get()
    },
    async update(vector_store_id, id, patch) {
      return db.update(entries).set(patch).where(isOne(vector_store_id, id)).returning(vectorStoreFileFields).get()
    },
    async detach(vector_store_id, id) {
      return db.atomically(() => {
        const key = keys().where(isOne(vector_store_id, id)).get()
        if (key) db.delete(entries).where(eq(entries.seq, key.entry)).run()
        return key
      })
    },
    async page(of, { filter, ...query }) {
      const ofParent =
        'batch_id' in of
          ? inArray(entries.seq, entriesOf(db, eq(fileBatches.id, of.batch_id)))
          : eq(entries.vector_store_id, of.vector_store_id)
      const scope = and(ofParent, filter && eq(entries.status, filter))
      return pageOf(
        db,
        entries,
        scope,
        query,
        (where, order, limit) =>
          db.select(vectorStoreFileFields).from(entries).where(where).orderBy(order).limit(limit).all(),
        ofParent,
      )
    },
    async key(vector_store_id, id) {
      return keys().where(isOne(vector_store_id, id)).get()
    },
    async keysOf(file_id) {
      return keys().where(eq(entries.id, file_id)).all()
    },

    async storeKeys(ids) {
      const found = db
        .select({ id: vectorStores.id, seq: vectorStores.seq })
        .from(vectorStores)
        .where(inArray(vectorStores.id, [...ids]))
        .all()
      return ids.flatMap((id) => found.find((one) => one.id === id)?.seq ?? [])
    },
    async matching(stores, filter) {
      const all = db
        .select({ seq: entries.seq, attributes: entries.attributes })
        .from(entries)
        .innerJoin(vectorStores, eq(vectorStores.id, entries.vector_store_id))
        .where(and(inArray(vectorStores.seq, [...stores]), eq(entries.status, 'completed')))
        .all()
      return all.filter(({ attributes }) => passes(filter, attributes)).map(({ seq }) => seq)
    },
    async found(list) {
      return db
        .select({ key: keyOf, file_id: entries.id, filename: files.filename, attributes: entries.attributes })
        .from(entries)
        .innerJoin(vectorStores, eq(vectorStores.id, entries.vector_store_id))
        .innerJoin(files, eq(files.id, entries.id))
        .where(and(isAmong(entries.seq, list), eq(entries.status, 'completed')))
        .all()
    },
    async known(list) {
      const found = db.select({ seq: entries.seq }).from(entries).where(isAmong(entries.seq, list)).all()
      return found.map(({ seq }) => seq)
    },
    async completed() {
      return keys().where(eq(entries.status, 'completed')).all()
    },
  }
}

/** However many there are: a statement may not have more than some thousand parameters. */
export const isAmong = (column: SQLiteColumn, values: readonly number[]) =>
  sql`${column} IN (SELECT value FROM json_each(${JSON.stringify(values)}))`

export const entriesOf = (db: Db, where: SQL) =>
  db
    .select({ entry: filesOfBatches.entry })
    .from(filesOfBatches)
    .innerJoin(fileBatches, eq(fileBatches.seq, filesOfBatches.batch))
    .where(where)
