import type OpenAI from 'openai'
import type { AssistantTool } from 'openai/resources/beta/assistants'
import { say, told } from './telling.ts'

/** A tool of the operator's, which runs on the server: `convert-units.ts`. */
export async function tellOfCustomTool(openai: OpenAI) {
  const { assistants, threads } = openai.beta

  // The SDK's types know the tools of the hosted service alone.
  const tools = [{ type: 'convert_units' } as unknown as AssistantTool]
  const assistant = await assistants.create({ model: 'demo', name: 'Converter', tools })
  const question = 'Convert 26.2 mi to km'
  const thread = await threads.create({ messages: [{ role: 'user', content: question }] })
  say(`You: ${question}\n`)

  const run = await told(threads.runs.stream(thread.id, { assistant_id: assistant.id }))
  const steps = await threads.runs.steps.list(run.id, { thread_id: thread.id, order: 'asc' })
  for (const { step_details: details } of steps.data) {
    const calls = details.type === 'tool_calls' ? details.tool_calls : []
    for (const call of calls) if (call.type === 'function') say(`The server has answered: ${call.function.output}\n`)
  }
}
