import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { getTableColumns, type Placeholder, type SQL, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { migrate } from 'drizzle-orm/better-sqlite3/migrator'
import type { SQLiteTable } from 'drizzle-orm/sqlite-core'

export interface DatabaseOptions {
  /** A path, or `:memory:`. */
  file: string
  /** NORMAL survives the end of the process; FULL also the end of the machine's power, at the cost of a sync per commit. */
  synchronous: 'NORMAL' | 'FULL'
}

const migrationsFolder = fileURLToPath(new URL('../../../drizzle', import.meta.url))

/** Opens the file, making it and bringing its tables up to date where needed. */
export function openDatabase({ file, synchronous }: DatabaseOptions) {
  const sqlite = new Database(file)
  sqlite.pragma('journal_mode = WAL')
  sqlite.pragma(`synchronous = ${synchronous}`)
  sqlite.pragma('foreign_keys = ON')
  sqlite.pragma('busy_timeout = 5000')
  // Reads come from the page cache of the system; the log is folded into the file every 16 MB, not every 4.
  sqlite.pragma('mmap_size = 268435456')
  sqlite.pragma('wal_autocheckpoint = 4000')
  const db = drizzle({ client: sqlite })
  migrate(db, { migrationsFolder })
  const transaction = sqlite.transaction((work: () => unknown) => work())

  return Object.assign(db, {
    /** All that `work` does becomes one transaction; there is one connection, so statements need not know of it. */
    atomically: <T>(work: () => T): T => transaction.immediate(work) as T,
    /** All that `work` reads is of one moment. */
    atOnce: <T>(work: () => T): T => transaction.deferred(work) as T,
  })
}

export type Db = ReturnType<typeof openDatabase>

// Building a query takes Drizzle longer than SQLite takes to answer it, so statements are built once and given values.

export const given = (name: string): Placeholder => sql.placeholder(name)

/** A placeholder for the value of each of these columns, under its name. Drizzle takes them, its types do not know. */
export const allGiven = <const N extends string>(names: readonly N[]) =>
  Object.fromEntries(names.map((name) => [name, given(name)])) as unknown as Record<N, SQL>

/** Inserts one row, whose values are given by the names of the columns. */
export function prepareInsert<T extends SQLiteTable>(db: Db, table: T) {
  const names = Object.keys(getTableColumns(table)).filter((name) => name !== 'seq')
  return db
    .insert(table)
    .values(allGiven(names) as unknown as T['$inferInsert'])
    .prepare()
}
