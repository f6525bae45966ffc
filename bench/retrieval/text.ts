/* Made-up text whose words are as unevenly frequent as those of a language (Zipf), the same on each run. */

export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const wordCount = 60_000
const commonest = 'the of and to in a is that for it as was with be by on not he his but at are this have from'.split(
  ' ',
)
const onsets = 'b c d f g h j k l m n p r s t v w b c d f g l m n p r s t cl gr pr st th'.split(' ')
const vowels = 'a e i o u a e i o u ea ou'.split(' ')
const codas = ['', '', '', '', '', 'n', 'r', 's', 't', 'l', 'm', 'ck']

export function createText(seed: number) {
  const random = createRandom(seed)
  const pick = (from: readonly string[]) => from[Math.floor(random() * from.length)] ?? ''
  const syllable = () => pick(onsets) + pick(vowels) + pick(codas)
  const makeWord = (rank: number) => {
    const syllables = 1 + Math.floor(Math.log10(rank + 1) * 0.35 + random())
    return Array.from({ length: syllables }, syllable).join('')
  }
  const words = Array.from({ length: wordCount }, (_, rank) => commonest[rank] ?? makeWord(rank))
  /** Of the word at a rank the share is 1 / (rank + 2.7). */
  const rankOf = (share: number) => Math.floor(2.7 * ((wordCount + 2.7) / 2.7) ** share - 2.7)
  const word = () => words[Math.max(0, Math.min(wordCount - 1, rankOf(random())))] ?? ''

  return {
    chunk(length: number): string {
      let text = ''
      for (let at = 0; at < length; at++) text += at % 12 === 11 ? `${word()}. ` : `${word()} `
      return text
    },
    /** A question in the words of the text: some say nothing, some are usual, some are rare. */
    question(text: string): string {
      const said = text.split(/[ .]+/).filter((found) => found.length > 3)
      const asked = Array.from({ length: 5 }, () => pick(said))
      return `What is ${asked.slice(0, 2).join(' ')} for the ${asked.slice(2).join(' ')}?`
    },
    vector(dimension: number): Float32Array {
      return Float32Array.from({ length: dimension }, () => random() + random() + random() - 1.5)
    },
  }
}
