/** The story of a function call, told by the official SDK against a server that this program starts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import type { AssistantStream } from 'openai/lib/AssistantStream'
import { pino } from 'pino'
import { readConfig } from './config.ts'
import { serve } from './server.ts'
import { createServices } from './services.ts'

const folder = mkdtempSync(join(tmpdir(), 'assistants-demo-'))
const config = readConfig({ PORT: '0', DATABASE_URL: `sqlite:${join(folder, 'demo.db')}` })
const server = await serve(createServices(config, pino({ level: 'warn' })))

try {
  await story(new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'sk-test-001' }))
} finally {
  await server.close()
  rmSync(folder, { recursive: true })
}

function say(text: string) {
  process.stdout.write(text)
}

async function story(openai: OpenAI) {
  const { assistants, threads } = openai.beta

  const assistant = await assistants.create({
    model: 'demo',
    name: 'Weather desk',
    instructions: 'Answer questions about the weather.',
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather in a city, now',
          parameters: {
            type: 'object',
            properties: { city: { type: 'string' }, unit: { enum: ['celsius', 'fahrenheit'] } },
            required: ['city'],
          },
        },
      },
    ],
  })
  say(`The assistant ${assistant.id} can call get_weather.\n`)

  const question = 'What is the weather in Reykjavik, in celsius?'
  const thread = await threads.create({ messages: [{ role: 'user', content: question }] })
  say(`You: ${question}\n`)

  const run = await told(threads.runs.stream(thread.id, { assistant_id: assistant.id }))
  const calls = run.required_action?.submit_tool_outputs.tool_calls ?? []
  const tool_outputs = calls.map((call) => ({
    tool_call_id: call.id,
    output: weatherIn(JSON.parse(call.function.arguments).city),
  }))
  for (const { output } of tool_outputs) say(`The function answers: ${output}\n`)

  const finished = await told(threads.runs.submitToolOutputsStream(run.id, { thread_id: thread.id, tool_outputs }))
  const steps = await threads.runs.steps.list(run.id, { thread_id: thread.id, order: 'asc' })
  say(`The run is ${finished.status} after ${steps.data.map((step) => step.type).join(' and ')}.\n`)
}

function weatherIn(city: string) {
  return `It is 4 degrees and windy in ${city}.`
}

/** Prints a stream as it arrives; the run as it is at the end. */
async function told(stream: AssistantStream) {
  stream
    .on('toolCallCreated', () => say('The assistant calls '))
    .on(
      'toolCallDone',
      (call) => call.type === 'function' && say(`${call.function.name}(${call.function.arguments})\n`),
    )
    .on('textCreated', () => say('Assistant: '))
    .on('textDelta', ({ value }) => say(value ?? ''))
    .on('textDone', () => say('\n'))
  return stream.finalRun()
}
