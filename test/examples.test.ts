import { expect, test } from 'vitest'
import { onlyModel, outputOf, startServer } from './examples/programs.ts'
import type { Turn } from './harness/backend.ts'

const example = (name: string) => new URL(`./examples/${name}.ts`, import.meta.url)

const pieces = ['Jane, ', '3x + 11 = 14', ' gives x = 1.']
const answer = pieces.join('')
const solve: Turn = ({ text }) => text(...pieces)

async function run(program: URL, ...turns: Turn[]) {
  const { backend, url } = await startServer()
  backend.turns.push(...turns)
  return { backend, printed: await outputOf(process.execPath, [program.pathname], url) }
}

/** The names of the events in the order in which the program printed them; runs of deltas count once. */
const eventsIn = (printed: string) =>
  [...printed.matchAll(/event: '([a-z_.]+)'/g)]
    .map(([, name]) => name)
    .filter((name, index, names) => !name?.endsWith('.delta') || name !== names[index - 1])

const answering = [
  'thread.run.step.created',
  'thread.run.step.in_progress',
  'thread.message.created',
  'thread.message.in_progress',
  'thread.message.delta',
  'thread.message.completed',
  'thread.run.step.completed',
  'thread.run.completed',
]

test('the polling example prints the run as completed and both messages, the newest first', async () => {
  const { backend, printed } = await run(example('assistants'), solve)
  expect(printed).toMatch(/^Created Assistant with Id: asst_\w{24}\nCreated thread with Id: thread_\w{24}\n/)
  expect(printed).toContain('Run finished with status: completed\n')
  expect([...printed.matchAll(/role: '(\w+)'/g)].map(([, role]) => role)).toEqual(['assistant', 'user'])
  expect(backend.requests).toEqual([
    expect.objectContaining({
      model: 'gpt-4o',
      messages: [
        {
          role: 'system',
          content:
            'You are a personal math tutor. Write and run code to answer math questions.\n\n' +
            'Please address the user as Jane Doe. The user has a premium account.',
        },
        { role: 'user', content: 'I need to solve the equation `3x + 11 = 14`. Can you help me?' },
      ],
    }),
  ])
})

test('the streaming example prints each event, the growing text and the final run', async () => {
  const { printed } = await run(example('assistant-stream'), solve)
  expect(eventsIn(printed)).toEqual(['thread.run.created', 'thread.run.queued', 'thread.run.in_progress', ...answering])
  const grown = [...printed.matchAll(/^\{ value: '(.*)', annotations: \[\] \}$/gm)].map(([, text]) => text)
  expect(grown).toEqual(['Jane, ', 'Jane, 3x + 11 = 14', answer])
  expect(printed).toMatch(/\nRun Result \{\n {2}id: 'run_\w{24}',\n[\s\S]*\n {2}status: 'completed',\n/)
})

test('the raw streaming example prints the text and nothing else', async () => {
  const { printed } = await run(example('assistant-stream-raw'), solve)
  expect(printed).toBe(`${answer}\n`)
})

test('the function calling example submits its outputs from within the handler and prints the second stream', async () => {
  const place = '{"location":"San Francisco, CA"}'
  const { backend, printed } = await run(
    example('assistant-function-stream'),
    ({ calls }) =>
      calls({ name: 'getCurrentTemperature', arguments: place }, { name: 'getRainProbability', arguments: place }),
    ({ text }) => text('57 degrees, ', 'and rain is unlikely.'),
  )
  expect(eventsIn(printed)).toEqual([
    'thread.run.created',
    'thread.run.queued',
    'thread.run.in_progress',
    'thread.run.step.created',
    'thread.run.step.in_progress',
    'thread.run.step.delta',
    'thread.run.requires_action',
    'thread.run.step.completed',
    'thread.run.queued',
    'thread.run.in_progress',
    ...answering,
  ])
  expect(backend.requests[1]?.messages.slice(-3)).toEqual([
    expect.objectContaining({ role: 'assistant', tool_calls: [expect.anything(), expect.anything()] }),
    { role: 'tool', tool_call_id: expect.stringMatching(/^call_/), content: '57' },
    { role: 'tool', tool_call_id: expect.stringMatching(/^call_/), content: '0.06' },
  ])
})

test('the examples ask for gpt-4o, and run as they are on a backend that knows its model by another name only', async () => {
  const { backend, url } = await startServer({ MODELS: 'gpt-4o=qwen3:4b' })
  const place = '{"location":"San Francisco, CA"}'
  backend.turns = onlyModel('qwen3:4b', [
    ...[solve, solve, solve],
    ({ calls }) => calls({ name: 'getCurrentTemperature', arguments: place }),
    solve,
  ])
  const completed = {
    assistants: 'Run finished with status: completed',
    'assistant-stream': answer,
    'assistant-stream-raw': answer,
    'assistant-function-stream': "event: 'thread.run.completed'",
  }
  for (const [name, text] of Object.entries(completed)) {
    const printed = await outputOf(process.execPath, [example(name).pathname], url)
    expect(printed, name).toContain(text)
    expect(printed, name).not.toContain('qwen3')
  }
  expect(backend.requests.map(({ model }) => model)).toEqual(Array(5).fill('qwen3:4b'))
})
