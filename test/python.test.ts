import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { onlyModel, outputOf, startServer } from './examples/programs.ts'
import type { Turn } from './harness/backend.ts'

const python = process.env.PYTHON || 'python3'
const version = spawnSync(python, ['-c', 'import openai; print(openai.__version__)'], { encoding: 'utf8' })
const isThere = version.status === 0

if (!isThere) {
  console.warn(`The Python SDK's tests did NOT run: '${python}' has no openai package. Name one that has by PYTHON.`)
}

async function run(example: string, ...turns: Turn[]) {
  const { backend, url } = await startServer()
  backend.turns.push(...turns)
  const file = new URL(`./examples/${example}`, import.meta.url).pathname
  return { backend, printed: await outputOf(python, ['-W', 'ignore::DeprecationWarning', file], url) }
}

const pieces = ['Jane, ', '3x + 11 = 14', ' gives x = 1.']
const answer = pieces.join('')
const solve: Turn = ({ text }) => text(...pieces)

describe.runIf(isThere)(`the Python SDK (needs the openai package in '${python}')`, () => {
  test('create_and_poll completes and lists both messages, the newest first', async () => {
    const { printed } = await run('assistants.py', solve)
    expect(printed.split('\n')).toEqual([
      'Run completed with status: completed',
      'messages: ',
      `{'role': 'assistant', 'message': '${answer}'}`,
      "{'role': 'user', 'message': 'I need to solve the equation `3x + 11 = 14`. Can you help me?'}",
      '',
    ])
  })

  test('an AssistantEventHandler hears of a text from its beginning to its end', async () => {
    const { printed } = await run('assistant_stream.py', solve)
    expect(printed.split('\n')).toEqual([
      '',
      `assistant > ${answer}`,
      `text done > ${answer}`,
      'message done > completed',
      'run step done > message_creation completed',
      'end',
      'final run > completed',
      'final message is the stored one > True',
      '',
    ])
  })

  test('submit_tool_outputs_stream inside a handler ends before the first stream is read to its end', async () => {
    const place = '{"location":"San Francisco, CA"}'
    const { backend, printed } = await run(
      'assistant_function_stream.py',
      ({ calls }) =>
        calls(
          { name: 'get_current_temperature', arguments: place },
          { name: 'get_rain_probability', arguments: place },
        ),
      ({ text }) => text('57 degrees, ', 'and rain is unlikely.'),
    )
    expect(printed.split('\n')).toEqual([
      'tool call > function',
      'tool call done > get_current_temperature',
      'tool call > function',
      `get_current_temperature ${place}`,
      `get_rain_probability ${place}`,
      '57 degrees, and rain is unlikely.',
      'submitted stream > completed',
      'tool call done > get_rain_probability',
      'first stream > requires_action',
      'step > message_creation completed',
      'step > tool_calls completed',
      '',
    ])
    const contents = backend.requests[1]?.messages.slice(-2).map(({ content }) => content)
    expect(contents).toEqual(['57', '0.06'])
  })

  test('an AssistantEventHandler hears once that a call is done, also when a text came before it', async () => {
    const { printed } = await run('assistant_function_stream.py', ({ chunk, calls }) => {
      chunk({ content: 'Let me look.' })
      calls({ name: 'get_rain_probability', arguments: '{}' })
    })
    expect(printed.match(/^tool call done > .*$/gm)).toEqual(['tool call done > get_rain_probability'])
  })

  test('the examples ask for gpt-4o, and run on a backend that knows its model by another name only', async () => {
    const { backend, url } = await startServer({ MODELS: 'gpt-4*=qwen3:4b' })
    const weather: Turn = ({ calls }) => calls({ name: 'get_rain_probability', arguments: '{}' })
    backend.turns = onlyModel('qwen3:4b', [solve, solve, weather, solve])
    for (const name of ['assistants.py', 'assistant_stream.py', 'assistant_function_stream.py']) {
      const file = new URL(`./examples/${name}`, import.meta.url).pathname
      const printed = await outputOf(python, ['-W', 'ignore::DeprecationWarning', file], url)
      expect(printed, name).toContain(answer)
    }
    expect(backend.requests.map(({ model }) => model)).toEqual(Array(4).fill('qwen3:4b'))
  })

  test('the poll helpers of files and batches end, for failing and cancelled files too', {
    timeout: 60_000,
  }, async () => {
    const { printed } = await run('vector_stores.py')
    expect(printed.split('\n')).toEqual([
      'upload_and_poll > completed None',
      'upload_and_poll > failed unsupported_file',
      'create_and_poll > completed',
      'batch upload_and_poll > completed 1 1',
      'batch of nothing good > completed 1',
      'cancelled batch > cancelled 0 True',
      'its last file > cancelled',
      'content > Refunds are accepted within 30 days.',
      "search > [('good.txt', 'Refunds are accepted within 30 days.')]",
      "list > ['cancelled', 'completed', 'failed']",
      'deleted > True',
      '',
    ])
  })
})
