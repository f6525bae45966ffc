import type { EntryKey } from '../../store/vector-stores.ts'
import type { Vectors } from '../search-index.ts'
import { type Connection, firstId, idsPerEntry } from './database.ts'
import { tokensOf } from './tokens.ts'
import { blocksOf } from './vectors.ts'

/** A transaction ends after about so much: the log stays small, and the next in line does not wait long. */
const chunksPerTransaction = 64
const chunksPerSweep = 16
const freePagesPerVacuum = 4096

interface EntryRow {
  id: number
  store: number
  chunks: number
}

/** All that writes. One at a time: there is one writer. */
export function createWriter(db: Connection) {
  const sql = {
    entry: db.prepare('SELECT id, store, chunks FROM entries WHERE store = ? AND entry = ? AND whole = 1'),
    inPart: db.prepare('SELECT id, store, chunks FROM entries WHERE whole = 0'),
    isThere: db.prepare('SELECT 1 FROM entries WHERE id = ?').pluck(),
    addEntry: db.prepare('INSERT INTO entries (store, entry, chunks) VALUES (?, ?, ?)'),
    setWhole: db.prepare('UPDATE entries SET whole = ? WHERE id = ?'),
    setModel: db.prepare('UPDATE entries SET model = ?, dimension = ? WHERE id = ?'),
    dropStore: db.prepare('UPDATE entries SET whole = 0 WHERE store = ?'),
    dropEntry: db.prepare('DELETE FROM entries WHERE id = ?'),
    addChunk: db.prepare('INSERT INTO chunks (id, text) VALUES (?, ?)'),
    addWords: db.prepare('INSERT INTO words (rowid, tokens) VALUES (?, ?)'),
    lastChunks: db.prepare('SELECT id, text FROM chunks WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?'),
    dropWords: db.prepare(`INSERT INTO words (words, rowid, tokens) VALUES ('delete', ?, ?)`),
    dropChunk: db.prepare('DELETE FROM chunks WHERE id = ?'),
    count: db.prepare('UPDATE totals SET chunks = chunks + ?'),
    addVectors: db.prepare('INSERT INTO vectors (id, data) VALUES (?, ?)'),
    dropVectors: db.prepare('DELETE FROM vectors WHERE id >= ? AND id < ?'),
  }
  const transaction = db.transaction((work: () => unknown) => work())
  const atomically = <T>(work: () => T): T => transaction.immediate(work) as T

  /** In transactions of their own, none of which is written once the entry is gone from under it. */
  function inSteps<T>(entryId: number, items: readonly T[], perStep: number, write: (item: T, at: number) => void) {
    for (let from = 0; from < items.length; from += perStep) {
      atomically(() => {
        if (sql.isThere.get(entryId) === undefined) throw new Error('The entry was removed while it was being put.')
        for (const [at, item] of items.slice(from, from + perStep).entries()) write(item, from + at)
      })
    }
  }

  function writeChunks(id: number, store: number, chunks: readonly string[]) {
    inSteps(id, chunks, chunksPerTransaction, (text, position) => {
      sql.addChunk.run(firstId(id) + position, text)
      sql.addWords.run(firstId(id) + position, tokensOf(store, text))
      sql.count.run(1)
    })
  }

  function writeVectors(id: number, { vectors }: Vectors): number {
    const blocks = blocksOf(vectors)
    inSteps(id, blocks, chunksPerTransaction, ({ first, data }) => sql.addVectors.run(firstId(id) + first, data))
    return blocks.reduce((bytes, { data }) => bytes + data.byteLength, 0)
  }

  function find({ store, entry }: EntryKey): EntryRow | undefined {
    return sql.entry.get(store, entry) as EntryRow | undefined
  }

  /** The last of the rows of an entry in part; at the end itself. */
  function clearSome({ id, store }: EntryRow) {
    const [from, to] = [firstId(id), firstId(id) + idsPerEntry]
    const rows = sql.lastChunks.all(from, to, chunksPerSweep) as { id: number; text: string }[]
    for (const row of rows) {
      sql.dropWords.run(row.id, tokensOf(store, row.text))
      sql.dropChunk.run(row.id)
    }
    sql.count.run(-rows.length)
    if (rows.length === chunksPerSweep) return
    sql.dropVectors.run(from, to)
    sql.dropEntry.run(id)
  }

  return {
    /**
     * Clears some of what is in part: removed, replaced, or left by a put that was broken off. False if nothing was.
     * In steps, since FTS5 takes ten milliseconds to forget a chunk, and others wait to write.
     */
    sweep(): boolean {
      const row = sql.inPart.get() as EntryRow | undefined
      if (row) atomically(() => clearSome(row))
      return row !== undefined
    },
    put(key: EntryKey, chunks: readonly string[], vectors?: Vectors): number {
      check(chunks.length, vectors)
      const id = Number(sql.addEntry.run(key.store, key.entry, chunks.length).lastInsertRowid)
      writeChunks(id, key.store, chunks)
      const vectorBytes = vectors ? writeVectors(id, vectors) : 0
      atomically(() => {
        const before = find(key)
        if (before) sql.setWhole.run(0, before.id)
        if (vectors?.vectors[0]) sql.setModel.run(vectors.model, vectors.vectors[0].length, id)
        if (sql.setWhole.run(1, id).changes === 0) throw new Error('The entry was removed while it was being put.')
      })
      return vectorBytes + chunks.reduce((bytes, text) => bytes + Buffer.byteLength(text), 0)
    },
    putVectors(key: EntryKey, vectors: Vectors): boolean {
      const row = find(key)
      if (row === undefined || row.chunks !== vectors.vectors.length) return false
      check(row.chunks, vectors)
      const { id } = row
      atomically(() => {
        sql.setModel.run(null, null, id)
        sql.dropVectors.run(firstId(id), firstId(id) + idsPerEntry)
      })
      writeVectors(id, vectors)
      if (vectors.vectors[0]) sql.setModel.run(vectors.model, vectors.vectors[0].length, id)
      return true
    },
    /** It is in part from now on, as the entries of a removed store are: nothing of it is found. */
    remove(key: EntryKey) {
      const row = find(key)
      if (row) sql.setWhole.run(0, row.id)
    },
    removeStore(store: number) {
      sql.dropStore.run(store)
    },
    /** Before the connection is closed: free pages go back to the disk, the log into the file. */
    tidy() {
      db.pragma(`incremental_vacuum(${freePagesPerVacuum})`)
      db.pragma('wal_checkpoint(TRUNCATE)')
    },
  }
}

function check(chunks: number, vectors: Vectors | undefined) {
  if (chunks > idsPerEntry) throw new RangeError(`An entry has at most ${idsPerEntry} chunks.`)
  if (vectors === undefined) return
  if (vectors.vectors.length !== chunks) throw new RangeError('There must be one vector for each chunk.')
  if (vectors.vectors.some(({ length }) => length === 0 || length !== vectors.vectors[0]?.length))
    throw new RangeError('Vectors must be of one length, which is not 0.')
}
