import { newId } from '../../src/ids.ts'
import type { Assistant } from '../../src/schemas/assistants.ts'
import type { Message } from '../../src/schemas/messages.ts'
import type { RunStep } from '../../src/schemas/run-steps.ts'
import type { Run } from '../../src/schemas/runs.ts'
import type { Thread } from '../../src/schemas/threads.ts'
import type { Harness } from './app.ts'

/** Whole objects as the store keeps them. All are of one second, so that nothing can go by `created_at`. */
const created_at = 1_790_000_000

export const anAssistant = (patch: Partial<Assistant> = {}): Assistant => ({
  id: newId('asst_'),
  object: 'assistant',
  created_at,
  name: 'Ada',
  description: null,
  model: 'm',
  instructions: 'Be brief.',
  tools: [],
  top_p: 1,
  temperature: 0,
  reasoning_effort: null,
  tool_resources: {},
  metadata: {},
  response_format: 'auto',
  ...patch,
})

export const aThread = (patch: Partial<Thread> = {}): Thread => ({
  id: newId('thread_'),
  object: 'thread',
  created_at,
  metadata: {},
  tool_resources: {},
  ...patch,
})

/** A message of the client's. */
export const aMessage = (thread_id: string, text: string, patch: Partial<Message> = {}): Message => ({
  id: newId('msg_'),
  object: 'thread.message',
  created_at,
  assistant_id: null,
  thread_id,
  run_id: null,
  status: 'completed',
  incomplete_details: null,
  incomplete_at: null,
  completed_at: created_at,
  role: 'user',
  content: [{ type: 'text', text: { value: text, annotations: [] } }],
  attachments: [],
  metadata: {},
  ...patch,
})

export const aRun = (thread_id: string, patch: Partial<Run> = {}): Run => ({
  id: newId('run_'),
  object: 'thread.run',
  created_at,
  assistant_id: 'asst_1',
  thread_id,
  status: 'queued',
  started_at: null,
  expires_at: created_at + 600,
  cancelled_at: null,
  failed_at: null,
  completed_at: null,
  required_action: null,
  last_error: null,
  model: 'm',
  instructions: null,
  tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' }, strict: false } }],
  tool_resources: {},
  metadata: {},
  temperature: 0,
  top_p: 0.5,
  reasoning_effort: null,
  max_completion_tokens: null,
  max_prompt_tokens: null,
  truncation_strategy: { type: 'auto', last_messages: null },
  incomplete_details: null,
  usage: null,
  response_format: 'auto',
  tool_choice: 'auto',
  parallel_tool_calls: true,
  ...patch,
})

/** A step with function calls that wait for their outputs. */
export const aCallStep = (run: Run, patch: Partial<RunStep> = {}): RunStep => ({
  id: newId('step_'),
  object: 'thread.run.step',
  created_at,
  run_id: run.id,
  assistant_id: run.assistant_id,
  thread_id: run.thread_id,
  type: 'tool_calls',
  status: 'in_progress',
  cancelled_at: null,
  completed_at: null,
  expires_at: run.expires_at,
  expired_at: null,
  failed_at: null,
  last_error: null,
  step_details: {
    type: 'tool_calls',
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}', output: null } }],
  },
  usage: null,
  metadata: {},
  ...patch,
})

/** What a turn opens when the model begins to speak. */
export function anAnswer(run: Run): { step: RunStep; message: Message } {
  const message = aMessage(run.thread_id, '', {
    assistant_id: run.assistant_id,
    run_id: run.id,
    role: 'assistant',
    status: 'in_progress',
    completed_at: null,
    content: [],
  })
  const step_details = { type: 'message_creation' as const, message_creation: { message_id: message.id } }
  return { message, step: aCallStep(run, { type: 'message_creation', step_details }) }
}

export const textOf = (message: Pick<Message, 'content'>) =>
  message.content.map((part) => (part.type === 'text' ? part.text.value : `[${part.type}]`)).join('')

/** Makes sure that there are files of these ids, without any bytes. */
export async function haveFiles({ services: { store } }: Harness, ...ids: string[]) {
  const file = { object: 'file', purpose: 'assistants', filename: 'a.txt', bytes: 1, created_at: 1 } as const
  for (const id of await store.files.unknown(ids)) {
    await store.files.insert({ ...file, id, expires_at: null, status: 'processed', status_details: null })
  }
}
