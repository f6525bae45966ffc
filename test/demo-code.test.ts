import type { AssistantTool } from 'openai/resources/beta/assistants'
import type { ChatCompletionFunctionTool, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import type { CompletionRequest } from '../src/completer/completer.ts'
import { createDemoCompleter } from '../src/completer/demo-model/demo-model.ts'
import { type Harness, startApp } from './harness/app.ts'

const aFunction = (name: string, description = ''): ChatCompletionFunctionTool => ({
  type: 'function',
  function: { name, description },
})
const code = (...described: string[]) => aFunction('code_interpreter', described.join(' '))
const specialist = aFunction('create_specialist', 'Creates a specialist, hands it a task, and tells its answer.')
const search = aFunction('file_search')
const withFiles = code('Only the standard library is there.', 'Files of the user: /mnt/data/sales.csv (file-a).')

async function answerTo(messages: ChatCompletionMessageParam[], settings: Partial<CompletionRequest>) {
  let text = ''
  const calls: { name: string; arguments: string }[] = []
  const request: CompletionRequest = {
    ...{ model: 'demo', messages, tools: [code()], tool_choice: 'auto', parallel_tool_calls: true },
    ...{ response_format: 'auto', temperature: 1, top_p: 1, reasoning_effort: null, max_completion_tokens: null },
    ...settings,
  }
  for await (const chunk of createDemoCompleter().complete(request, new AbortController().signal)) {
    if (chunk.type === 'text') text += chunk.text
    if (chunk.type !== 'tool_call') continue
    if (chunk.name) calls[chunk.index] = { name: chunk.name, arguments: '' }
    const call = calls[chunk.index]
    if (call) call.arguments += chunk.arguments
  }
  return { text, calls: calls.map((call) => ({ name: call.name, args: JSON.parse(call.arguments) })) }
}

const ask = (question: string, settings: Partial<CompletionRequest> = {}) =>
  answerTo([{ role: 'user', content: question }], settings)

/** The one call that a question makes the model write. */
async function onlyCallFor(question: string, ...tools: ChatCompletionFunctionTool[]) {
  const { text, calls } = await ask(question, { tools })
  expect(text).toBe('')
  expect(calls).toHaveLength(1)
  return calls[0]
}
const codeFor = async (question: string, ...tools: ChatCompletionFunctionTool[]): Promise<string> =>
  (await onlyCallFor(question, ...(tools.length > 0 ? tools : [code()])))?.args.code

/** What the model says after a call that brought this output. */
const afterCall = async (name: string, args: object, output: string, settings: Partial<CompletionRequest> = {}) => {
  const call = { id: 'call_1', type: 'function' as const, function: { name, arguments: JSON.stringify(args) } }
  const tools = [code(), specialist]
  return answerTo(
    [
      { role: 'user', content: 'What is 2 + 2?' },
      { role: 'assistant', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: output },
    ],
    { tools, ...settings },
  )
}

describe('the demo model computes by code', () => {
  test.each([
    ['What is 17 * 23?', 'print(17 * 23)'],
    ['What is 17 * 23 =?', 'print(17 * 23)'],
    ['(3+4)^2 / 7', 'print((3 + 4) ** 2 / 7)'],
    ['15 % of 240', 'print(15 / 100 * 240)'],
    ['Please tell me: what is 17 mod 5?', 'print(17 % 5)'],
    ['How much is 1,234.50 times 2?', 'print(1234.50 * 2)'],
    ['10 minus 4 divided by 2', 'print(10 - 4 / 2)'],
    ['12 squared plus 007', 'print(12 ** 2 + 7)'],
    ['3 × -4', 'print(3 * -4)'],
    ['square root of 2', 'import math\nprint(math.sqrt(2))'],
    ['2π(1 + √9)', 'import math\nprint(2 * math.pi * (1 + math.sqrt(9)))'],
    ['Compute 5! / 3!', 'import math\nprint(math.factorial(5) / math.factorial(3))'],
    ['sum of 3, 4 and 5', 'print(sum([3, 4, 5]))'],
    ['What is the product of 1,000 and 2?', 'import math\nprint(math.prod([1000, 2]))'],
    ['Find the average of 3, -4, and 8.5.', 'import statistics\nprint(statistics.mean([3, -4, 8.5]))'],
    ['My homework asks me for 2 + 2, can you help?', 'print(2 + 2)'],
    ['Run this:\n```python\nx = "a"\nprint(x)\n```', 'x = "a"\nprint(x)\n'],
  ])('%s', async (question, python) => {
    expect(await codeFor(question)).toBe(python)
  })

  test.each([
    'Hello!',
    'What is 42?',
    'What happened on 2026-03-01?',
    'Are you there 24/7?',
    'Read pages 3 - 5 of version 1.2.3',
    'Who sang 99 Luftballons?',
    '((3 + 4)',
    '3 4',
    '1e5 * 3x',
    'How many rows has sales.csv?',
    'Total the revenue per region',
  ])('but has nothing to compute for: %s', async (question) => {
    const { calls, text } = await ask(question)
    expect(calls).toEqual([])
    expect(text).toContain(question)
  })

  test.each(['(', '1 ', '`', '= ', 'x=', '1*', '√(', 'a = ', 'hand it to ', 'hand ', 'ask a b '])(
    'nor, in no time, for a message that is very long: %s',
    async (part) => {
      const tools = [specialist, code()]
      for (const length of [990, 4990]) await ask(`${part.repeat(length).slice(0, length)}z`, { tools })
      expect((await ask(`${part.repeat(100_000)}z`, { tools })).calls).toEqual([])
    },
    2000,
  )

  test('in place of a search, and not when it may not', async () => {
    expect(await onlyCallFor('What is 2 + 2?', search, code())).toMatchObject({ name: 'code_interpreter' })
    expect(await onlyCallFor('What is the plan?', search, withFiles)).toMatchObject({ name: 'file_search' })
    expect((await ask('What is 2 + 2?', { tool_choice: 'none' })).calls).toEqual([])
    expect((await ask('What is 2 + 2?', { tools: [] })).calls).toEqual([])
  })

  test('when it must, whatever is said', async () => {
    const forced = { type: 'function', function: { name: 'code_interpreter' } } as const
    for (const tool_choice of ['required', forced] as const) {
      const { calls } = await ask('Hi', { tool_choice })
      expect(calls).toEqual([{ name: 'code_interpreter', args: { code: expect.stringContaining('listdir') } }])
    }
  })

  test('with the same code for the same question', async () => {
    const question = 'Plot the revenue per region in sales.csv and save it'
    expect(await codeFor(question, withFiles)).toBe(await codeFor(question, withFiles))
  })

  test('over a table that is there, and draws with what is there', async () => {
    const question = 'Plot the revenue per region'
    const plain = await codeFor(question, withFiles)
    expect(plain).toContain('path = "/mnt/data/sales.csv"')
    expect(plain).toContain('chart.svg')
    expect(plain).not.toMatch(/matplotlib|summary\.csv/)
    const packages = code(
      'Packages besides the standard library: numpy, matplotlib.',
      'Files of the user: /mnt/data/a.txt (file-a), /mnt/data/b, c.csv (file-b), /mnt/data/d.csv (file-d).',
    )
    expect(await codeFor(question, packages)).toMatch(/path = "\/mnt\/data\/b, c\.csv"[\s\S]*plt\.show\(\)/)
    expect(await codeFor('Count the rows of d.csv', packages)).toMatch(/path = "\/mnt\/data\/d\.csv"/)
  })
})

describe('the demo model tells', () => {
  test.each([
    ['4', 'The result is 4.'],
    ['x = 1\ny = 2', 'This is the result:\n\n```\nx = 1\ny = 2\n```'],
    ['Value of the last line: 4', 'The result is 4.'],
    ['The code ran and printed nothing.', 'The code ran and printed nothing.'],
    [
      'Traceback (most recent call last):\n  File "<cell>"\nZeroDivisionError: division by zero',
      'The code failed: ZeroDivisionError: division by zero',
    ],
    ['1\n2\nThe code was stopped because it took too long.', 'The code was stopped because it took too long.'],
    ['code_interpreter is switched off on this server.', 'code_interpreter is switched off on this server.'],
    [
      '4\nThis ran in a new session: variables and files of earlier calls are gone.\nFigures that the user is shown: 1.\n' +
        'Files written: [a b.csv](sandbox:/mnt/data/a b.csv), [c](sandbox:/mnt/data/c). Link to them like this.',
      'The result is 4.\n\nI saved it for you: [a b.csv](sandbox:/mnt/data/a b.csv), [c](sandbox:/mnt/data/c).',
    ],
  ])('what code has printed: %j', async (output, said) => {
    const { text, calls } = await afterCall('code_interpreter', { code: '2 + 2' }, output)
    expect(text).toBe(said)
    // However often it comes, no code is run a second time.
    expect(calls).toEqual([])
  })

  test('the result as JSON, if that is asked for', async () => {
    const settings = { response_format: { type: 'json_object' as const } }
    const { text } = await afterCall('code_interpreter', { code: '2 + 2' }, '4', settings)
    expect(JSON.parse(text)).toEqual({ question: 'What is 2 + 2?', answer: 'The result is 4.' })
  })

  test.each([
    ['Arr.', 'The pirate poet says: Arr.'],
    ['One.\nTwo.', 'The pirate poet says:\n\nOne.\nTwo.'],
    ['The specialist failed: no such model', 'The specialist failed: no such model'],
  ])('what a specialist has said: %j', async (output, said) => {
    const { text, calls } = await afterCall('create_specialist', { name: 'pirate poet' }, output)
    expect(text).toBe(said)
    expect(calls).toEqual([])
  })
})

describe('the demo model hands off', () => {
  test.each([
    ['Ask a specialist to summarise the plan', 'specialist', 'a', 'summarise the plan'],
    ['Please ask an expert in tax law about VAT', 'expert in tax law', 'an', 'about VAT'],
    ['Ask a mathematician: what is 2 + 2?', 'mathematician', 'a', 'what is 2 + 2?'],
    ['I need an expert for birds', 'expert', 'an', 'for birds'],
    ['Write of the sea. Hand this over to a pirate poet.', 'pirate poet', 'a', 'Write of the sea.'],
    ['Hand this to a pirate\npoet: write of\nthe sea', 'pirate poet', 'a', 'write of\nthe sea'],
    ['Hand this to a pirate poet', 'pirate poet', 'a', 'Hand this to a pirate poet'],
    ['Delegate the translation to a French translator.', 'French translator', 'a', 'the translation'],
  ])('%s', async (question, name, indefinite, task) => {
    expect(await onlyCallFor(question, code(), search, specialist)).toEqual({
      name: 'create_specialist',
      args: { name, instructions: `You are ${indefinite} ${name}.`, task },
    })
  })

  test.each([
    'Can I ask a question about the team?',
    'What did the specialist say?',
    'Who is the expert?',
    'Tell me about answers to tasks',
    'Have a look at that',
  ])('but does not for: %s', async (question) => {
    expect((await ask(question, { tools: [specialist] })).calls).toEqual([])
  })
})

const table = `month;region;unit price;revenue
January;North;1.5;"1,200.50"
January;South;2;300
February;North;;99.5
`

/** A run of the demo model on a question, with a csv attached to it; what it printed and said. */
async function runOn(h: Harness, question: string, tools: AssistantTool[] = [{ type: 'code_interpreter' }]) {
  const { client } = h
  const { id } = await client.beta.assistants.create({ model: 'demo', tools })
  const file = await client.files.create({ file: new File([table], 'sales.csv'), purpose: 'assistants' })
  const attachments = [{ file_id: file.id, tools: [{ type: 'code_interpreter' as const }] }]
  const thread = { messages: [{ role: 'user' as const, content: question, attachments }] }
  const run = await client.beta.threads.createAndRunPoll({ assistant_id: id, thread })
  expect(run).toMatchObject({ status: 'completed', last_error: null })
  const { data: steps } = await client.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id })
  const calls = steps.flatMap(({ step_details: one }) => (one.type === 'tool_calls' ? one.tool_calls : []))
  const printed = calls
    .flatMap((call) => (call.type === 'code_interpreter' ? call.code_interpreter.outputs : []))
    .map((output) => (output.type === 'logs' ? output.logs : ''))
    .join('')
  const { data: messages } = await client.beta.threads.messages.list(run.thread_id, { run_id: run.id })
  const [part] = messages[0]?.content ?? []
  if (part?.type !== 'text') throw new Error('The answer has no text.')
  return { steps, printed, text: part.text.value, annotations: part.text.annotations }
}

