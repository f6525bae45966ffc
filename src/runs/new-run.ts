import { invalidRequest } from '../errors.ts'
import { newId } from '../ids.ts'
import type { Assistant } from '../schemas/assistants.ts'
import { type CreateMessage, completeContent, type Message } from '../schemas/messages.ts'
import type { CreateRun, CreateThreadAndRun, Run } from '../schemas/runs.ts'
import type { CreateThread, Thread } from '../schemas/threads.ts'
import { completeTools, isCustom, isFunction } from '../schemas/tools.ts'

/** A message of the client's, as stored. `now` in seconds, here as below. */
export function newMessage(body: CreateMessage, thread_id: string, now: number): Message {
  return {
    id: newId('msg_'),
    object: 'thread.message',
    created_at: now,
    assistant_id: null,
    thread_id,
    run_id: null,
    status: 'completed',
    incomplete_details: null,
    incomplete_at: null,
    completed_at: now,
    role: body.role,
    content: completeContent(body.content),
    attachments: body.attachments ?? [],
    metadata: body.metadata ?? {},
  }
}

/** Without its tool resources, some of which must be made first. */
export function newThread(body: CreateThread, now: number): { thread: Thread; messages: Message[] } {
  const thread: Thread = {
    id: newId('thread_'),
    object: 'thread',
    created_at: now,
    metadata: body.metadata ?? {},
    tool_resources: {},
  }
  return { thread, messages: (body.messages ?? []).map((message) => newMessage(message, thread.id, now)) }
}

export interface RunSettings {
  expirySeconds: number
  /** The tools of the operator's. */
  customTypes: ReadonlySet<string>
}

/** The assistant's settings with the request's over them; null is as good as absent. */
export function newRun(
  body: Partial<CreateRun> & Partial<CreateThreadAndRun>,
  assistant: Assistant,
  thread_id: string,
  now: number,
  { expirySeconds, customTypes }: RunSettings,
): Run {
  const tools = body.tools ? completeTools(body.tools, customTypes) : assistant.tools
  const response_format = body.response_format ?? assistant.response_format
  checkFormat(response_format, tools)
  checkToolChoice(body.tool_choice, tools)
  return {
    id: newId('run_'),
    object: 'thread.run',
    created_at: now,
    assistant_id: assistant.id,
    thread_id,
    status: 'queued',
    started_at: null,
    expires_at: now + expirySeconds,
    cancelled_at: null,
    failed_at: null,
    completed_at: null,
    required_action: null,
    last_error: null,
    model: body.model ?? assistant.model,
    instructions: instructionsOf(body, assistant),
    tools,
    tool_resources: assistant.tool_resources,
    metadata: body.metadata ?? {},
    temperature: body.temperature ?? assistant.temperature,
    top_p: body.top_p ?? assistant.top_p,
    reasoning_effort: body.reasoning_effort ?? assistant.reasoning_effort,
    max_completion_tokens: body.max_completion_tokens ?? null,
    max_prompt_tokens: body.max_prompt_tokens ?? null,
    truncation_strategy: truncationOf(body),
    incomplete_details: null,
    usage: null,
    response_format,
    tool_choice: body.tool_choice ?? 'auto',
    parallel_tool_calls: body.parallel_tool_calls ?? true,
  }
}

function instructionsOf(body: Partial<CreateRun>, assistant: Assistant): string | null {
  const parts = [body.instructions ?? assistant.instructions, body.additional_instructions]
  return parts.filter(Boolean).join('\n\n') || null
}

function truncationOf({ truncation_strategy: given }: Partial<CreateRun>): Run['truncation_strategy'] {
  const { type = 'auto', last_messages = null } = given ?? {}
  if (type === 'last_messages' && last_messages === null) {
    const param = 'truncation_strategy.last_messages'
    throw invalidRequest(`Missing required parameter: '${param}'.`, { param, code: 'missing_required_parameter' })
  }
  return { type, last_messages }
}

/** A choice that no tool of the run answers to could only be ignored. */
function checkToolChoice(choice: CreateRun['tool_choice'], tools: Run['tools']) {
  if (typeof choice !== 'object' || choice === null) return
  const isMeant = (tool: Run['tools'][number]) =>
    choice.type === 'function'
      ? (isFunction(tool) ? tool.function.name : tool.type) === choice.function.name
      : tool.type === choice.type
  if (tools.some(isMeant)) return
  const name = choice.type === 'function' ? choice.function.name : choice.type
  throw invalidRequest(`Tool choice '${name}' not found in 'tools' parameter.`, { param: 'tool_choice' })
}

/** Throws an ApiError where the hosted service refuses a format together with its tools. */
export function checkFormat(format: Run['response_format'], tools: Run['tools']) {
  if (typeof format === 'string' || format.type === 'text') return
  if (tools.every((tool) => isFunction(tool) || isCustom(tool))) return
  throw invalidRequest(
    `Invalid tools: all tools must be of type \`function\` when \`response_format\` is of type \`${format.type}\`.`,
  )
}
