import type {
  ChatCompletionCreateParams,
  ChatCompletionMessageParam,
  ChatCompletionToolChoiceOption,
} from 'openai/resources/chat/completions'
import type { ResponseFormat } from '../../schemas/tools.ts'
import type { CompletionRequest } from '../completer.ts'
import type { Abilities } from './abilities.ts'
import { askForCall, tellFormat, tellTools } from './instructions.ts'
import { schemaWithout, withoutKeywords } from './keywords.ts'
import { adapted, withInstructions } from './messages.ts'

type Params = ChatCompletionCreateParams

/** What the backend is sent: all that the request asks for, in the way that the model can be asked. */
export function paramsOf(request: CompletionRequest, can: Abilities): Params {
  const { model, tools, temperature, top_p } = request
  const told: string[] = []
  const sent: Partial<Params> = {
    ...toolsOf(request, can, told),
    ...formatOf(request, can, told),
    ...limitsOf(request, can),
    ...(can.temperature && { temperature }),
    ...(can.topP && { top_p }),
  }
  const messages: ChatCompletionMessageParam[] = adapted(withInstructions(request.messages, told), can)
  const inOnePiece = tools.length > 0 && can.tools && !can.toolsInStream
  if (inOnePiece) return { ...sent, model, messages, stream: false }
  return {
    ...sent,
    model,
    messages,
    stream: true,
    ...(can.usageInStream && { stream_options: { include_usage: true } }),
  }
}

function toolsOf(request: CompletionRequest, can: Abilities, told: string[]): Partial<Params> {
  const { tool_choice, parallel_tool_calls } = request
  if (request.tools.length === 0) return {}
  const parallel = can.parallelTools ? { parallel_tool_calls } : {}
  const tools = offeredOf(request, can)
  if (can.tools && can.toolChoice === true) return { tools, tool_choice, ...parallel }
  if (can.tools && can.toolChoice === 'required') {
    return { tools, tool_choice: isForced(tool_choice) ? 'required' : tool_choice, ...parallel }
  }
  if (!can.tools) {
    if (tool_choice === 'none') return {}
    told.push(tellTools(tools, parallel_tool_calls))
  }
  if (isForced(tool_choice)) told.push(askForCall(tool_choice))
  if (!can.tools) return {}
  if (can.toolChoice === 'auto') return { tools, tool_choice: tool_choice === 'none' ? 'none' : 'auto', ...parallel }
  return tool_choice === 'none' ? {} : { tools, ...parallel }
}

/** Where a function cannot be forced, the model is told of no other. */
function offeredOf({ tools, tool_choice }: CompletionRequest, can: Abilities): CompletionRequest['tools'] {
  const canForce = can.tools && can.toolChoice === true
  const forced = typeof tool_choice === 'object' && 'function' in tool_choice ? tool_choice.function.name : undefined
  const offered = canForce || !forced ? tools : tools.filter((tool) => tool.function.name === forced)
  const refused = can.refusedKeywords
  return refused.length > 0 ? offered.map((tool) => withoutKeywords(tool, refused)) : offered
}

export const isForced = (choice: ChatCompletionToolChoiceOption | undefined) =>
  choice !== undefined && choice !== 'auto' && choice !== 'none'

function formatOf(request: CompletionRequest, can: Abilities, told: string[]): Partial<Params> {
  const format = request.response_format
  // Text is what all answer with that are asked for nothing else.
  if (format === 'auto' || format.type === 'text') return {}
  const response_format = sendable(format, can.refusedKeywords) as NonNullable<Params['response_format']>
  const mayBeSent = can.formatWithTools || !can.tools || request.tools.length === 0
  if (mayBeSent && (format.type === 'json_schema' ? can.jsonSchema : can.jsonObject)) return { response_format }
  told.push(tellFormat(format))
  return mayBeSent && can.jsonObject ? { response_format: { type: 'json_object' } } : {}
}

function sendable(format: Exclude<ResponseFormat, 'auto'>, refused: readonly string[]) {
  if (format.type !== 'json_schema' || refused.length === 0) return format
  const { schema, ...rest } = format.json_schema
  return { ...format, json_schema: { ...rest, ...(schema && { schema: schemaWithout(schema, refused) }) } }
}

function limitsOf({ max_completion_tokens, ...request }: CompletionRequest, can: Abilities): Partial<Params> {
  const efforts = can.reasoningEffort
  const mayReason = can.reasoningWithTools || !can.tools || request.tools.length === 0
  const reasoning_effort = mayReason ? request.reasoning_effort : 'none'
  const mayBeSent = reasoning_effort !== null && (Array.isArray(efforts) ? efforts.includes(reasoning_effort) : efforts)
  const limit = max_completion_tokens && Math.min(max_completion_tokens, can.answerTokens ?? max_completion_tokens)
  return {
    ...(mayBeSent && { reasoning_effort: reasoning_effort as NonNullable<Params['reasoning_effort']> }),
    ...(limit !== null && can.maxTokens !== 'none' && { [can.maxTokens]: limit }),
  }
}
