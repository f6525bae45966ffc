import { unparsable } from './error.ts'
import { piecesOf } from './tokens.ts'

export interface ChunkSizes {
  /** At least 100. */
  max_chunk_size_tokens: number
  /** At most half of the former. */
  chunk_overlap_tokens: number
}

export const maxTokens = 5_000_000

/** Where a text may be cut: at the end of a piece. */
interface Cut {
  at: number
  /** Up to here, from the beginning of the text. */
  tokens: number
}

/** A part of a text. */
export interface Range {
  from: number
  to: number
}

/** Cuts a text into overlapping chunks, each a part of it as it stands. Throws and takes time as `rangesOf` does. */
export function* chunksOf(text: string, sizes: ChunkSizes): Generator<string> {
  for (const { from, to } of rangesOf(text, sizes)) yield text.slice(from, to)
}

/**
 * Where the chunks of a text are. Together they leave out nothing but white space. A chunk ends, and begins, where the
 * text pauses, if it does within the last quarter of what fits. Throws an ExtractionError once there were too many
 * tokens. Takes time linear in the length of the text.
 */
export function* rangesOf(text: string, sizes: ChunkSizes): Generator<Range> {
  const { max_chunk_size_tokens: max, chunk_overlap_tokens: overlap } = sizes
  const cuts = cutsOf(text)
  let first: Cut = { at: 0, tokens: 0 }
  let next = cuts.next().value
  /** The cuts after the first that its chunk could end at. */
  let window: Cut[] = []
  for (;;) {
    while (next && next.tokens - first.tokens <= max) {
      window.push(next)
      next = cuts.next().value
    }
    const last = next ? bestCut(text, window.toReversed(), first.tokens + max * 0.75, Infinity) : window.at(-1)
    if (!last) return
    if (/\S/.test(text.slice(first.at, last.at))) yield { from: first.at, to: last.at }
    const follower = window[window.indexOf(last) + 1] ?? next
    if (!follower) return
    // What is said again must leave room for what follows it.
    const least = Math.max(last.tokens - overlap, follower.tokens - max)
    const again = window.filter(({ tokens }) => tokens >= least && tokens <= last.tokens)
    const start = bestCut(text, again, least, least + overlap / 4) ?? last
    window = window.slice(window.indexOf(start) + 1)
    first = start
  }
}

function* cutsOf(text: string): Generator<Cut, undefined> {
  let tokens = 0
  for (const piece of piecesOf(text)) {
    tokens += piece.tokens
    if (tokens > maxTokens) throw unparsable('too large')
    yield { at: piece.end, tokens }
  }
}

/** The first of those cuts within the bounds that are best; the first of all if none is within them, or none is good. */
function bestCut(text: string, cuts: Cut[], min: number, max: number): Cut | undefined {
  let best = cuts[0]
  let bestPause = -1
  for (const cut of cuts) {
    if (cut.tokens < min || cut.tokens > max) break
    const pause = pauseAt(text, cut.at)
    if (pause <= bestPause || !isBetweenCharacters(text, cut.at)) continue
    best = cut
    bestPause = pause
    if (pause === 4) break
  }
  return best
}

/** Whether a paragraph ends there (4), a line (3), a sentence (2), a word (1), or none of them. */
function pauseAt(text: string, at: number): number {
  const before = text[at - 1] ?? ''
  if (before === '\n') return /\n\r?\n$/.test(text.slice(at - 3, at)) ? 4 : 3
  if ('。！？'.includes(before)) return 2
  const isWordEnd = /\s/.test(text[at] ?? ' ')
  if (isWordEnd && '.!?…'.includes(before)) return 2
  return isWordEnd || /\s/.test(before) ? 1 : 0
}

const characters = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
const reach = 64

/** What people take for one character may be many of Unicode's: a letter and its accents, a family, a flag. */
function isBetweenCharacters(text: string, at: number): boolean {
  const [before, after] = [text.charCodeAt(at - 1), text.charCodeAt(at)]
  if (before < 0x300 && after < 0x300) return before !== 13 || after !== 10
  const begin = Math.max(0, at - reach)
  return characters.segment(text.slice(begin, at + reach)).containing(at - begin)?.index === at - begin
}
