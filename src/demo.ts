/** Two stories, of a function call and of a search, told by the official SDK against a server that this program starts. */
import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import type { AssistantStream } from 'openai/lib/AssistantStream'
import type { Annotation } from 'openai/resources/beta/threads/messages'
import type { FileSearchToolCall } from 'openai/resources/beta/threads/runs/steps'
import { pino } from 'pino'
import { readConfig } from './config.ts'
import { serve } from './server.ts'
import { createServices } from './services.ts'

const documents = ['project-phoenix-plan.pdf', 'project-phoenix-budget.docx', 'project-phoenix-notes.md']
const folder = mkdtempSync(join(tmpdir(), 'assistants-demo-'))
const config = readConfig({
  PORT: '0',
  DATABASE_URL: `sqlite:${join(folder, 'demo.db')}`,
  DATA_DIR: join(folder, 'data'),
})
const server = await serve(createServices(config, pino({ level: 'warn' })))

try {
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'sk-test-001' })
  await tellOfFunction(openai)
  say('\n')
  await tellOfSearch(openai)
} finally {
  await server.close()
  rmSync(folder, { recursive: true })
}

function say(text: string) {
  process.stdout.write(text)
}

async function tellOfFunction(openai: OpenAI) {
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

async function tellOfSearch(openai: OpenAI) {
  const { assistants, threads } = openai.beta

  const { id: store } = await openai.vectorStores.create({ name: 'Project Phoenix' })
  const files = documents.map((name) => createReadStream(join(import.meta.dirname, 'demo/documents', name)))
  const { file_counts } = await openai.vectorStores.fileBatches.uploadAndPoll(store, { files })
  say(`The vector store ${store} has ${file_counts.completed} files: ${documents.join(', ')}.\n`)

  const assistant = await assistants.create({
    model: 'demo',
    name: 'Librarian',
    instructions: 'Answer from the files.',
    tools: [{ type: 'file_search' }],
    tool_resources: { file_search: { vector_store_ids: [store] } },
  })
  const question = "Find documents about 'Project Phoenix'"
  const thread = await threads.create({ messages: [{ role: 'user', content: question }] })
  say(`You: ${question}\n`)

  const run = await told(threads.runs.stream(thread.id, { assistant_id: assistant.id }))
  const [answer] = (await threads.messages.list(thread.id, { run_id: run.id })).data
  for (const part of answer?.content ?? []) {
    if (part.type === 'text') for (const note of part.text.annotations) await tellOfCitation(openai, note)
  }
  const steps = await threads.runs.steps.list(run.id, { thread_id: thread.id, order: 'asc' })
  for (const { step_details: details } of steps.data) {
    const calls = details.type === 'tool_calls' ? details.tool_calls : []
    for (const call of calls) if (call.type === 'file_search') tellOfResults(call.file_search.results ?? [])
  }
}

async function tellOfCitation(openai: OpenAI, note: Annotation) {
  if (note.type !== 'file_citation') return
  const { filename } = await openai.files.retrieve(note.file_citation.file_id)
  say(`${note.text} at ${note.start_index} to ${note.end_index} cites ${filename}.\n`)
}

function tellOfResults(results: readonly FileSearchToolCall.FileSearch.Result[]) {
  say(`The search found ${results.map(({ file_name, score }) => `${file_name} (${score.toFixed(2)})`).join(', ')}.\n`)
}

function weatherIn(city: string) {
  return `It is 4 degrees and windy in ${city}.`
}

/** Prints a stream as it arrives; the run as it is at the end. */
async function told(stream: AssistantStream) {
  stream
    .on('toolCallCreated', (call) =>
      say(call.type === 'function' ? 'The assistant calls ' : 'The assistant searches.\n'),
    )
    .on(
      'toolCallDone',
      (call) => call.type === 'function' && say(`${call.function.name}(${call.function.arguments})\n`),
    )
    .on('textCreated', () => say('Assistant: '))
    .on('textDelta', ({ value }) => say(value ?? ''))
    .on('textDone', () => say('\n'))
  return stream.finalRun()
}