describe('through the whole server, the demo model', () => {
  test('computes', async () => {
    const h = await startApp({ env: { CODE_INTERPRETER: 'pyodide' } })
    const said: Record<string, string> = {
      'What is 17 * 23?': 'The result is 391.',
      '(3+4)^2 / 7': 'The result is 7.0.',
      '15 % of 240': 'The result is 36.0.',
      'the sum of 3, 4 and 5': 'The result is 12.',
      'I need to solve the equation `3x + 11 = 14`. Can you help me?': 'The result is x = 1.',
      'Solve 2(y - 1) = y + 1 for y': 'The result is y = 3.',
      'x^2 = 4': 'This is not linear, or has no single solution.',
      'What is 1 / 0?': 'The code failed: ZeroDivisionError: division by zero',
      '```python\nprint(\n```': "The code failed: SyntaxError: '(' was never closed",
    }
    const answers = Object.keys(said).map(async (question) => [question, (await runOn(h, question)).text])
    expect(Object.fromEntries(await Promise.all(answers))).toEqual(said)
  }, 120_000)

  test('tabulates, by the columns that the question names', async () => {
    const h = await startApp({ env: { CODE_INTERPRETER: 'pyodide' } })
    const printed: Record<string, string> = {
      'Total the revenue per region': 'region  rows  revenue\nNorth      2     1300\nSouth      1      300\n',
      'What is the average unit price by month?':
        'month     rows  average unit price\nJanuary      2                1.75\nFebruary     1                    \n',
      'How many rows are there for each month and region?':
        'month / region    rows\nJanuary / North      1\nJanuary / South      1\nFebruary / North     1\n',
      'Summarise the csv': '     rows  unit price  revenue\nall     3         3.5     1600\n',
    }
    const tables = Object.keys(printed).map(async (question) => [question, (await runOn(h, question)).printed])
    expect(Object.fromEntries(await Promise.all(tables))).toEqual(printed)
  }, 120_000)

  test('saves and draws what it has tabulated, and links to it', async () => {
    const h = await startApp({ env: { CODE_INTERPRETER: 'pyodide' } })
    const { text, annotations } = await runOn(h, 'Plot the revenue per region in sales.csv, and save it as a file')
    const links = ['chart.svg', 'summary.csv'].map((name) => `[${name}](sandbox:/mnt/data/${name})`)
    expect(text).toBe(
      `This is the result:\n\n\`\`\`\nregion  rows  revenue\nNorth      2     1300\nSouth      1      300\n\`\`\`\n\n` +
        `I saved it for you: ${links.join(', ')}.`,
    )
    const files = annotations.map((note) => (note.type === 'file_path' ? note.file_path.file_id : ''))
    expect(files).toHaveLength(2)
    const [chart, summary] = await Promise.all(files.map(async (id) => (await h.client.files.content(id)).text()))
    expect(chart).toMatch(/^<svg .*>North<.*>1300<.*>South<.*>300<.*<\/svg>$/)
    expect(summary).toBe('region,rows,revenue\r\nNorth,2,1300\r\nSouth,1,300\r\n')
  }, 120_000)

  test('has a specialist compute, and passes its answer on', async () => {
    const h = await startApp({ env: { CODE_INTERPRETER: 'pyodide' } })
    const tools = [{ type: 'create_specialist' }, { type: 'code_interpreter' }] as AssistantTool[]
    const { text, steps } = await runOn(h, 'Ask an analyst to total the revenue by region and save it', tools)
    expect(text).toMatch(/^The analyst says:\n\nThis is the result:[\s\S]*\(sandbox:\/mnt\/data\/summary\.csv\)\.$/)
    expect(steps).toHaveLength(2)
  }, 120_000)

  test('says so where no code can be run', async () => {
    const { text } = await runOn(await startApp(), 'What is 17 * 23?')
    expect(text).toBe('code_interpreter is switched off on this server.')
  })
})
