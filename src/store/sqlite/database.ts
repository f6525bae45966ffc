import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { drizzle } from 'drizzle-orm/better-sqlite3'
import { migrate } from 'drizzle-orm/better-sqlite3/migrator'

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
  const db = drizzle({ client: sqlite })
  migrate(db, { migrationsFolder })
  return db
}

export type Db = ReturnType<typeof openDatabase>
/** The database, or a transaction on it. */
export type Queries = Pick<Db, 'select' | 'insert' | 'update' | 'delete'>
