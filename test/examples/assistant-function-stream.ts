import { EventEmitter } from 'node:events'
import OpenAI from 'openai'
import type { AssistantStreamEvent } from 'openai/resources/beta/assistants'
import type { Run, RunSubmitToolOutputsParams } from 'openai/resources/beta/threads/runs/runs'

/** Streams a run that calls functions; their outputs are submitted from within the event handler. */

const openai = new OpenAI()

class EventHandler extends EventEmitter {
  async onEvent(event: AssistantStreamEvent) {
    try {
      console.log(event)
      // Retrieve events that are denoted with 'requires_action'
      // since these will have our tool_calls
      if (event.event === 'thread.run.requires_action') {
        await this.handleRequiresAction(event.data, event.data.id, event.data.thread_id)
      }
    } catch (error) {
      console.error('Error handling event:', error)
    }
  }

  async handleRequiresAction(data: Run, runId: string, threadId: string) {
    const toolOutputs = (data.required_action?.submit_tool_outputs.tool_calls ?? []).map((toolCall) => {
      const output = toolCall.function.name === 'getCurrentTemperature' ? '57' : '0.06'
      return { tool_call_id: toolCall.id, output }
    })
    // Submit all the tool outputs at the same time
    await this.submitToolOutputs(toolOutputs, runId, threadId)
  }

  async submitToolOutputs(
    tool_outputs: RunSubmitToolOutputsParams.ToolOutput[],
    runId: string,
    threadId: string,
  ): Promise<void> {
    const stream = openai.beta.threads.runs.submitToolOutputsStream(runId, { thread_id: threadId, tool_outputs })
    for await (const event of stream) this.emit('event', event)
  }
}

const parameters = {
  type: 'object',
  properties: { location: { type: 'string', description: 'The city and state, e.g., San Francisco, CA' } },
  required: ['location'],
}

async function main() {
  const assistant = await openai.beta.assistants.create({
    model: process.env.OPENAI_MODEL ?? 'gpt-4o',
    instructions: 'You are a weather bot. Use the provided functions to answer questions.',
    tools: [
      {
        type: 'function',
        function: {
          name: 'getCurrentTemperature',
          description: 'Get the current temperature for a specific location',
          parameters,
        },
      },
      {
        type: 'function',
        function: {
          name: 'getRainProbability',
          description: 'Get the probability of rain for a specific location',
          parameters,
        },
      },
    ],
  })

  const thread = await openai.beta.threads.create()
  await openai.beta.threads.messages.create(thread.id, {
    role: 'user',
    content: "What's the weather in San Francisco today and the likelihood it'll rain?",
  })

  const eventHandler = new EventHandler()
  eventHandler.on('event', eventHandler.onEvent.bind(eventHandler))

  const stream = openai.beta.threads.runs.stream(thread.id, { assistant_id: assistant.id })
  for await (const event of stream) eventHandler.emit('event', event)
}

main()
