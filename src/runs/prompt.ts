import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
  ChatCompletionToolChoiceOption,
} from 'openai/resources/chat/completions'
import type { CompletionRequest } from '../completer/completer.ts'
import { withoutMarks } from '../retrieval/cite.ts'
import type { Message, MessageContent } from '../schemas/messages.ts'
import type { RunStep, ToolCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { isFunction, type Tool } from '../schemas/tools.ts'
import type { Conversation } from '../store/store.ts'

type FunctionTool = Extract<Tool, { type: 'function' }>

export interface PromptOptions {
  /** What the run may still use of them; null for no limit. */
  completionTokens: number | null
  /** The tools that are not the client's. */
  ours: readonly ChatCompletionFunctionTool[]
  /** By the ids of their files; a picture that is missing is left out. */
  pictures: ReadonlyMap<string, string>
}

/** The model call that comes next in a run. */
export function requestFor(run: Run, conversation: Conversation, options: PromptOptions): CompletionRequest {
  const { completionTokens, ours, pictures } = options
  const tools = [...ours, ...run.tools.filter(isFunction).map(described)]
  const called = conversation.steps.some((step) => step.type === 'tool_calls')
  return {
    model: run.model,
    messages: messagesOf(run, conversation, pictures),
    tools,
    tool_choice: toolChoiceOf(run, tools, called),
    parallel_tool_calls: run.parallel_tool_calls,
    response_format: run.response_format,
    temperature: run.temperature,
    top_p: run.top_p,
    reasoning_effort: run.reasoning_effort,
    max_completion_tokens: completionTokens,
  }
}

function described({ function: given }: FunctionTool): ChatCompletionFunctionTool {
  const { name, description, parameters, strict } = given
  return {
    type: 'function',
    function: { name, ...(description !== undefined && { description }), parameters, ...(strict && { strict }) },
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
  const name = choice.type === 'function' ? choice.function.name : choice.type
  return tools.some((tool) => tool.function.name === name) ? { type: 'function', function: { name } } : 'auto'
}

function messagesOf(
  run: Run,
  { before, steps, messages }: Conversation,
  pictures: PromptOptions['pictures'],
): ChatCompletionMessageParam[] {
  const system: ChatCompletionMessageParam[] = run.instructions ? [{ role: 'system', content: run.instructions }] : []
  const made = new Map(messages.map((message) => [message.id, message]))
  return [
    ...system,
    ...before.flatMap((message) => fromMessage(withoutCitations(message), pictures)),
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
    return message ? fromMessage(message, new Map()) : []
  }
  const calls = details.tool_calls.map(modelCall)
  const asked: ChatCompletionAssistantMessageParam = {
    role: 'assistant',
    tool_calls: calls.map(({ id, name, arguments: written }) => ({
      id,
      type: 'function',
      function: { name, arguments: written },
    })),
  }
  return [asked, ...calls.map(({ id, output }) => ({ role: 'tool' as const, tool_call_id: id, content: output ?? '' }))]
}

/** A call as the model made it. */
function modelCall(call: ToolCall) {
  if (call.type === 'function') return { id: call.id, ...call.function }
  return { id: call.id, name: call.type, arguments: '{}', output: null, ...call.model_call }
}

/** What was cited in earlier runs is not at hand any more, and the model would only copy its marks. */
const withoutCitations = (message: Message): Message => ({
  ...message,
  content: message.content.map((part) =>
    part.type === 'text' && part.text.annotations.length > 0
      ? { ...part, text: { value: withoutMarks(part.text.value, part.text.annotations), annotations: [] } }
      : part,
  ),
})

function fromMessage(message: Message, pictures: PromptOptions['pictures']): ChatCompletionMessageParam[] {
  if (message.role === 'assistant') {
    const content = message.content.map(spoken).filter(Boolean).join('\n')
    return content ? [{ role: 'assistant', content }] : []
  }
  const parts = message.content.flatMap((part) => fromPart(part, pictures))
  const [first] = parts
  // Without its pictures it would be no message, and the model would have nothing to answer.
  if (!first) return [{ role: 'user', content: '[A picture was sent that cannot be shown.]' }]
  // Plain text as a string: some backends understand nothing else.
  return [{ role: 'user', content: parts.length === 1 && first.type === 'text' ? first.text : parts }]
}

function spoken(part: MessageContent): string {
  if (part.type === 'text') return part.text.value
  return part.type === 'refusal' ? part.refusal : ''
}

function fromPart(part: MessageContent, pictures: PromptOptions['pictures']): ChatCompletionContentPart[] {
  switch (part.type) {
    case 'text':
      return [{ type: 'text', text: part.text.value }]
    case 'image_url':
      return [{ type: 'image_url', image_url: part.image_url }]
    case 'image_file': {
      const { file_id, detail } = part.image_file
      const url = pictures.get(file_id)
      return url ? [{ type: 'image_url', image_url: { url, detail } }] : []
    }
    default:
      return []
  }
}
