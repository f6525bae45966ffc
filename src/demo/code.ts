import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type OpenAI from 'openai'
import { say, told } from './telling.ts'

/** Code that reads a csv which came with a message, and writes files for the user. */
export async function tellOfCode(openai: OpenAI) {
  const { assistants, threads } = openai.beta

  const file = await openai.files.create({
    file: createReadStream(join(import.meta.dirname, 'documents/sales.csv')),
    purpose: 'assistants',
  })
  say(`The file ${file.id} is ${file.filename}, of ${file.bytes} bytes.\n`)

  const assistant = await assistants.create({
    model: 'demo',
    name: 'Analyst',
    instructions: 'Answer by running code.',
    tools: [{ type: 'code_interpreter' }],
  })
  const question = 'Total the revenue per region in sales.csv, plot it, and save it as a file.'
  const attachments = [{ file_id: file.id, tools: assistant.tools.filter((tool) => tool.type === 'code_interpreter') }]
  const thread = await threads.create({ messages: [{ role: 'user', content: question, attachments }] })
  say(`You: ${question}\n`)

  const run = await told(threads.runs.stream(thread.id, { assistant_id: assistant.id }))
  const [answer] = (await threads.messages.list(thread.id, { run_id: run.id })).data
  for (const part of answer?.content ?? []) {
    const notes = part.type === 'text' ? part.text.annotations : []
    for (const note of notes) if (note.type === 'file_path') await download(openai, note.text, note.file_path.file_id)
  }
}

async function download(openai: OpenAI, link: string, file_id: string) {
  const { filename } = await openai.files.retrieve(file_id)
  const content = await openai.files.content(file_id)
  say(`\n${link} is the file ${file_id}. ${filename}, downloaded:\n\n${(await content.text()).trimEnd()}\n`)
}
