import type { ChatCompletionFunctionTool, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import type { CompletionRequest } from '../src/completer/completer.ts'
import { createDemoCompleter } from '../src/completer/demo-model/demo-model.ts'
import { CitationReader } from '../src/retrieval/cite.ts'
import { formatResults, type Passage } from '../src/tools/search-results.ts'

const search: ChatCompletionFunctionTool = {
  type: 'function',
  function: {
    name: 'file_search',
    description: 'Searches the files of the user.',
    parameters: {
      type: 'object',
      properties: { query: { type: 'string' }, queries: { type: 'array', items: { type: 'string' } } },
      required: ['query'],
    },
  },
}
const weather: ChatCompletionFunctionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
}

const requestOf = (
  messages: ChatCompletionMessageParam[],
  settings: Partial<CompletionRequest> = {},
): CompletionRequest => ({
  model: 'demo',
  messages,
  tools: [search],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  response_format: 'auto',
  temperature: 1,
  top_p: 1,
  reasoning_effort: null,
  max_completion_tokens: null,
  ...settings,
})

/** The model's answer: its chunks of text and its calls. */
async function answerTo(request: CompletionRequest) {
  const chunks: string[] = []
  const calls: { name: string; arguments: string }[] = []
  for await (const chunk of createDemoCompleter().complete(request, new AbortController().signal)) {
    if (chunk.type === 'text') chunks.push(chunk.text)
    if (chunk.type !== 'tool_call') continue
    const call = calls[chunk.index] ?? { name: chunk.name ?? '', arguments: '' }
    call.arguments += chunk.arguments
    calls[chunk.index] = call
  }
  return { chunks, text: chunks.join(''), calls: calls.map((call) => [call.name, JSON.parse(call.arguments)]) }
}

const ask = (question: string, settings?: Partial<CompletionRequest>) =>
  answerTo(requestOf([{ role: 'user', content: question }], settings))

describe('the demo model searches', () => {
  test.each([
    ["Find documents about 'Project Phoenix'", { query: 'Project Phoenix' }],
    [
      'Compare “Project Phoenix” with "Project Griffin", please!',
      { query: 'Project Phoenix', queries: ['Project Griffin'] },
    ],
    ['Please tell me about the refund window.', { query: 'refund window' }],
    ["What's the dog's name?", { query: "What's the dog's name" }],
    ['Show the budget for 2026', { query: 'Show the budget for 2026' }],
    ['退款期限是多久？', { query: '退款期限是多久' }],
  ])('for what the question is about: %s', async (question, args) => {
    const { calls, text } = await ask(question)
    expect(calls).toEqual([['file_search', args]])
    expect(text).toBe('')
  })

  test.each(['“', "'a'b", '?', 'find ', 'x'])(
    'for the beginning of a message that is very long: %s',
    async (part) => {
      const { calls } = await ask(`Phoenix ${part.repeat(200_000)}x`)
      expect(calls).toEqual([['file_search', { query: expect.stringMatching(/^.{1,1000}$/) }]])
    },
    2000,
  )

  test.each(['Hi', 'Hello there!', 'Thank you, good night', 'How are you?', '👋', ''])(
    'not for small talk: %s',
    async (question) => {
      const { calls, text } = await ask(question)
      expect(calls).toEqual([])
      expect(text).toMatch(/demo model/)
    },
  )

  test('when it must, whatever is said, and not when it may not', async () => {
    const forced = { type: 'function', function: { name: 'file_search' } } as const
    const tools = [weather, search]
    expect((await ask('Hi', { tools, tool_choice: forced })).calls).toEqual([['file_search', { query: 'Hi' }]])
    expect((await ask('Phoenix?', { tool_choice: 'none' })).calls).toEqual([])
    expect((await ask('Phoenix?', { tools: [weather] })).calls).toEqual([])
  })

  test('and calls a function that fits in the same turn, if it may call several', async () => {
    const question = 'What is the weather in Oslo?'
    const tools = [search, weather]
    const both = [
      ['file_search', { query: 'What is the weather in Oslo' }],
      ['get_weather', { city: 'Oslo' }],
    ]
    expect((await ask(question, { tools })).calls).toEqual(both)
    expect((await ask(question, { tools, parallel_tool_calls: false })).calls).toEqual(both.slice(0, 1))
  })
})

/** The conversation after a search of these passages. */
const afterSearch = (question: string, passages: readonly Passage[], ...others: ChatCompletionMessageParam[]) => [
  { role: 'user' as const, content: 'Hi 【4:0†old.md】' },
  { role: 'user' as const, content: question },
  {
    role: 'assistant' as const,
    tool_calls: ['file_search', 'get_weather'].map((name, index) => ({
      id: `call_${index}`,
      type: 'function' as const,
      function: { name, arguments: '{}' },
    })),
  },
  { role: 'tool' as const, tool_call_id: 'call_0', content: formatResults(4, passages) },
  ...others,
]

