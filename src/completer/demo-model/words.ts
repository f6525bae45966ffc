export const wordsOf = (text: string): string[] => text.toLowerCase().match(/\p{L}+|\p{N}+/gu) ?? []

// Words that say nothing of what a question is about.
const commonWords = new Set(
  'a about an and are at be by can do does for from get give has have how i in is it list me my of on or set show tell that the this to use was what when where which who will with you your'.split(
    ' ',
  ),
)

const stemOf = (word: string) => word.replace(/(?:ing|ed|es|s)$/, '')

/** What a text is about: the stems of its words, without those that say nothing. */
export const topicOf = (text: string): Set<string> => stemsOf(wordsOf(text))

const segmenter = new Intl.Segmenter('en', { granularity: 'word' })

/** The same for texts in scripts that put no blanks between words, too; a little slower. */
export const topicOfProse = (text: string): Set<string> =>
  stemsOf([...segmenter.segment(text)].flatMap(({ segment }) => wordsOf(segment)))

const stemsOf = (words: readonly string[]) => new Set(words.filter((word) => !commonWords.has(word)).map(stemOf))
