import type OpenAI from 'openai'
import { say, told } from './telling.ts'

/** A function of the client's. */
export async function tellOfFunction(openai: OpenAI) {
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
