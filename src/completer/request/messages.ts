import type {
  ChatCompletionAssistantMessageParam,
  ChatCompletionContentPart,
  ChatCompletionMessageParam,
  ChatCompletionUserMessageParam,
} from 'openai/resources/chat/completions'
import type { Abilities } from './abilities.ts'

type Messages = ChatCompletionMessageParam[]
type Content = string | readonly { type: string }[]

/** The conversation as the model can be told it; as it is, if nothing needs to be changed. */
export function adapted(messages: Messages, can: Abilities): Messages {
  let list = messages
  if (can.reasoningBack !== true) list = list.map(can.reasoningBack ? withReasoning : withoutReasoning)
  if (!can.tools) list = withWrittenCalls(list)
  if (!can.images) list = list.map(withoutImages)
  if (!can.system) list = withoutSystem(list)
  if (!can.assistantFirst) list = withUserFirst(list)
  if (!can.userAfterOutputs) list = withAnswers(list)
  if (!can.repeatedRoles) list = joined(list)
  if (!can.assistantLast && list.at(-1)?.role === 'assistant') list = [...list, { role: 'user', content: 'Go on.' }]
  return list
}

/** Further instructions, after the others. */
export function withInstructions(messages: Messages, told: readonly string[]): Messages {
  if (told.length === 0) return messages
  const [first, ...rest] = messages
  const has = first?.role === 'system'
  const content = [...(has ? [textOf(first.content)] : []), ...told].join('\n\n')
  return [{ role: 'system', content }, ...(has ? rest : messages)]
}

/** Not the same words each time: models take to repeating what they seem to have thought always. */
function withReasoning(message: ChatCompletionMessageParam): ChatCompletionMessageParam {
  if (message.role !== 'assistant' || !message.tool_calls || 'reasoning_content' in message) return message
  const names = message.tool_calls.map((call) => (call.type === 'function' ? call.function.name : ''))
  return Object.assign({ ...message }, { reasoning_content: `I call ${names.join(', ')}.` })
}

function withoutReasoning(message: ChatCompletionMessageParam): ChatCompletionMessageParam {
  if (message.role !== 'assistant' || !message.tool_calls) return message
  const { content, tool_calls } = message
  return {
    role: 'assistant',
    ...(content !== undefined && { content }),
    tool_calls: tool_calls.map((call) => {
      const { extra_content: _, ...bare } = { extra_content: undefined, ...call }
      return bare
    }),
  }
}

/** Calls and their outputs as text, in the form in which the model is told to write them. */
function withWrittenCalls(messages: Messages): Messages {
  const list: Messages = []
  let outputs: string[] = []
  const flush = () => {
    if (outputs.length > 0) list.push({ role: 'user', content: outputs.join('\n') })
    outputs = []
  }
  for (const message of messages) {
    if (message.role === 'tool') {
      outputs.push(`<tool_response>\n${textOf(message.content)}\n</tool_response>`)
      continue
    }
    flush()
    list.push(message.role === 'assistant' ? withWritten(message) : message)
  }
  flush()
  return list
}

function withWritten({ tool_calls = [], ...message }: ChatCompletionAssistantMessageParam): ChatCompletionMessageParam {
  const calls = tool_calls.flatMap((call) =>
    call.type === 'function'
      ? [
          `<tool_call>\n{"name": ${JSON.stringify(call.function.name)}, "arguments": ${call.function.arguments}}\n</tool_call>`,
        ]
      : [],
  )
  return { ...message, content: [textOf(message.content ?? ''), ...calls].filter(Boolean).join('\n') }
}

/** Of the user's messages: only they have any. */
function withoutImages(message: ChatCompletionMessageParam): ChatCompletionMessageParam {
  if (message.role !== 'user' || typeof message.content === 'string') return message
  const texts = message.content.map((part) =>
    part.type === 'text' ? part.text : '[A picture was sent that this model cannot see.]',
  )
  return { ...message, content: texts.join('\n\n') }
}

/** The instructions at the beginning of the user's first message, or as one of the user's. */
function withoutSystem(messages: Messages): Messages {
  const [first, second, ...rest] = messages
  if (first?.role !== 'system') return messages
  const instructions: ChatCompletionUserMessageParam = { role: 'user', content: textOf(first.content) }
  if (second?.role !== 'user') return [instructions, ...messages.slice(1)]
  return [{ ...second, content: together(instructions.content, second.content) }, ...rest]
}

function withUserFirst(messages: Messages): Messages {
  const at = messages.findIndex(({ role }) => role !== 'system')
  if (messages[at]?.role !== 'assistant') return messages
  return [...messages.slice(0, at), { role: 'user', content: '…' }, ...messages.slice(at)]
}

function withAnswers(messages: Messages): Messages {
  return messages.flatMap((message, at) =>
    message.role === 'user' && messages[at - 1]?.role === 'tool'
      ? [{ role: 'assistant', content: '…' }, message]
      : [message],
  )
}

function joined(messages: Messages): Messages {
  const list: Messages = []
  for (const message of messages) {
    const last = list.at(-1)
    const both = last && last.role === message.role ? join(last, message) : undefined
    if (both) list.splice(-1, 1, both)
    else list.push(message)
  }
  return list
}

/** Undefined for outputs, which belong to calls of their own. */
function join(
  first: ChatCompletionMessageParam,
  second: ChatCompletionMessageParam,
): ChatCompletionMessageParam | undefined {
  if (first.role === 'user' && second.role === 'user') {
    return { ...second, content: together(first.content, second.content) }
  }
  if (first.role !== 'assistant' || second.role !== 'assistant') return undefined
  const content = [first.content, second.content].map((one) => textOf(one ?? '')).filter(Boolean)
  const tool_calls = [...(first.tool_calls ?? []), ...(second.tool_calls ?? [])]
  return {
    ...first,
    ...second,
    ...(content.length > 0 && { content: content.join('\n\n') }),
    ...(tool_calls.length > 0 && { tool_calls }),
  }
}

function together(
  first: ChatCompletionUserMessageParam['content'],
  second: ChatCompletionUserMessageParam['content'],
): ChatCompletionUserMessageParam['content'] {
  if (typeof first === 'string' && typeof second === 'string') return `${first}\n\n${second}`
  return [...partsOf(first), ...partsOf(second)]
}

const partsOf = (content: ChatCompletionUserMessageParam['content']): ChatCompletionContentPart[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : content

function textOf(content: Content): string {
  if (typeof content === 'string') return content
  return content.map((part) => ('text' in part ? String(part.text) : '')).join('\n\n')
}
