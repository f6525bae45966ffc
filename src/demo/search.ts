import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type OpenAI from 'openai'
import type { Annotation } from 'openai/resources/beta/threads/messages'
import type { FileSearchToolCall } from 'openai/resources/beta/threads/runs/steps'
import { say, told } from './telling.ts'

const documents = ['project-phoenix-plan.pdf', 'project-phoenix-budget.docx', 'project-phoenix-notes.md']

/** A search in a PDF, a Word document and a Markdown file, and an answer that cites them. */
export async function tellOfSearch(openai: OpenAI) {
  const { assistants, threads } = openai.beta

  const { id: store } = await openai.vectorStores.create({ name: 'Project Phoenix' })
  const files = documents.map((name) => createReadStream(join(import.meta.dirname, 'documents', name)))
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
