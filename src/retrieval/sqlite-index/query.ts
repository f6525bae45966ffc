import { eachToken, type TokenKind } from '../words.ts'

/** More say nothing more about what is asked, and each takes its time. */
const maxWords = 48
/** A query may be a whole document; its beginning will do. */
const maxLetters = 8192

export interface QueryWord {
  token: string
  kind: TokenKind
  letters: number
}

/** The words of a query that are looked for, each once. Stop words only if there are no others. */
export function queryWords(text: string): QueryWord[] {
  const words = new Map<string, QueryWord>()
  const stops = new Map<string, QueryWord>()
  let ends = 0
  let pairs = 0
  const visit = (token: string, kind: TokenKind, isStopWord: boolean, letters: number) => {
    const into = isStopWord ? stops : words
    // The last character of a run is in the pair before it, unless it is the whole run.
    if (kind === 'end' && pairs > ends) {
      ends = pairs
      return
    }
    if (kind === 'pair') pairs++
    if (into.size < maxWords && !into.has(token)) into.set(token, { token, kind, letters })
  }
  eachToken(text.slice(0, maxLetters), visit)
  return [...(words.size > 0 ? words : stops).values()]
}
