import type { AssistantStreamEvent } from 'openai/resources/beta/assistants'
import type { Message } from './messages.ts'
import type { RunStep } from './run-steps.ts'
import type { Run } from './runs.ts'
import type { Thread } from './threads.ts'

/** The names of the events of a stream, but for `error` and `done`, which no object belongs to. */
export type EventName = Exclude<AssistantStreamEvent['event'], 'error'>

/** One piece of a message, or of the calls of a step; the shapes are those that the SDKs accumulate. */
export interface Delta {
  id: string
  object: 'thread.message.delta' | 'thread.run.step.delta'
  delta: Record<string, unknown>
}

export interface StreamEvent {
  readonly event: EventName
  /** The whole object as of that moment, or a delta. */
  readonly data: Thread | Run | RunStep | Message | Delta
  readonly run_id: string
  /** The commit of the run that the event tells of; for a delta, the last one before it. */
  readonly version: number
}

export const isDelta = (data: StreamEvent['data']): data is Delta => data.object.endsWith('.delta')
