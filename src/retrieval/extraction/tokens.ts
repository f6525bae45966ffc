import { countTokens as encodedLength, setMergeCacheSize } from 'gpt-tokenizer/encoding/cl100k_base'

// Its keys are slices of texts, and each would keep the whole of its text in memory.
setMergeCacheSize(0)

/**
 * How cl100k_base cuts a text before it encodes the pieces each by itself, but for three things. Pieces are bounded:
 * encoding takes time quadratic in the length of a piece, matching takes stack, and no piece may have more tokens than
 * the smallest chunk; so a word of more than 20 letters counts a token or two more than it has. Pictographs are pieces
 * by themselves, and Chinese punctuation does not begin one with the letters after it: there it may be good to cut.
 * Nothing looks back, so a text that begins where a piece began has the same pieces.
 */
const pictograph = String.raw`\p{RI}{2}|(?:\p{ExtPict}[\ufe0f\p{EMod}]?\u200d){0,7}\p{ExtPict}[\ufe0f\p{EMod}]?`
const symbol = String.raw`[^\s\p{L}\p{N}\p{ExtPict}\p{RI}]`
const piece = new RegExp(
  [
    "'(?:[sdmtSDMT]|[lL]{2}|[vV][eE]|[rR][eE])",
    String.raw`[^\r\n\p{L}\p{N}。、！？，；：」』）]?\p{L}{1,20}`,
    String.raw`\p{N}{1,3}`,
    pictograph,
    String.raw` ?${symbol}{1,16}[\r\n]{0,16}`,
    String.raw`\s{0,16}[\r\n]{1,16}`,
    String.raw`\s{1,24}(?!\S)`,
    String.raw`\s{1,24}`,
    '[^]',
  ].join('|'),
  'uy',
)

const maxCached = 50_000

type Counter = (word: string) => number

/** The pieces of a text one by one: where each ends and how many tokens it has. At most 96. */
export function* piecesOf(text: string, count: Counter = encodedLength): Generator<{ end: number; tokens: number }> {
  const counted = new Map<string, number>()
  const pattern = new RegExp(piece)
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const [word] = match
    let tokens = counted.get(word)
    if (tokens === undefined) {
      tokens = count(word)
      if (counted.size === maxCached) counted.clear()
      counted.set(word, tokens)
    }
    yield { end: pattern.lastIndex, tokens }
  }
}

export function countTokens(text: string, count?: Counter): number {
  let total = 0
  for (const { tokens } of piecesOf(text, count)) total += tokens
  return total
}
