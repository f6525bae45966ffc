import type { ChatCompletionFunctionTool, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import type { Completer, CompletionChunk, CompletionRequest } from '../completer.ts'
import { codeArguments, codeFor, codeName, toldOfCode } from './code.ts'
import { answerFrom, isSmallTalk, searchArguments, searchName } from './search.ts'
import { handOffIn, specialistArguments, specialistName, toldOfSpecialist } from './specialist.ts'
import { topicOf, wordsOf } from './words.ts'

/**
 * A model without a network, for newcomers, examples and tests: the same request gets the same answer. It computes
 * and tabulates by code, hands a task to a specialist if that is asked for, searches the files for all else but small
 * talk, calls a function whose name or description shares a word with the question, and tells what came of it.
 */
export function createDemoCompleter(): Completer {
  return {
    windowOf: async () => undefined,
    async *complete(request, signal) {
      const calls = callsFor(request)
      const words: string[] = calls.length > 0 ? [] : answerTo(request).split(/(?<=\s)/)
      const limit = request.max_completion_tokens ?? Number.POSITIVE_INFINITY
      for (const text of words.slice(0, limit)) {
        signal.throwIfAborted()
        yield { type: 'text', text }
      }
      for (const [index, call] of calls.entries()) yield* streamed(call, index)
      const cut = words.length > limit
      yield {
        type: 'end',
        finish_reason: cut ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop',
        usage: usageOf(request, Math.min(words.length, limit) + calls.length * 8),
      }
    },
  }
}

interface Call {
  name: string
  arguments: Record<string, unknown>
}

function* streamed(call: Call, index: number): Generator<CompletionChunk> {
  yield { type: 'tool_call', index, name: call.name, arguments: '' }
  for (const piece of JSON.stringify(call.arguments).match(/.{1,12}/gsu) ?? []) {
    yield { type: 'tool_call', index, arguments: piece }
  }
}

/** A word counts as one token. */
function usageOf(request: CompletionRequest, completion_tokens: number) {
  const prompt_tokens = request.messages.map((message) => wordsOf(textOf(message)).length).reduce((a, b) => a + b, 0)
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_token_details: { cached_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0 },
  }
}

function textOf({ content }: ChatCompletionMessageParam): string {
  if (typeof content === 'string') return content
  return (content ?? []).map((part) => ('text' in part ? part.text : '')).join(' ')
}

interface Returned {
  name: string
  /** What the model wrote to it. */
  arguments: string
  output: string
}

/** What the user said last, and what was called and returned since. */
function lastExchange(messages: readonly ChatCompletionMessageParam[]) {
  const at = messages.findLastIndex((message) => message.role === 'user')
  const since = messages.slice(at + 1)
  const calls = since
    .flatMap((message) => (message.role === 'assistant' ? (message.tool_calls ?? []) : []))
    .flatMap((call) => (call.type === 'function' ? [[call.id, call.function] as const] : []))
  const called = new Map(calls)
  const returned = since
    .filter((message) => message.role === 'tool')
    .map(
      (message): Returned => ({
        ...{ name: '', arguments: '{}', ...called.get(message.tool_call_id) },
        output: textOf(message),
      }),
    )
  return { question: at < 0 ? '' : textOf(messages[at] as ChatCompletionMessageParam), returned }
}

function callsFor({ messages, tools, tool_choice, parallel_tool_calls }: CompletionRequest): Call[] {
  const { question, returned } = lastExchange(messages)
  if (returned.length > 0 || tool_choice === 'none') return []
  const fitting = chosen(tools, tool_choice, question)
  return fitting.slice(0, parallel_tool_calls ? undefined : 1).map((tool) => ({
    name: tool.function.name,
    arguments: argumentsOf(tool, question),
  }))
}

function argumentsOf(tool: ChatCompletionFunctionTool, question: string): Record<string, unknown> {
  switch (tool.function.name) {
    case searchName:
      return searchArguments(tool, question)
    case codeName:
      return codeArguments(tool, question)
    case specialistName:
      return specialistArguments(question)
    default:
      return argumentsFor(tool, question)
  }
}

