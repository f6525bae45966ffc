import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
  ChatCompletionToolChoiceOption,
} from 'openai/resources/chat/completions'
import type { CompletionRequest } from '../completer/completer.ts'
import type { Message, MessageContent } from '../schemas/messages.ts'
import type { RunStep } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import type { Conversation } from '../store/store.ts'

/** The model call that comes next in a run. `completionTokens`: what the run may still use of them, null for no limit. */
export function requestFor(run: Run, conversation: Conversation, completionTokens: number | null): CompletionRequest {
  const tools = run.tools.filter((tool) => tool.type === 'function')
  const called = conversation.steps.some((step) => step.type === 'tool_calls')
  return {
    model: run.model,
    messages: messagesOf(run, conversation),
    tools: tools.map(({ function: { name, description, parameters, strict } }) => ({
      type: 'function',
      function: { name, ...(description !== undefined && { description }), parameters, ...(strict && { strict }) },
    })),
    tool_choice: toolChoiceOf(run, tools, called),
    parallel_tool_calls: run.parallel_tool_calls,
    response_format: run.response_format,
    temperature: run.temperature,
    top_p: run.top_p,
    reasoning_effort: run.reasoning_effort,
    max_completion_tokens: completionTokens,
  }
}

/** A forced choice holds for the first turn only: otherwise the run would call tools for ever. */
function toolChoiceOf(
  run: Run,
  tools: readonly ChatCompletionFunctionTool[],
  called: boolean,
): ChatCompletionToolChoiceOption {
  const choice = run.tool_choice
  if (choice === 'none' || choice === 'auto' || called) return choice === 'none' ? 'none' : 'auto'
  if (choice === 'required') return 'required'
  if (choice.type !== 'function') return 'auto'
  const { name } = choice.function
  return tools.some((tool) => tool.function.name === name) ? { type: 'function', function: { name } } : 'auto'
}

function messagesOf(run: Run, { before, steps, messages }: Conversation): ChatCompletionMessageParam[] {
  const system: ChatCompletionMessageParam[] = run.instructions ? [{ role: 'system', content: run.instructions }] : []
  const made = new Map(messages.map((message) => [message.id, message]))
  return [
    ...system,
    ...before.flatMap(fromMessage),
    ...steps.flatMap((step) => fromStep(step, made)).reduce(joined, []),
  ]
}

/** What a turn said before its calls and the calls are one message of the model. */
function joined(list: ChatCompletionMessageParam[], next: ChatCompletionMessageParam): ChatCompletionMessageParam[] {
  const last = list.at(-1)
  const isText = last?.role === 'assistant' && !last.tool_calls
  if (isText && next.role === 'assistant' && next.tool_calls) return [...list.slice(0, -1), { ...last, ...next }]
  return [...list, next]
}

function fromStep(step: RunStep, made: ReadonlyMap<string, Message>): ChatCompletionMessageParam[] {
  const details = step.step_details
  if (details.type === 'message_creation') {
    const message = made.get(details.message_creation.message_id)
    return message ? fromMessage(message) : []
  }
  const calls = details.tool_calls.filter((call) => call.type === 'function')
  if (calls.length === 0) return []
  const asked: ChatCompletionAssistantMessageParam = {
    role: 'assistant',
    tool_calls: calls.map(({ id, function: { name, arguments: args } }) => ({
      id,
      type: 'function',
      function: { name, arguments: args },
    })),
  }
  return [
    asked,
    ...calls.map((call) => ({ role: 'tool' as const, tool_call_id: call.id, content: call.function.output ?? '' })),
  ]
}

function fromMessage(message: Message): ChatCompletionMessageParam[] {
  if (message.role === 'assistant') {
    const content = message.content.map(spoken).filter(Boolean).join('\n')
    return content ? [{ role: 'assistant', content }] : []
  }
  const parts = message.content.flatMap(fromPart)
  const [first] = parts
  if (!first) return []
  // Plain text as a string: some backends understand nothing else.
  return [{ role: 'user', content: parts.length === 1 && first.type === 'text' ? first.text : parts }]
}

function spoken(part: MessageContent): string {
  if (part.type === 'text') return part.text.value
  return part.type === 'refusal' ? part.refusal : ''
}

function fromPart(part: MessageContent): ChatCompletionContentPart[] {
  switch (part.type) {
    case 'text':
      return [{ type: 'text', text: part.text.value }]
    case 'image_url':
      return [{ type: 'image_url', image_url: part.image_url }]
    default:
      return []
  }
}
