import { allowedSlips, bitsDiffering, letterSet, slipsBetween } from '../spelling.ts'
import type { Connection } from './database.ts'
import { type QueryWord, queryWords } from './query.ts'
import { storeToken, tokenRange } from './tokens.ts'

/** How slowly more of a word stops to count more. FTS5's own bm25 has 1.2; for long passages more is better. */
const [fts5K1, k1] = [1.2, 2]
/** What a word counts that is one for which the query's may have been meant. */
const worthOfSimilar = 0.8
const maxSimilar = 3
/** Words of one query that are put right: each time the store's vocabulary is read, of a large store only a part. */
const maxPutRight = 4
const largeStore = 20_000

/** How much each chunk has of a word: 0..1, from bm25 without the word's weight. */
type Finds = Map<number, number>
interface Weighed {
  finds: Finds
  weight: number
}

/**
 * Scores of the chunks that have words of the query: the bm25 of those words, divided by the most that any chunk could
 * have, so 0..1 and the same measure for every query. Words that no chunk has count as missed. All counts are of the
 * one store: FTS5 weighs words by their share of all stores, so what it gives is divided by that weight again.
 */
export function createLexical(db: Connection) {
  const sql = {
    find: db.prepare('SELECT rowid, rank FROM words WHERE words MATCH ?').raw(),
    rows: db.prepare('SELECT chunks FROM totals').pluck(),
    chunksOf: db.prepare('SELECT coalesce(sum(chunks), 0) FROM entries WHERE store = ? AND whole = 1').pluck(),
    vocabulary: db.prepare('SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ?').raw(),
  }

  function findsOf(match: string, rows: number): Finds {
    const found = sql.find.all(match) as [number, number][]
    // What FTS5's bm25 gives a word in so many of all rows; never less than a millionth.
    const weight = Math.log((rows - found.length + 0.5) / (found.length + 0.5))
    const most = (fts5K1 + 1) * (weight > 0 ? weight : 1e-6)
    return new Map(found.map(([id, rank]) => [id, withOurK1(Math.min(1, -rank / most))]))
  }

  /** The store's own words that are the fewest slips away; of those, the most frequent ones. */
  function similarTo(store: number, isLarge: boolean, { token, letters: length }: QueryWord): string[] {
    const most = /^\p{L}+$/u.test(token) ? allowedSlips(length) : 0
    if (most === 0) return []
    const letters = letterSet(token)
    const skip = storeToken(store, '').length
    const among = (start: string) => {
      const near: { word: string; slips: number; chunks: number }[] = []
      for (const [term, chunks] of sql.vocabulary.iterate(...tokenRange(store, start)) as Iterable<[string, number]>) {
        if (Math.abs(term.length - skip - token.length) > most) continue
        const word = term.slice(skip)
        if (bitsDiffering(letters, letterSet(word)) > 2 * most) continue
        const slips = slipsBetween(token, word, most)
        if (slips <= most) near.push({ word, slips, chunks })
      }
      near.sort((a, b) => a.slips - b.slips || b.chunks - a.chunks)
      return near
        .filter(({ slips }) => slips === near[0]?.slips)
        .slice(0, maxSimilar)
        .map(({ word }) => word)
    }
    // Few slips are in the first letter, and the words with the same are quickly read.
    const first = among(token.slice(0, 1))
    return first.length > 0 || isLarge ? first : among('')
  }

  return function lexical(store: number, text: string): Finds {
    const rows = sql.rows.get() as number
    const chunks = sql.chunksOf.get(store) as number
    const weightOf = (found: number) => Math.log(1 + (chunks - Math.min(found, chunks) + 0.5) / (found + 0.5))
    const find = ({ token, kind }: Pick<QueryWord, 'token' | 'kind'>) =>
      findsOf(`"${storeToken(store, token)}"${kind === 'end' ? '*' : ''}`, rows)

    const weighed: Weighed[] = []
    let putRight = 0
    for (const word of queryWords(text)) {
      let finds = find(word)
      if (finds.size === 0 && (word.kind === 'word' || word.kind === 'part') && putRight++ < maxPutRight) {
        const similar = similarTo(store, chunks > largeStore, word).map((token) => find({ token, kind: 'word' }))
        finds = union(similar, worthOfSimilar)
      }
      // A name's parts stand for it where it is not known as a whole.
      if (finds.size > 0 || word.kind !== 'joined') weighed.push({ finds, weight: weightOf(finds.size) })
    }
    return sum(weighed)
  }
}

/** From often / (often + fts5K1) to often / (often + k1). */
const withOurK1 = (share: number) => (fts5K1 * share) / (fts5K1 * share + k1 * (1 - share))

function union(all: readonly Finds[], worth: number): Finds {
  const together: Finds = new Map()
  for (const finds of all) {
    for (const [id, share] of finds) together.set(id, Math.max(together.get(id) ?? 0, worth * share))
  }
  return together
}

function sum(words: readonly Weighed[]): Finds {
  const total = words.reduce((weights, { weight }) => weights + weight, 0)
  const scores: Finds = new Map()
  for (const { finds, weight } of words) {
    const part = weight / total
    for (const [id, share] of finds) scores.set(id, (scores.get(id) ?? 0) + part * share)
  }
  return scores
}
