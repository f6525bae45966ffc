import type { Message } from 'openai/resources/beta/threads/messages'
import type { RunStep } from 'openai/resources/beta/threads/runs/steps'
import { expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { type Random, randomBy } from './harness/random.ts'
import { askFiles, dataOf, onlyText, resultsOf } from './harness/search.ts'
import { allEvents, type SentEvent } from './harness/sse.ts'

const answers = Number(process.env.CITED_ANSWERS ?? 150)
const seed = Number(process.env.CITED_SEED ?? 1)
const atOnce = 4

const files = {
  'notes.md': 'Phoenix begins in March.',
  'Bericht über 😀.txt': 'Phoenix costs nine thousand.',
  'a [draft] of 【计划】.md': 'Phoenix is led by Ada.',
  '计划.txt': 'Phoenix 计划。',
  [`${'long '.repeat(40)}.md`]: 'Phoenix is long.',
}

const plain = [
  'so',
  ' it',
  ' is',
  '.',
  ', ',
  '\n',
  ' ',
  '😀',
  '👩‍👩‍👧',
  'é',
  '计划',
  '见',
  '\u0000',
  '†',
  '4:0',
  '】',
  ']',
  '$&',
]
const lookalikes = [
  '【重要】',
  '【',
  '[',
  '[1]',
  '[4:0]',
  '【4:0】',
  '【4:',
  '[x](y)',
  '【†x】',
  '【4†0】',
  '[[',
  '【【',
  '【1:2†\n】',
]
const unknown = ['【4:99†notes.md】', '【9:0†x】', '[7:7†notes.md]', '【0:0†】', '【 4 : 77 † 😀 】']

/** A text with marks of these, in all the spellings that models use, and with much that only looks like marks. */
function answerOf(marks: readonly string[], random: Random): string {
  const part = () => {
    const kind = random.below(10)
    if (kind < 4) return random.oneOf(plain)
    if (kind < 5) return random.oneOf(lookalikes)
    if (kind < 6) return random.oneOf(unknown)
    const mark = random.oneOf(marks)
    if (random.chance(0.7)) return mark
    const name = random.oneOf(['source', '', '😀', 'notes.md'])
    const [, n, m] = /(\d+):(\d+)/.exec(mark) ?? []
    return random.oneOf([`【${n}:${m}†${name}】`, `[${n}:${m}†${name}]`, `【 ${n} ： ${m} † ${name}】`])
  }
  return Array.from({ length: 1 + random.below(25) }, part).join('')
}

/** In pieces of a few UTF-16 units, so that surrogate pairs are cut too. */
function cutUp(text: string, random: Random): string[] {
  const longest = random.oneOf([1, 2, 5, 40])
  const pieces: string[] = []
  for (let at = 0; at < text.length; ) {
    const length = 1 + random.below(longest)
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}

const mark =
  /【 ?(\d{1,6}) ?[:：] ?(\d{1,6}) ?†[^【】\r\n]{0,300}】|\[ ?(\d{1,6}) ?[:：] ?(\d{1,6}) ?†[^【】[\]\r\n]{0,300}\]/gu
const unfinished =
  /(?:【 ?\d{1,6} ?[:：] ?\d{1,6} ?†[^【】\r\n]{0,300}|\[ ?\d{1,6} ?[:：] ?\d{1,6} ?†[^【】[\]\r\n]{0,300})$/u

/** The text that is to be shown, and what it cites in order. */
function shownOf(text: string, found: readonly { file_id: string }[][]) {
  const cited: { text: string; file_id: string }[] = []
  const value = text
    .replace(mark, (whole, n, m, otherN, otherM) => {
      const source = found[Number(n ?? otherN) - 4]?.[Number(m ?? otherM)]
      if (source) cited.push({ text: whole, file_id: source.file_id })
      return source ? whole : '\uffff'
    })
    .replace(unfinished, '')
  return { value: value.replaceAll('\uffff', ''), cited }
}

/** A model that searches twice at once, and then answers as its question's number says. */
function citing(said: Map<string, string>): Turn {
  return ({ body, calls, text }) => {
    const told = body.messages.flatMap(({ role, content }) => (role === 'tool' ? [String(content)] : []))
    if (told.length === 0) {
      const search = (query: string) => ({ name: 'file_search', arguments: JSON.stringify({ query }) })
      return calls(search('Phoenix'), search('Phoenix Ada March'))
    }
    const question = String(body.messages[0]?.content)
    const random = randomBy(seed * 1_000_003 + Number(question))
    const marks = told.flatMap((one) => one.match(/^【\d+:\d+†.*】$/gmu) ?? [])
    const answer = answerOf(marks, random)
    said.set(question, answer)
    text(...cutUp(answer, random))
  }
}

/** Of the deltas of a message: its text, and its annotations, each checked to have come whole and alone. */
function accumulated(events: readonly SentEvent[]) {
  const notes: object[] = []
  let value = ''
  for (const { delta } of dataOf(events, 'thread.message.delta')) {
    expect(delta.content).toHaveLength(1)
    const { index, text } = delta.content[0]
    expect(index).toBe(0)
    const from = [...value].length
    value += text.value
    for (const { index: at, ...note } of text.annotations ?? []) {
      expect([at, note.start_index, note.end_index]).toEqual([notes.length, from, [...value].length])
      expect([note.text, note.file_citation.quote, text.annotations.length]).toEqual([text.value, '', 1])
      notes.push({ ...note, file_citation: { file_id: note.file_citation.file_id } })
    }
  }
  return { value, annotations: notes }
}

function checkAnswer(events: readonly SentEvent[], stored: Message | undefined, said: string) {
  const [step] = dataOf(events, 'thread.run.step.completed') as RunStep[]
  const { value, annotations } = onlyText(stored)
  expect({ value, annotations }).toEqual(accumulated(events))
  expect(dataOf(events, 'thread.message.completed')).toEqual([stored])
  const shown = shownOf(said, resultsOf(step))
  expect(value).toBe(shown.value)
  expect(
    annotations.map((note) => ({
      text: note.text,
      file_id: note.type === 'file_citation' ? note.file_citation?.file_id : note.type,
    })),
  ).toEqual(shown.cited)
  const characters = [...value]
  let end = 0
  for (const { start_index, end_index, text } of annotations) {
    expect(characters.slice(start_index, end_index).join('')).toBe(text)
    expect(start_index).toBeGreaterThanOrEqual(end)
    end = end_index
  }
  return annotations.length
}

async function streamed(h: Harness, assistant_id: string, question: string) {
  const thread = { messages: [{ role: 'user', content: question }] }
  const events = await allEvents(await h.send('POST', '/v1/threads/runs', { assistant_id, thread, stream: true }))
  const [{ thread_id, id: run_id }] = dataOf(events, 'thread.run.completed')
  const { data } = await h.client.beta.threads.messages.list(thread_id, { run_id })
  expect(data).toHaveLength(1)
  return { events, message: data[0] }
}

test(`the citations of ${answers} streamed answers are right, however they are cut`, { timeout: 300_000 }, async () => {
  const h = await startApp({ env: { RUN_CONCURRENCY: String(atOnce) } })
  const { assistant } = await askFiles(h, files)
  const said = new Map<string, string>()
  h.backend.otherwise = citing(said)
  const questions = Array.from({ length: answers }, (_, number) => String(number))
  let citations = 0
  const work = async () => {
    for (let question = questions.shift(); question !== undefined; question = questions.shift()) {
      const { events, message } = await streamed(h, assistant.id, question)
      citations += checkAnswer(events, message, said.get(question) ?? '')
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  expect(said.size).toBe(answers)
  expect(citations).toBeGreaterThan(3 * answers)
})