const phoenix: Passage[] = [
  {
    file_name: 'kick off.md',
    text: '# Kick-off\n\nWe met on Monday. **Project Phoenix** replaces the old billing system\nby March 2027. Lunch was good.',
  },
  { file_name: 'kick off.md', text: 'by March 2027. Lunch was good. Nobody left early.' },
  { file_name: 'plan.pdf', text: 'Costs\n- The budget of Project Phoenix is 2.4 million euros!\n- Travel is extra.' },
  { file_name: 'team.docx', text: 'Ada leads the project. Bob cooks.' },
  { file_name: 'menu.txt', text: 'Soup, fish, cake.' },
]

describe('the demo model answers from the passages', () => {
  const question = "Find documents about 'Project Phoenix'"

  test('with the sentences that fit best, of several files, each with its mark', async () => {
    const { text } = await answerTo(requestOf(afterSearch(question, phoenix)))
    expect(text).toBe(
      'Here is what I found in kick off.md, plan.pdf and team.docx: ' +
        'Project Phoenix replaces the old billing system by March 2027【4:0†kick off.md】. ' +
        'The budget of Project Phoenix is 2.4 million euros【4:2†plan.pdf】! ' +
        'Ada leads the project【4:3†team.docx】.',
    )
    expect(await answerTo(requestOf(afterSearch(question, phoenix)))).toMatchObject({ text })
  })

  test('so that each mark is found in the stream, though it comes in pieces', async () => {
    const { chunks, text } = await answerTo(requestOf(afterSearch(question, phoenix)))
    const reader = new CitationReader((_, m) => ({ file_id: `file-${m}` }))
    const pieces = [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()]
    expect(pieces.map((piece) => piece.text).join('')).toBe(text)
    const annotations = pieces.flatMap(({ annotation }) => annotation ?? [])
    expect(annotations).toMatchObject(
      ['file-0', 'file-2', 'file-3'].map((file_id) => ({ type: 'file_citation', file_citation: { file_id } })),
    )
  })

  test('from the best one, if none has a word of the question', async () => {
    const { text } = await answerTo(requestOf(afterSearch('Who cares?', phoenix.slice(3))))
    expect(text).toBe('Here is what I found in team.docx: Ada leads the project【4:0†team.docx】.')
  })

  test('says each sentence once, where passages overlap', async () => {
    const passages = ['One. The fee is due in May.', 'The fee is due in May. Two.'].map((text) => ({
      file_name: 'a.md',
      text,
    }))
    const { text } = await answerTo(requestOf(afterSearch('When is the fee due?', passages)))
    expect(text).toBe('Here is what I found in a.md: The fee is due in May【4:0†a.md】.')
  })

  test('in Chinese', async () => {
    const passages = [{ file_name: '条款.md', text: '我们在上海。退款期限为三十天。【公告】谢谢。' }]
    const { text } = await answerTo(requestOf(afterSearch('退款期限是多久？', passages)))
    expect(text).toBe('Here is what I found in 条款.md: 退款期限为三十天【4:0†条款.md】。')
  })

  test('and says so if there are none', async () => {
    const { text } = await answerTo(requestOf(afterSearch(question, [])))
    expect(text).toBe('I found nothing about that in the files.')
  })

  test('together with what a function returned', async () => {
    const output = { role: 'tool' as const, tool_call_id: 'call_1', content: 'It is 4 degrees.' }
    const { text } = await answerTo(requestOf(afterSearch('Who leads the project?', phoenix.slice(3), output)))
    expect(text).toBe(
      'Here is what I found in team.docx: Ada leads the project【4:0†team.docx】.\n\n' +
        'Here is what I found out: It is 4 degrees.',
    )
  })

  test('as JSON, if that is asked for', async () => {
    const settings = { response_format: { type: 'json_object' as const } }
    const { text } = await answerTo(requestOf(afterSearch('Who leads the project?', phoenix.slice(3)), settings))
    expect(JSON.parse(text)).toEqual({
      question: 'Who leads the project?',
      answer: 'Here is what I found in team.docx: Ada leads the project【4:0†team.docx】.',
    })
  })

  test('but not with a whole page in place of a sentence', async () => {
    const passages = [{ file_name: 'table.csv', text: `project;${'phoenix '.repeat(5000)}` }]
    const { text } = await answerTo(requestOf(afterSearch(question, passages)))
    expect(text.length).toBeLessThan(500)
    expect(text).toMatch(/【4:0†table\.csv】…$/)
  })
})
