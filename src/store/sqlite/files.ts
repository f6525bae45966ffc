import { and, asc, eq, inArray, lte, sql } from 'drizzle-orm'
import type { Store } from '../store.ts'
import { type Db, prepareInsert } from './database.ts'
import { fileFields, pageOf, uploadFields } from './objects.ts'
import { files, uploadParts, uploads } from './schema.ts'

export function createFiles(db: Db): Store['files'] {
  const insert = prepareInsert(db, files)

  return {
    async insert(file) {
      insert.run({ ...file })
    },
    async get(id) {
      return db.select(fileFields).from(files).where(eq(files.id, id)).get()
    },
    async delete(id) {
      return db.delete(files).where(eq(files.id, id)).run().changes > 0
    },
    async page({ purpose, ...query }) {
      const ofPurpose = purpose === undefined ? undefined : sql`${files.purpose} = ${purpose}`
      return pageOf(db, files, ofPurpose, query, (where, order, limit) =>
        db.select(fileFields).from(files).where(where).orderBy(order).limit(limit).all(),
      )
    },
    async expire(now) {
      db.delete(files).where(lte(files.expires_at, now)).run()
    },
    async unknown(ids) {
      const wanted = sql`SELECT value FROM json_each(${JSON.stringify(ids)})`
      const known = sql`SELECT ${files.id} FROM ${files} UNION ALL SELECT ${uploadParts.id} FROM ${uploadParts}`
      return db.all<{ value: string }>(sql`${wanted} WHERE value NOT IN (${known})`).map(({ value }) => value)
    },
  }
}

export function createUploads(db: Db): Store['uploads'] {
  const insert = prepareInsert(db, uploads)
  const isPending = (id: string) => and(eq(uploads.id, id), eq(uploads.status, 'pending'))

  return {
    async insert(upload, file_lifetime) {
      insert.run({ ...upload, file_lifetime })
    },
    async get(id) {
      const fields = { ...uploadFields, file_lifetime: uploads.file_lifetime }
      return db.select(fields).from(uploads).where(eq(uploads.id, id)).get()
    },
    async addPart(part, bytes) {
      return db.atomically(() => {
        if (!db.select({ id: uploads.id }).from(uploads).where(isPending(part.upload_id)).get()) return false
        db.insert(uploadParts)
          .values({ ...part, bytes })
          .run()
        return true
      })
    },
    async parts(upload_id) {
      return db
        .select({ id: uploadParts.id, bytes: uploadParts.bytes })
        .from(uploadParts)
        .where(eq(uploadParts.upload_id, upload_id))
        .orderBy(asc(uploadParts.seq))
        .all()
    },
    async end(id, status, file) {
      return db.atomically(() => {
        const upload = db.update(uploads).set({ status }).where(isPending(id)).returning(uploadFields).get()
        if (!upload) return undefined
        db.delete(uploadParts).where(eq(uploadParts.upload_id, id)).run()
        if (file) db.insert(files).values(file).run()
        return upload
      })
    },
    async expire(now) {
      db.atomically(() => {
        const over = and(eq(uploads.status, 'pending'), lte(uploads.expires_at, now))
        const ended = db.update(uploads).set({ status: 'expired' }).where(over).returning({ id: uploads.id }).all()
        const ids = ended.map(({ id }) => id)
        if (ids.length > 0) db.delete(uploadParts).where(inArray(uploadParts.upload_id, ids)).run()
      })
    },
  }
}
