/** How much of the score of a chunk with a vector is for its words; the rest is for its meaning. */
const lexicalPart = 0.4

/**
 * The score of a chunk: 0..1. `words` is the part of the most its bm25 could be, of which the root is taken: it is
 * about 0.6 for a chunk of usual length that has each word of the query once. `cosine` is undefined where no vectors
 * can be compared: its words are all that is known of it.
 */
export function scoreOf(words: number, cosine: number | undefined): number {
  const lexical = Math.sqrt(words)
  if (cosine === undefined) return lexical
  const semantic = Math.max(0, Math.min(1, cosine))
  return lexicalPart * lexical + (1 - lexicalPart) * semantic
}

export interface Ranked {
  id: number
  score: number
}

/** The best so far, at most `limit`, best first; chunks with the same score in the order of their ids. */
export function createRanking(limit: number, isWanted: (id: number) => boolean) {
  const best: Ranked[] = []
  return {
    best,
    /** The same chunk may come again: its best score counts. */
    add(id: number, score: number) {
      const last = best[best.length - 1]
      if (!(score > 0) || (best.length >= limit && last && !isBefore({ id, score }, last))) return
      const known = best.findIndex((other) => other.id === id)
      if (known >= 0) {
        if ((best[known] as Ranked).score >= score) return
        best.splice(known, 1)
      } else if (!isWanted(id)) return
      const at = best.findIndex((other) => isBefore({ id, score }, other))
      best.splice(at < 0 ? best.length : at, 0, { id, score })
      if (best.length > limit) best.pop()
    },
  }
}

const isBefore = (a: Ranked, b: Ranked) => a.score > b.score || (a.score === b.score && a.id < b.id)
