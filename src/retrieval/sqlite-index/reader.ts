import type { EntryKey } from '../../store/vector-stores.ts'
import type { Hit, IndexedEntry, SearchRequest } from '../search-index.ts'
import { type Connection, entryIdOf, firstId, idsPerEntry } from './database.ts'
import { createLexical } from './lexical.ts'
import { createRanking, scoreOf } from './ranking.ts'
import { floatsOf, product, unit } from './vectors.ts'

type Place = { entry: number; store: number } | undefined

/** All that only reads. What one call reads is of one moment. */
export function createReader(db: Connection) {
  const sql = {
    entry: db.prepare('SELECT id FROM entries WHERE store = ? AND entry = ? AND whole = 1').pluck(),
    entries: db.prepare('SELECT store, entry, model FROM entries WHERE whole = 1 ORDER BY store, entry'),
    texts: db.prepare('SELECT text FROM chunks WHERE id >= ? AND id < ? ORDER BY id').pluck(),
    text: db.prepare('SELECT text FROM chunks WHERE id = ?').pluck(),
    place: db.prepare('SELECT store, entry FROM entries WHERE id = ? AND whole = 1'),
    filtered: db
      .prepare('SELECT id FROM entries WHERE store = ? AND whole = 1 AND entry IN (SELECT value FROM json_each(?))')
      .pluck(),
    comparable: db
      .prepare('SELECT id FROM entries WHERE store = ? AND whole = 1 AND model = ? AND dimension = ?')
      .pluck(),
    vectors: db.prepare('SELECT id, data FROM vectors WHERE id >= ? AND id < ?').raw(),
  }
  const lexical = createLexical(db)
  const atOnce = db.transaction((work: () => unknown) => work())

  /** Calls with the cosine of each chunk of the entries. */
  function eachCosine(entryIds: readonly number[], vector: Float32Array, visit: (id: number, cosine: number) => void) {
    const dimension = vector.length
    for (const entryId of entryIds) {
      const from = firstId(entryId)
      for (const [first, data] of sql.vectors.all(from, from + idsPerEntry) as [number, Uint8Array][]) {
        const floats = floatsOf(data)
        for (let at = 0; at < floats.length; at += dimension) visit(first + at / dimension, product(vector, floats, at))
      }
    }
  }

  function search({ stores, queries, model, entries, limit }: SearchRequest): Hit[] {
    const places = new Map<number, Place>()
    const placeOf = (id: number): Place => {
      const entryId = entryIdOf(id)
      if (!places.has(entryId)) places.set(entryId, sql.place.get(entryId) as Place)
      return places.get(entryId)
    }
    const ranking = createRanking(limit, (id) => placeOf(id) !== undefined)
    for (const store of new Set(stores)) {
      const filter = entries && new Set(sql.filtered.all(store, JSON.stringify(entries)) as number[])
      const isAllowed = (entryId: number) => filter === undefined || filter.has(entryId)
      for (const { text, vector } of queries) {
        const words = lexical(store, text)
        const compared = new Set<number>()
        if (vector && model !== undefined) {
          const ids = (sql.comparable.all(store, model, vector.length) as number[]).filter(isAllowed)
          for (const entryId of ids) compared.add(entryId)
          eachCosine(ids, unit(vector), (id, cosine) => ranking.add(id, scoreOf(words.get(id) ?? 0, cosine)))
        }
        for (const [id, share] of words) {
          const entryId = entryIdOf(id)
          if (!compared.has(entryId) && isAllowed(entryId)) ranking.add(id, scoreOf(share, undefined))
        }
      }
    }
    return ranking.best.map(({ id, score }) => {
      const { store, entry } = placeOf(id) as NonNullable<Place>
      const position = id - firstId(entryIdOf(id))
      return { store, entry, position, text: sql.text.get(id) as string, score }
    })
  }

  return {
    content(key: EntryKey): string[] | undefined {
      return atOnce(() => {
        const id = sql.entry.get(key.store, key.entry) as number | undefined
        return id === undefined ? undefined : sql.texts.all(firstId(id), firstId(id) + idsPerEntry)
      }) as string[] | undefined
    },
    entries: () => sql.entries.all() as IndexedEntry[],
    search: (request: SearchRequest): Hit[] => atOnce(() => search(request)) as Hit[],
  }
}
