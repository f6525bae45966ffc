import { eachToken } from '../words.ts'

const prefixOf = (store: number) => `${store.toString(36)}_`

/** The token as `words` has it. */
export const storeToken = (store: number, token: string) => prefixOf(store) + token

/** The tokens of the store that begin so: from the first inclusive to the second exclusive. */
export const tokenRange = (store: number, start: string): [string, string] => [
  storeToken(store, start),
  `${storeToken(store, start)}\u{10ffff}`,
]

/** What `words` is given of a chunk; the same for the same chunk, since FTS5 needs it again to forget it. */
export function tokensOf(store: number, text: string): string {
  const prefix = prefixOf(store)
  const tokens: string[] = []
  eachToken(text, (token) => tokens.push(prefix + token))
  return tokens.join(' ')
}
