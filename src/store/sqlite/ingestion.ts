import { randomUUID } from 'node:crypto'
import { and, asc, eq, isNull, lte, ne, or, sql } from 'drizzle-orm'
import type { Clock } from '../../clock.ts'
import type { IngestionStore, Job } from '../vector-stores.ts'
import type { Db } from './database.ts'
import { fileFields } from './objects.ts'
import { vectorStoreFiles as entries, files, vectorStores } from './schema.ts'

const idle = { lease_id: null, available_at: null }

export function createIngestion(db: Db, clock: Clock): IngestionStore {
  const holds = (lease_id: string) => eq(entries.lease_id, lease_id)

  function job(seq: number, lease_id: string): Job | undefined {
    const row = db
      .select({
        key: { store: vectorStores.seq, entry: entries.seq },
        vector_store_id: entries.vector_store_id,
        status: entries.status,
        chunking_strategy: entries.chunking_strategy,
        file: fileFields,
      })
      .from(entries)
      .innerJoin(vectorStores, eq(vectorStores.id, entries.vector_store_id))
      .innerJoin(files, eq(files.id, entries.id))
      .where(eq(entries.seq, seq))
      .get()
    return row && { ...row, status: row.status === 'completed' ? 'completed' : 'in_progress', lease_id }
  }

  return {
    async claim(until) {
      return db.atomically(() => {
        const next = db
          .select({ seq: entries.seq })
          .from(entries)
          .where(lte(entries.available_at, clock()))
          .orderBy(asc(entries.available_at), asc(entries.seq))
          .limit(1)
          .get()
        if (!next) return undefined
        const lease_id = randomUUID()
        db.update(entries).set({ lease_id, available_at: until }).where(eq(entries.seq, next.seq)).run()
        return job(next.seq, lease_id)
      })
    },
    async extend(lease_ids, until) {
      const held = db
        .update(entries)
        .set({ available_at: until })
        .where(sql`${entries.lease_id} IN (SELECT value FROM json_each(${JSON.stringify(lease_ids)}))`)
        .returning({ lease_id: entries.lease_id })
        .all()
      return held.flatMap(({ lease_id }) => lease_id ?? [])
    },
    async release(lease_id) {
      db.update(entries).set({ lease_id: null, available_at: clock() }).where(holds(lease_id)).run()
    },
    async end(lease_id, end) {
      const failed = { usage_bytes: 0, embedded_by: null }
      const ended = { last_error: null, ...(end.status === 'failed' && failed), ...end, ...idle }
      return db.update(entries).set(ended).where(holds(lease_id)).run().changes > 0
    },
    async postpone(lease_id, at) {
      db.update(entries).set({ lease_id: null, available_at: at }).where(holds(lease_id)).run()
    },
    async redo(list) {
      db.update(entries)
        .set({ status: 'in_progress', usage_bytes: 0, embedded_by: null, lease_id: null, available_at: clock() })
        .where(
          and(
            sql`${entries.seq} IN (SELECT value FROM json_each(${JSON.stringify(list)}))`,
            eq(entries.status, 'completed'),
          ),
        )
        .run()
    },
    async reembed(model) {
      const isStale = or(isNull(entries.embedded_by), ne(entries.embedded_by, model))
      const stale = and(eq(entries.status, 'completed'), isNull(entries.lease_id), isStale)
      return db.update(entries).set({ available_at: clock() }).where(stale).run().changes
    },
  }
}
