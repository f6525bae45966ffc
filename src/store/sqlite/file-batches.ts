import { and, asc, eq, inArray, sql } from 'drizzle-orm'
import type { FileBatch } from '../../schemas/vector-stores.ts'
import type { FileBatchStore } from '../vector-stores.ts'
import type { Db } from './database.ts'
import { vectorStoreFiles as entries, fileBatches, vectorStores } from './schema.ts'
import { countsOf, entriesOf, isAmong, keyOf } from './vector-stores.ts'

const ofBatch = sql`files_of_batches AS place JOIN vector_store_files AS entry ON entry.seq = place.entry
  WHERE place.batch = ${fileBatches.seq}`

export function createFileBatches(db: Db): FileBatchStore {
  const isOne = (vector_store_id: string, id: string) =>
    and(eq(fileBatches.vector_store_id, vector_store_id), eq(fileBatches.id, id))

  return {
    async get(vector_store_id, id) {
      const row = db
        .select({
          id: fileBatches.id,
          created_at: fileBatches.created_at,
          vector_store_id: fileBatches.vector_store_id,
          is_cancelled: fileBatches.is_cancelled,
          file_counts: countsOf(ofBatch),
        })
        .from(fileBatches)
        .where(isOne(vector_store_id, id))
        .get()
      if (!row) return undefined
      const { is_cancelled, ...batch } = row
      const { in_progress } = batch.file_counts
      const status: FileBatch['status'] = in_progress > 0 ? 'in_progress' : is_cancelled ? 'cancelled' : 'completed'
      return { ...batch, object: 'vector_store.files_batch', status }
    },
    async cancel(vector_store_id, id) {
      return db.atomically(() => {
        const batch = db.select({ seq: fileBatches.seq }).from(fileBatches).where(isOne(vector_store_id, id)).get()
        if (!batch) return undefined
        const stopped = db
          .select(keyOf)
          .from(entries)
          .innerJoin(vectorStores, eq(vectorStores.id, entries.vector_store_id))
          .where(
            and(inArray(entries.seq, entriesOf(db, eq(fileBatches.seq, batch.seq))), eq(entries.status, 'in_progress')),
          )
          .orderBy(asc(entries.seq))
          .all()
        if (stopped.length === 0) return []
        db.update(fileBatches).set({ is_cancelled: true }).where(eq(fileBatches.seq, batch.seq)).run()
        db.update(entries)
          .set({ status: 'cancelled', lease_id: null, available_at: null })
          .where(
            isAmong(
              entries.seq,
              stopped.map(({ entry }) => entry),
            ),
          )
          .run()
        return stopped
      })
    },
  }
}
