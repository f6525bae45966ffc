import { closeSync, existsSync, mkdirSync, openSync, readSync, renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'

/** Counted up whenever the tables change, or the tokens that text becomes. */
const format = 1
/** Says in a database file's header whose it is: "kase". */
const applicationId = 0x6b617365
const headerBytes = 72

/** Chunks of an entry have the ids from `entries.id * idsPerEntry`. */
export const idsPerEntry = 2 ** 20
export const firstId = (entryId: number) => entryId * idsPerEntry
export const entryIdOf = (chunkId: number) => Math.floor(chunkId / idsPerEntry)

/*
 * `words`: FTS5 keeps no text, only the tokens, each with its store's number before it: so a store's words are a range
 * of their own, as quick to search as if there were no other stores, and nothing of one store shows in another's.
 * `totals`: how many rows `words` has, which FTS5 does not tell quickly.
 * `entries.whole`: 0 while it is being put or removed; nothing of it is found.
 * `vectors`: those of as many chunks as fit a block, one after another, from the chunk whose id it has.
 */
const schema = `
  CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    store INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    whole INTEGER NOT NULL DEFAULT 0,
    model TEXT,
    dimension INTEGER
  );
  CREATE UNIQUE INDEX whole_entries ON entries (store, entry) WHERE whole = 1;
  CREATE TABLE chunks (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
  CREATE TABLE vectors (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
  CREATE TABLE totals (chunks INTEGER NOT NULL);
  INSERT INTO totals VALUES (0);
  CREATE VIRTUAL TABLE words USING fts5 (tokens, content='', tokenize="ascii tokenchars '._+#'");
  INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
  CREATE VIRTUAL TABLE vocabulary USING fts5vocab (words, 'row');
`

export type Connection = Database.Database

/** Its message says what became of the file. */
export class IndexLostError extends Error {}

/** Opens the file to write to it; one that is missing, broken or of another format is made anew. */
export function openToWrite(file: string, onLost: (error: IndexLostError) => void): Connection {
  mkdirSync(dirname(file), { recursive: true })
  try {
    return openAsIs(file)
  } catch (cause) {
    if (!isBeyondRepair(cause)) throw cause
    const became = discard(file)
    onLost(new IndexLostError(`The search index ${file} cannot be used and was ${became}; it is made anew.`, { cause }))
    return openAsIs(file)
  }
}

export function openToRead(file: string): Connection {
  const db = new Database(file, { readonly: true, fileMustExist: true })
  db.pragma('busy_timeout = 5000')
  db.pragma('mmap_size = 1073741824')
  return db
}

class WrongFormatError extends Error {}

function openAsIs(file: string): Connection {
  const db = new Database(file)
  try {
    db.pragma('busy_timeout = 5000')
    if (db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() === 0) create(db)
    const found = db.pragma('user_version', { simple: true })
    if (db.pragma('application_id', { simple: true }) !== applicationId || found !== format)
      throw new WrongFormatError(`It has format ${found}, not ${format}.`)
    db.pragma('synchronous = NORMAL')
    db.pragma('secure_delete = ON')
    db.prepare('SELECT chunks FROM totals').get()
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function create(db: Connection) {
  db.pragma('auto_vacuum = INCREMENTAL')
  db.pragma('journal_mode = WAL')
  db.exec(`BEGIN; ${schema} PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${format}; COMMIT;`)
}

export function isBeyondRepair(error: unknown): boolean {
  if (error instanceof WrongFormatError) return true
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && /^SQLITE_(CORRUPT|NOTADB)/.test(code)
}

/** Takes the file away. One that is not ours is only put aside: it may be somebody's database, named by mistake. */
export function discard(file: string): string {
  const isOurs = applicationIdOf(file) === applicationId
  if (isOurs) rmSync(file, { force: true })
  else renameSync(file, `${file}.aside`)
  for (const suffix of ['-wal', '-shm']) rmSync(file + suffix, { force: true })
  return isOurs ? 'deleted' : `renamed to ${file}.aside`
}

/** What the header says, whatever else may be wrong with the file. */
function applicationIdOf(file: string): number {
  if (!existsSync(file)) return applicationId
  const header = Buffer.alloc(headerBytes)
  const descriptor = openSync(file, 'r')
  try {
    readSync(descriptor, header, 0, headerBytes, 0)
  } finally {
    closeSync(descriptor)
  }
  return header.readUInt32BE(headerBytes - 4)
}
