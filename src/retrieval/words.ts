import { stemmer } from 'stemmer'
import { stopWords } from './stop-words.ts'

/*
 * How text becomes the tokens of the index, for chunks and queries alike. A change here changes the format of the index:
 * count its version up.
 *
 * Words are folded (compatibility forms, case, diacritics) and stemmed. A name such as `getUserById`, `ERR_4711` or
 * `foo-bar` gives its parts, and one token of all of them joined, so it is found however it is written. Scripts without
 * spaces between words give pairs of characters; the last character of a run also stands alone, so each character is
 * the start of some token.
 */

/** word: a whole one; joined: a name's parts in one; part: one of them; pair, end: characters of a script without spaces. */
export type TokenKind = 'word' | 'joined' | 'part' | 'pair' | 'end'
/** `letters`: how many it had before it was stemmed. */
export type Visit = (token: string, kind: TokenKind, isStopWord: boolean, letters: number) => void

/** Longer ones are no words: data in base64, for instance. */
const maxLetters = 64

const spaceless = String.raw`\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}\p{sc=Bopo}\p{sc=Thai}\p{sc=Laoo}\p{sc=Khmr}\p{sc=Mymr}ー`
const hasSpaceless = new RegExp(`[${spaceless}]`, 'u')
const spacelessRuns = new RegExp(`[${spaceless}]+|[^${spaceless}]+`, 'gu')
/** A character of such a script with the marks above and below it. */
const characters = /\P{M}\p{M}*|\p{M}+/gu

const compound = /[\p{L}\p{N}\p{M}_]+(?:[.'’-][\p{L}\p{N}\p{M}_]+)*(?:\+\+|#)?/gu
const asciiCompound = /[A-Za-z0-9_]+(?:[.'-][A-Za-z0-9_]+)*(?:\+\+|#)?/g
const plainWord = /^[A-Z]?[a-z]+$|^[A-Z]+$|^[0-9]+$/
const englishEnding = /['’](?:s|t|re|ve|ll|d|m)$/i
/** Marks that other writers leave out: Latin, Greek and Cyrillic accents, Hebrew and Arabic vowels. */
const optionalMarks = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670\u0640\u00ad\u200b-\u200d\ufeff]/g
const parts = /\p{Lu}+(?![\p{Ll}\p{M}])[\p{N}]*|\p{Lu}?[\p{Ll}\p{Lo}\p{Lm}\p{Lt}\p{M}\p{N}]+|[\p{L}\p{M}\p{N}]+/gu

const singleLetters: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ı: 'i',
  ς: 'σ',
}
const isSingleLetter = /[ßæœøłđðþıς]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is the range of ASCII.
const isAscii = /^[\u0000-\u007f]*$/

/** Calls for each token, in order. */
export function eachToken(text: string, visit: Visit) {
  if (isAscii.test(text)) {
    for (const word of text.match(asciiCompound) ?? []) visitWord(word, visit)
    return
  }
  const plain = text.normalize('NFKD').replace(optionalMarks, '').normalize('NFC')
  const mixed = hasSpaceless.test(plain)
  for (const found of plain.match(compound) ?? []) {
    if (!mixed || !hasSpaceless.test(found)) visitWord(found, visit)
    else for (const run of found.match(spacelessRuns) ?? []) visitRun(run, visit)
  }
}

function visitRun(run: string, visit: Visit) {
  if (hasSpaceless.test(run)) visitPairs(run, visit)
  else for (const word of run.match(compound) ?? []) visitWord(word, visit)
}

function visitPairs(run: string, visit: Visit) {
  const letters = run.match(characters) ?? []
  letters.forEach((letter, at) => {
    const next = letters[at + 1]
    if (next === undefined) visit(letter.slice(0, maxLetters), 'end', false, 1)
    else visit((letter + next).slice(0, maxLetters), 'pair', false, 2)
  })
}

function visitWord(found: string, visit: Visit) {
  if (plainWord.test(found)) return visitPlain(found.toLowerCase(), 'word', visit)
  const word = found.replace(englishEnding, '')
  const pieces = word.match(parts) ?? []
  const signs = /[+#]+$/.exec(word)?.[0] ?? ''
  const joined = lower(word).replace(/(?<!\p{N})\.|\.(?!\p{N})|[^\p{L}\p{N}\p{M}.]/gu, '')
  if (joined === '') return
  if (pieces.length < 2 && signs === '') return visitPlain(joined, 'word', visit)
  visit(stem(joined + signs), pieces.length < 2 ? 'word' : 'joined', false, joined.length)
  for (const piece of pieces) if (piece.length > 1 || pieces.length < 2) visitPlain(lower(piece), 'part', visit)
}

const lower = (word: string) => word.toLowerCase().replace(isSingleLetter, (letter) => singleLetters[letter] ?? letter)

const visitPlain = (word: string, kind: TokenKind, visit: Visit) =>
  visit(stem(word), kind, stopWords.has(word), word.length)

/** The same words come again and again. */
const stems = new Map<string, string>()
const keptStems = 20_000

function stem(word: string): string {
  const known = stems.get(word)
  if (known !== undefined) return known
  const token = /^[a-z]{3,}$/.test(word) ? stemmer(word) : word
  const short = token.length > maxLetters ? [...token].slice(0, maxLetters).join('') : token
  if (stems.size >= keptStems) stems.clear()
  if (word.length <= maxLetters) stems.set(word, short)
  return short
}