function chosen(
  tools: readonly ChatCompletionFunctionTool[],
  choice: CompletionRequest['tool_choice'],
  question: string,
) {
  if (typeof choice === 'object' && choice.type === 'function') {
    return tools.filter((tool) => tool.function.name === choice.function.name)
  }
  // Whoever is asked, and what is computed, answers the whole question.
  const enough =
    tools.find((tool) => tool.function.name === specialistName && handOffIn(question)) ??
    tools.find((tool) => tool.function.name === codeName && codeFor(tool, question))
  if (enough) return [enough]
  const topic = topicOf(question)
  const fitting = tools.filter(({ function: { name, description } }) => {
    if (name === searchName) return !isSmallTalk(question)
    if (name === codeName || name === specialistName) return false
    const words = `${name.replace(/[_-]|(?<=\p{Ll})(?=\p{Lu})/gu, ' ')} ${description ?? ''}`
    return !topicOf(words).isDisjointFrom(topic)
  })
  return fitting.length === 0 && choice === 'required' ? tools.slice(0, 1) : fitting
}

interface PropertySchema {
  type?: string
  enum?: unknown[]
}

/** Fills the function's parameters from the question: an enum's value that occurs in it, numbers, names, or all of it. */
function argumentsFor(tool: ChatCompletionFunctionTool, question: string): Record<string, unknown> {
  const { properties = {}, required = [] } = (tool.function.parameters ?? {}) as {
    properties?: Record<string, PropertySchema>
    required?: string[]
  }
  const numbers = question.match(/-?\d+(?:\.\d+)?/g)?.map(Number) ?? []
  const names: string[] = question.match(/(?<!^)(?<![.?!]\s)\p{Lu}[\p{L}\p{N}-]*(?:\s\p{Lu}[\p{L}\p{N}-]*)*/gu) ?? []
  const words = wordsOf(question)
  const args: Record<string, unknown> = {}
  for (const [key, { type, enum: values }] of Object.entries(properties)) {
    const at = words.findIndex((word) => values?.some((value) => isCalled(value, word)))
    // "km to mi": each parameter gets another word.
    const [word] = at < 0 ? [] : words.splice(at, 1)
    if (word !== undefined) args[key] = values?.find((value) => isCalled(value, word))
    else if (!required.includes(key)) continue
    else if (values) args[key] = values[0]
    else if (type === 'number' || type === 'integer') args[key] = numbers.shift() ?? 0
    else if (type === 'boolean') args[key] = true
    else if (type === 'array') args[key] = names.length > 0 ? names.splice(0) : numbers.splice(0)
    else if (type === 'object') args[key] = {}
    else args[key] = names.shift() ?? question
  }
  return args
}

const isCalled = (value: unknown, word: string) => String(value).toLowerCase() === word

function answerTo(request: CompletionRequest): string {
  const { question, returned } = lastExchange(request.messages)
  const format = request.response_format
  const found = returned.filter(({ name }) => name === searchName).map(({ output }) => output)
  const told = found.length > 0 ? [answerFrom(found, question)] : []
  const outputs: string[] = []
  for (const { name, arguments: written, output } of returned) {
    if (name === codeName) told.push(toldOfCode(output))
    else if (name === specialistName) told.push(toldOfSpecialist(written, output))
    else if (name !== searchName) outputs.push(output)
  }
  if (typeof format === 'object' && format.type !== 'text') {
    const answer = told.join('\n\n')
    return JSON.stringify({ question, ...(answer && { answer }), ...(outputs.length > 0 && { outputs }) })
  }
  if (outputs.length > 0) told.push(`Here is what I found out: ${outputs.join('; ')}`)
  if (told.length > 0) return told.join('\n\n')
  if (question === '') return 'Hello! I am the demo model. Ask me something.'
  return (
    `You said: “${question}”. I am the demo model: I answer without a language model behind me. ` +
    'Name a model of your own backend to get real answers.'
  )
}
