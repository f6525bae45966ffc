import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionFunctionTool,
  ChatCompletionMessageParam,
  ChatCompletionToolChoiceOption,
  ChatCompletionToolMessageParam,
} from 'openai/resources/chat/completions'
import type { CompletionRequest } from '../completer/completer.ts'
import type { MessageContent } from '../schemas/messages.ts'
import { callsOf, type ToolCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { isFunction, type Tool } from '../schemas/tools.ts'
import type { Done, Said } from '../store/store.ts'
import type { RunTools } from '../tools/registry.ts'
import { isCalls, reasoningOf, type Turn } from './history.ts'

type FunctionTool = Extract<Tool, { type: 'function' }>

export interface PromptOptions {
  /** What the run may still use of them; null for no limit. */
  completionTokens: number | null
  tools: readonly ChatCompletionFunctionTool[]
  /** The run has called tools before. */
  hasCalled: boolean
  /** By the ids of their files; a picture that is missing is left out. */
  pictures: ReadonlyMap<string, string>
}

/** The model call that comes next in a run, made of these turns. */
export function requestFor(run: Run, turns: readonly Turn[], options: PromptOptions): CompletionRequest {
  const { completionTokens, tools, hasCalled, pictures } = options
  return {
    model: run.model,
    messages: messagesOf(run, turns, pictures),
    tools: [...tools],
    tool_choice: toolChoiceOf(run, tools, hasCalled),
    parallel_tool_calls: run.parallel_tool_calls,
    response_format: run.response_format,
    temperature: run.temperature,
    top_p: run.top_p,
    reasoning_effort: run.reasoning_effort,
    max_completion_tokens: completionTokens,
  }
}

/** All tools of a run as the model is told of them. */
export async function toolsOf(run: Run, ours: RunTools): Promise<ChatCompletionFunctionTool[]> {
  const described = await Promise.all(Array.from(ours.values(), (tool) => tool.describe(run)))
  return [...described, ...run.tools.filter(isFunction).map(functionOf)]
}

function functionOf({ function: given }: FunctionTool): ChatCompletionFunctionTool {
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
  turns: readonly Turn[],
  pictures: PromptOptions['pictures'],
): ChatCompletionMessageParam[] {
  const list: ChatCompletionMessageParam[] = run.instructions ? [{ role: 'system', content: run.instructions }] : []
  let spoke: string | null = null
  for (const item of turns.flat()) {
    if (!isCalls(item)) list.push(...fromMessage(item, pictures))
    else {
      const [asked, ...outputs] = fromCalls(item)
      const last = list.at(-1)
      // What an answer said before its calls and the calls are one message of the model.
      if (item.run_id === spoke && last?.role === 'assistant' && !last.tool_calls)
        list.splice(-1, 1, { ...last, ...asked })
      else list.push(asked)
      list.push(...outputs)
    }
    spoke = isCalls(item) ? null : item.run_id
  }
  return list
}

function fromCalls(step: Done): [ChatCompletionAssistantMessageParam, ...ChatCompletionToolMessageParam[]] {
  const calls = callsOf(step).map(modelCall)
  const reasoning = reasoningOf(step)
  const asked: ChatCompletionAssistantMessageParam = {
    role: 'assistant',
    ...reasoning?.message,
    tool_calls: calls.map(({ id, name, arguments: written }) => ({
      id,
      type: 'function',
      function: { name, arguments: written },
      ...reasoning?.calls[id],
    })),
  }
  return [asked, ...calls.map(({ id, output }) => ({ role: 'tool' as const, tool_call_id: id, content: output ?? '' }))]
}

/** A call as the model made it. Backends that read the arguments back fail at what is no JSON. */
export function modelCall(call: ToolCall) {
  const made =
    call.type === 'function' ? call.function : { name: call.type, arguments: '', output: null, ...call.model_call }
  return { ...made, id: call.id, arguments: isJson(made.arguments) ? made.arguments : '{}' }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function fromMessage(message: Said, pictures: PromptOptions['pictures']): ChatCompletionMessageParam[] {
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
