import type { AssistantTool } from 'openai/resources/beta/assistants'
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import type { FunctionCall } from '../src/schemas/run-steps.ts'
import { loadTools } from '../src/tools/custom.ts'
import type { ToolContext } from '../src/tools/registry.ts'
import { startApp } from './harness/app.ts'
import { aRun } from './harness/objects.ts'
import { refusalOf } from './harness/refusal.ts'

const modules = ['./src/demo/convert-units.ts', './test/tools/trying.ts']
// The SDK's types know the hosted tools alone.
const tool = (type: string) => ({ type }) as unknown as AssistantTool
const lookUp: AssistantTool = { type: 'function', function: { name: 'look_up' } }
const messages = [{ role: 'user' as const, content: 'Try it.' }]

/** A run in which the model calls tools once, and then answers. */
async function runWith(calls: { name: string; arguments: string }[], tools: AssistantTool[]) {
  const h = await startApp({ tools: modules })
  h.backend.turns = [(exchange) => exchange.calls(...calls), ({ text }) => text('Done.')]
  const { id } = await h.client.beta.assistants.create({ model: 'm', tools })
  const run = await h.client.beta.threads.createAndRunPoll({ assistant_id: id, thread: { messages } })
  const { data } = await h.client.beta.threads.runs.steps.list(run.id, { thread_id: run.thread_id, order: 'asc' })
  const details = data.map((step) => step.step_details)
  const outputs = details.flatMap((one) =>
    one.type === 'tool_calls'
      ? one.tool_calls.map((call) => (call.type === 'function' ? call.function.output : ''))
      : [],
  )
  return { h, run, details, outputs }
}

const trying = async (written: string) => {
  const { run, outputs, h } = await runWith([{ name: 'trying', arguments: written }], [tool('trying')])
  expect(run.status).toBe('completed')
  const told = h.backend.requests[1]?.messages.at(-1)
  expect(told).toMatchObject({ role: 'tool', content: outputs[0] })
  return { run, output: outputs[0] }
}

describe('a tool of the operator', () => {
  test('is told to the model, called, and shown as a function call with its output', async () => {
    const written = '{"value": 10, "from": "km", "to": "mi"}'
    const { h, run, details } = await runWith([{ name: 'convert_units', arguments: written }], [tool('convert_units')])
    expect(run).toMatchObject({ status: 'completed', tools: [{ type: 'convert_units' }] })
    const output = '10 km is 6.2137119 mi.'
    expect(details).toEqual([
      {
        type: 'tool_calls',
        tool_calls: [
          { id: expect.any(String), type: 'function', function: { name: 'convert_units', arguments: written, output } },
        ],
      },
      { type: 'message_creation', message_creation: { message_id: expect.any(String) } },
    ])
    expect(h.backend.requests[0]?.tools).toMatchObject([{ type: 'function', function: { name: 'convert_units' } }])
    expect(h.backend.requests[1]?.messages.at(-1)).toMatchObject({ role: 'tool', content: output })
  })

  test("leaves the client's own calls of the same turn to the client", async () => {
    const calls = [
      { name: 'look_up', arguments: '{}' },
      { name: 'trying', arguments: '{"act": "look"}' },
    ]
    const { h, run, outputs } = await runWith(calls, [tool('trying'), lookUp])
    expect(run.status).toBe('requires_action')
    const asked = run.required_action?.submit_tool_outputs.tool_calls ?? []
    expect(asked.map((call) => call.function.name)).toEqual(['look_up'])
    expect(outputs).toEqual([null, `look in ${run.id}`])
    const tool_outputs = [{ tool_call_id: asked[0]?.id ?? '', output: 'found' }]
    const done = await h.client.beta.threads.runs.submitToolOutputsAndPoll(run.id, {
      thread_id: run.thread_id,
      tool_outputs,
    })
    expect(done.status).toBe('completed')
    expect(h.backend.requests[1]?.messages.slice(-2).map(({ content }) => content)).toEqual([
      'found',
      `look in ${run.id}`,
    ])
  })

  test.for([
    ['{"act": "throw"}', 'The tool failed: the weather is bad.'],
    ['{"act": "hang"}', 'The tool failed: it took longer than 50 ms.'],
    ['{"act": "wait"}', 'The tool failed: it took longer than 50 ms.'],
    ['{"act": "nothing"}', 'The tool failed: it returned no text but undefined.'],
    ['{"act": 7}', 'The arguments do not fit: act must be string. Call again.'],
    ['{}', "The arguments do not fit: they must have required property 'act'. Call again."],
    ['', "The arguments do not fit: they must have required property 'act'. Call again."],
    ['[]', 'The arguments do not fit: they must be object. Call again.'],
    ['{"act": ', 'The arguments are not valid JSON. Call again with a JSON object.'],
  ] as const)('tells the model what is wrong and ends no run: %s', async ([written, told]) => {
    expect((await trying(written)).output).toBe(told)
  })

  test('that says too much is cut', async () => {
    const { output } = await trying('{"act": "much"}')
    expect(output).toBe(`${'x'.repeat(100_000)}\n[The output was longer and is cut here.]`)
  })

  test('is called by force where the run says so', async () => {
    const h = await startApp({ tools: modules })
    const { id } = await h.client.beta.assistants.create({ model: 'm', tools: [tool('trying')] })
    const tool_choice = { type: 'function' as const, function: { name: 'trying' } }
    await h.client.beta.threads.createAndRunPoll({ assistant_id: id, thread: { messages }, tool_choice })
    expect(h.backend.requests[0]?.tool_choice).toEqual(tool_choice)
  })

  test('is not begun for a run that was cancelled before', async () => {
    const [, path = ''] = modules
    const [loaded] = await loadTools([path], process.cwd(), pino({ level: 'silent' }))
    const call = loaded?.begin(aRun('thread_a'), 'call_a') as FunctionCall
    call.function.arguments = '{"act": "hang"}'
    const context = { run: aRun('thread_a'), signal: AbortSignal.abort('cancelled') } as ToolContext
    await expect(loaded?.answer(call, context)).rejects.toBe('cancelled')
  })

  test('that nobody added is refused by its name', async () => {
    const h = await startApp({ tools: modules })
    const answer = await h.send('POST', '/v1/assistants', { model: 'm', tools: [tool('trying'), tool('magic')] })
    const known = "'code_interpreter', 'file_search', 'function', 'create_specialist', 'convert_units', and 'trying'"
    expect(await refusalOf(answer)).toMatchObject({
      status: 400,
      message: `Invalid value: 'magic'. Supported values are: ${known}.`,
      param: 'tools[1].type',
    })
  })
})

describe('at the start', () => {
  test.for([
    ['./test/tools/none.ts', /^TOOLS names '\.\/test\/tools\/none\.ts', which cannot be loaded: /],
    ['./test/harness/refusal.ts', /, but it exports no good `name`\.$/],
  ] as const)('%s is refused in a sentence', async ([path, sentence]) => {
    await expect(startApp({ tools: [path] })).rejects.toThrow(sentence)
  })

  test('a tool that is there twice is refused', async () => {
    const [module = ''] = modules
    await expect(startApp({ tools: [module, module] })).rejects.toThrow(
      "Two tools have the same type: 'convert_units'.",
    )
  })
})
