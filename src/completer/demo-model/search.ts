import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { topicOf, topicOfProse, wordsOf } from './words.ts'

/** The tool by which a model searches files; what it returns are passages, each under the mark to cite it by. */
export const searchName = 'file_search'

const pleasantries = topicOf(
  'bye cool day evening fine good goodbye great hello hey hi morning nice night no ok okay please thank thanks there well welcome yes',
)

export const isSmallTalk = (question: string): boolean => topicOf(question).isSubsetOf(pleasantries)

const quoted =
  /(?<![\p{L}\p{N}])(?:'([^']+)'|"([^"]+)"|“([^”]+)”|‘([^’]+)’|„([^“”]+)[“”]|«([^»]+)»|「([^」]+)」)(?![\p{Ll}\p{N}])/gu
const errand =
  /^(?:(?:please|can you|could you)\s+)*(?:find|search|show|list|look|tell|give)(?:\s+(?:me|us|up|all|any|the|my|our|some|\w+thing|documents?|files?|passages?|information))*\s+(?:about|for|on|regarding)\s+(?:the\s+)?/i

/** Beyond this a message is no question any more, and searching for all of it would find nothing. */
const longestQuestion = 1000

/** What to search for: what the question puts in quotes, or the question without the words around its topic. */
export function searchesFor(question: string): [string, ...string[]] {
  const asked = question.slice(0, longestQuestion).toWellFormed()
  const phrases = [...asked.matchAll(quoted)].flatMap(([, ...groups]) => groups.find(Boolean)?.trim() || [])
  const [first, ...others] = phrases
  if (first) return [first, ...others]
  const plain = asked.trim().replace(/[\s.?!。？！]+$/u, '')
  return [plain.replace(errand, '') || plain || asked]
}

/** The arguments of a call, for a tool that takes one query or several. */
export function searchArguments(tool: ChatCompletionFunctionTool, question: string): Record<string, unknown> {
  const [query, ...queries] = searchesFor(question)
  const { properties = {} } = (tool.function.parameters ?? {}) as { properties?: object }
  return { query, ...(queries.length > 0 && 'queries' in properties && { queries }) }
}

interface Passage {
  mark: string
  file: string
  text: string
}

function passagesIn(output: string): Passage[] {
  const [, ...parts] = output.split(/^(【\d+:\d+†([^【】\r\n]*)】)$/m)
  return parts.flatMap((mark, at) =>
    at % 3 === 0 ? { mark, file: parts[at + 1] ?? '', text: parts[at + 2] ?? '' } : [],
  )
}

const mostPassages = 3
const longestSentence = 400

/** The sentences of the passages that have most words of the question, each with its mark. */
export function answerFrom(outputs: readonly string[], question: string): string {
  const topic = topicOfProse(searchesFor(question).join(' '))
  const passages = outputs
    .flatMap(passagesIn)
    .map((passage) => ({ ...passage, sentences: bestSentences(passage.text, topic) }))
    .filter(({ sentences }) => sentences.length > 0)
  const [best] = passages
  if (!best) return 'I found nothing about that in the files.'
  const ranked = passages.toSorted((a, b) => scoreOf(b) - scoreOf(a))
  const fitting = ranked.filter((passage) => scoreOf(passage) > 0)
  // None shares a word with the question; the search knows why its first is the best.
  const chosen = fitting.length === 0 ? [best] : differentFirst(fitting).slice(0, mostPassages)

  const said: string[] = []
  const used = new Set<string>()
  for (const { mark, file, sentences } of chosen) {
    for (const { text } of sentences) {
      // Passages overlap.
      if (said.some((other) => other.includes(bodyOf(text)))) continue
      said.push(`${bodyOf(text)}${mark}${/[.?!。？！…]$/u.exec(text)?.[0] ?? '.'}`)
      used.add(file)
    }
  }
  return `Here is what I found in ${listOf([...used])}: ${said.join(' ')}`
}

interface Sentence {
  text: string
  score: number
}

const scoreOf = ({ sentences }: { sentences: readonly Sentence[] }) => Math.max(...sentences.map(({ score }) => score))

/** The first passage of each file, then the others. */
function differentFirst<P extends Passage>(passages: readonly P[]): P[] {
  const firsts = passages.filter(({ file }, at) => passages.findIndex((other) => other.file === file) === at)
  return [...firsts, ...passages.filter((passage) => !firsts.includes(passage))]
}

/** The one or two that share most words with the topic, in their order. */
function bestSentences(text: string, topic: ReadonlySet<string>): Sentence[] {
  const sentences = sentencesIn(text).map((sentence) => ({
    text: sentence,
    score: topicOfProse(sentence).intersection(topic).size,
  }))
  const most = Math.max(0, ...sentences.map(({ score }) => score))
  return sentences.filter(({ score }) => score === most).slice(0, most === 0 ? 1 : 2)
}

/** An opening bracket after a sentence belongs to the next one, but Unicode's rules count it to the sentence. */
const trailing = /[\s\p{Ps}\p{Pi}]{1,20}$/u
const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })

function sentencesIn(text: string): string[] {
  return (
    text
      // A blank line, a heading, an item of a list or a row of a table ends a sentence; a line's end alone does not.
      .split(/\n\s*\n|\n(?=\s*(?:#|[-*+•|>]|\d+[.)])\s?)|(?<=^#.*)\n/m)
      .map((block) =>
        block.replace(/^\s*(?:#+|[-*+•>]|\d+[.)])\s+/, '').replace(/\*\*|`|\s+/g, (sign) => (sign.trim() ? '' : ' ')),
      )
      .flatMap((block) =>
        [...segmenter.segment(block)].map(({ segment }) => shortened(segment.replace(trailing, '').trim())),
      )
      .filter((sentence) => wordsOf(sentence).length > 0)
  )
}

function shortened(sentence: string): string {
  if (sentence.length <= longestSentence) return sentence
  return `${sentence
    .slice(0, longestSentence)
    .toWellFormed()
    .replace(/\s\S*$/u, '')}…`
}

const bodyOf = (sentence: string) => sentence.replace(/[.?!。？！…]$/u, '')

const listOf = (names: readonly string[]) =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
