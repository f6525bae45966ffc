import type { TObject, TProperties } from '@sinclair/typebox'
import { and, asc, desc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core'
import { Assistant } from '../../schemas/assistants.ts'
import { File, Upload } from '../../schemas/files.ts'
import { Message } from '../../schemas/messages.ts'
import { RunStep } from '../../schemas/run-steps.ts'
import { Run } from '../../schemas/runs.ts'
import { Thread } from '../../schemas/threads.ts'
import { VectorStoreFile } from '../../schemas/vector-stores.ts'
import type { Page, PageQuery } from '../pages.ts'
import type { Db } from './database.ts'
import * as tables from './schema.ts'

type Wire = TObject<TProperties> & { properties: { object: { const: string } } }

/** What is selected is the wire object: the column of each of its properties, and the constant `object`. */
function fieldsOf<S extends Wire, T extends Record<Exclude<keyof S['properties'], 'object'>, SQLiteColumn>>(
  schema: S,
  table: T,
) {
  const { object } = schema.properties
  const fields = Object.keys(schema.properties).map((key) => [
    key,
    key === 'object' ? sql.raw(`'${object.const}'`) : table[key as keyof T],
  ])
  return Object.fromEntries(fields) as Pick<T, Exclude<keyof S['properties'], 'object'>> & {
    object: SQL<S['properties']['object']['const']>
  }
}

export const assistantFields = fieldsOf(Assistant, tables.assistants)
export const threadFields = fieldsOf(Thread, tables.threads)
export const messageFields = fieldsOf(Message, tables.messages)
export const fileFields = fieldsOf(File, tables.files)
export const uploadFields = fieldsOf(Upload, tables.uploads)
export const runFields = fieldsOf(Run, tables.runs)
export const stepFields = fieldsOf(RunStep, tables.steps)
export const vectorStoreFileFields = fieldsOf(VectorStoreFile, tables.vectorStoreFiles)

interface Listed extends SQLiteTable {
  id: SQLiteColumn
  seq: SQLiteColumn
}

/**
 * One page of `table`. `select` reads whole objects; `scope` is what all objects of the list have in common.
 * Cursors are resolved to `seq`, by which every list is ordered; they need only be within `cursors`, since an object may
 * leave a list while somebody pages through it.
 */
export function pageOf<T>(
  db: Db,
  table: Listed,
  scope: SQL | undefined,
  query: PageQuery,
  select: (where: SQL | undefined, order: SQL, limit: number) => T[],
  cursors = scope,
): Page<T> {
  const seqOf = (id: string) =>
    db
      .select({ seq: table.seq })
      .from(table)
      .where(and(cursors, eq(table.id, id)))
      .get()?.seq as number | undefined

  const bounds: (SQL | undefined)[] = [scope]
  const descending = query.order === 'desc'
  for (const [id, isAfter] of [
    [query.after, true],
    [query.before, false],
  ] as const) {
    if (id === undefined) continue
    const seq = seqOf(id)
    if (seq === undefined) return { unknown_cursor: id }
    bounds.push(isAfter === descending ? lt(table.seq, seq) : gt(table.seq, seq))
  }
  // Back from the cursor when there is nothing else to start from.
  const backwards = query.before !== undefined && query.after === undefined
  const order = descending === backwards ? asc(table.seq) : desc(table.seq)
  const found = select(and(...bounds), order, query.limit + 1)
  const data = found.slice(0, query.limit)
  return { data: backwards ? data.reverse() : data, has_more: found.length > query.limit }
}
