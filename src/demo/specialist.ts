import type OpenAI from 'openai'
import type { AssistantTool } from 'openai/resources/beta/assistants'
import type { RunStep } from 'openai/resources/beta/threads/runs/steps'
import { say, told } from './telling.ts'

/** An agent that hands its task to another one, which computes it. */
export async function tellOfSpecialist(openai: OpenAI) {
  const { assistants, threads } = openai.beta

  // The SDK's types know the tools of the hosted service alone.
  const createSpecialist = { type: 'create_specialist' } as unknown as AssistantTool
  const assistant = await assistants.create({
    model: 'demo',
    name: 'Manager',
    instructions: 'Leave to specialists what they know better.',
    tools: [createSpecialist, { type: 'code_interpreter' }],
  })
  const question = 'Ask an expert in geometry to compute the square root of (3^2 + 4^2)'
  const thread = await threads.create({ messages: [{ role: 'user', content: question }] })
  say(`You: ${question}\n`)

  const run = await told(threads.runs.stream(thread.id, { assistant_id: assistant.id }))
  const steps = await threads.runs.steps.list(run.id, { thread_id: thread.id, order: 'asc' })
  for (const step of steps.data) await tellOfHandOff(openai, step)
}

/** The metadata of a step names the run of the specialist under the id of the call: `<thread_id>/<run_id>`. */
async function tellOfHandOff(openai: OpenAI, { step_details: details, metadata }: RunStep) {
  const { messages, runs } = openai.beta.threads
  for (const call of details.type === 'tool_calls' ? details.tool_calls : []) {
    const [thread_id, run_id] = (metadata as Record<string, string> | null)?.[call.id]?.split('/') ?? []
    if (!thread_id || !run_id || call.type !== 'function') continue
    say(`The step has the call of ${call.function.name} with its output: ${call.function.output}\n`)

    const run = await runs.retrieve(run_id, { thread_id })
    const steps = await runs.steps.list(run_id, { thread_id, order: 'asc' })
    say(`The specialist's run ${run.id} is ${run.status}. Its instructions: ${run.instructions}\n`)
    say(`Its metadata: ${JSON.stringify(run.metadata)}\n`)
    for (const code of steps.data.flatMap(codeIn)) say(`It ran this code:\n\n${code}\n\n`)
    say(`Its thread ${thread_id}:\n`)
    for (const { role, content } of (await messages.list(thread_id, { order: 'asc' })).data) {
      for (const part of content) if (part.type === 'text') say(`  ${role}: ${part.text.value}\n`)
    }
  }
}

const codeIn = ({ step_details: details }: RunStep) =>
  details.type === 'tool_calls'
    ? details.tool_calls.flatMap((call) => (call.type === 'code_interpreter' ? call.code_interpreter.input : []))
    : []
