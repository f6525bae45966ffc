/**
 * Proved by `tsc` alone: the schemas are the types of the official SDK, key by key and in both directions. What
 * differs is named here and nowhere else.
 */
import type * as Assistants from 'openai/resources/beta/assistants'
import type * as Messages from 'openai/resources/beta/threads/messages'
import type * as Runs from 'openai/resources/beta/threads/runs/runs'
import type * as Steps from 'openai/resources/beta/threads/runs/steps'
import type * as Threads from 'openai/resources/beta/threads/threads'
import type * as Models from 'openai/resources/models'
import type { Assistant, CreateAssistant, ModifyAssistant } from '../src/schemas/assistants.ts'
import type { CreateMessage, Message } from '../src/schemas/messages.ts'
import type { Model } from '../src/schemas/models.ts'
import type { RunStep } from '../src/schemas/run-steps.ts'
import type { CreateRun, CreateThreadAndRun, Run, SubmitToolOutputs } from '../src/schemas/runs.ts'
import type { CreateThread, ModifyThread, Thread } from '../src/schemas/threads.ts'

/** Each key of `Ours` can be read where the SDK's is expected; the key itself, where it cannot. */
type Unreadable<Ours, Theirs> = {
  [K in keyof Theirs]-?: K extends keyof Ours ? (Ours[K] extends Theirs[K] ? never : K) : K
}[keyof Theirs]

/** Each key that the SDK may send is accepted; the key itself, where it is not. */
type Refused<Ours, Theirs> = {
  [K in keyof Theirs]-?: K extends keyof Ours ? (Theirs[K] extends Ours[K] ? never : K) : K
}[keyof Theirs]

declare function prove<_T extends never>(): void

export function answers() {
  // Ours alone: what the hosted service sent beyond the published schema.
  prove<Unreadable<Assistant, Assistants.Assistant>>()
  prove<Exclude<keyof Assistant, keyof Assistants.Assistant | 'reasoning_effort'>>()
  prove<Unreadable<Thread, Threads.Thread>>()
  prove<Exclude<keyof Thread, keyof Threads.Thread>>()
  prove<Unreadable<Message, Messages.Message>>()
  prove<Exclude<keyof Message, keyof Messages.Message>>()
  // `instructions` is null where neither the assistant nor the run has any, as the hosted service sent it.
  prove<Exclude<Unreadable<Run, Runs.Run>, 'instructions'>>()
  prove<Exclude<keyof Run, keyof Runs.Run | 'tool_resources' | 'reasoning_effort'>>()
  prove<Unreadable<RunStep, Steps.RunStep>>()
  prove<Exclude<keyof RunStep, keyof Steps.RunStep | 'expires_at'>>()
  prove<Unreadable<Model, Models.Model>>()
  prove<Exclude<keyof Model, keyof Models.Model>>()
}

export function answersCoverTheSdk() {
  // The other way round: every value that the SDK knows of these can be held by ours.
  prove<Exclude<Run['status'], Runs.RunStatus> | Exclude<Runs.RunStatus, Run['status']>>()
  prove<
    Exclude<Message['status'], Messages.Message['status']> | Exclude<Messages.Message['status'], Message['status']>
  >()
  prove<Exclude<RunStep['status'], Steps.RunStep['status']> | Exclude<Steps.RunStep['status'], RunStep['status']>>()
  prove<Exclude<Steps.RunStep['type'], RunStep['type']>>()
  prove<Exclude<Messages.MessageContent['type'], Message['content'][number]['type']>>()
  prove<Exclude<Messages.Annotation['type'], AnnotationOf<Message>['type']>>()
  prove<Exclude<Steps.ToolCall['type'], CallOf<RunStep>['type']>>()
  prove<Exclude<Assistants.AssistantTool['type'], Assistant['tools'][number]['type']>>()
  prove<Exclude<NonNullable<Run['last_error']>['code'], NonNullable<Runs.Run['last_error']>['code']>>()
  prove<Exclude<NonNullable<Runs.Run['last_error']>['code'], NonNullable<Run['last_error']>['code']>>()
  prove<
    Exclude<ReasonOf<Messages.Message>, ReasonOf<Message>> | Exclude<ReasonOf<Message>, ReasonOf<Messages.Message>>
  >()
}

type ReasonOf<T extends { incomplete_details: { reason: string } | null }> = NonNullable<
  T['incomplete_details']
>['reason']
type AnnotationOf<T extends Message> = Extract<T['content'][number], { type: 'text' }>['text']['annotations'][number]
type CallOf<T extends RunStep> = Extract<T['step_details'], { type: 'tool_calls' }>['tool_calls'][number]

export function requests() {
  prove<Refused<CreateAssistant, Assistants.AssistantCreateParams>>()
  prove<Exclude<keyof CreateAssistant, keyof Assistants.AssistantCreateParams>>()
  prove<Refused<ModifyAssistant, Assistants.AssistantUpdateParams>>()
  prove<Exclude<keyof ModifyAssistant, keyof Assistants.AssistantUpdateParams>>()
  // The SDK's types let both keys of an attachment be left out; the hosted service asked for them, and so do we.
  prove<Refused<NonNullable<CreateMessage['attachments']>[number], Required<Attachment>>>()
  prove<Refused<CreateMessage, Omit<Messages.MessageCreateParams, 'attachments'>>>()
  prove<Refused<CreateMessage, Omit<Threads.ThreadCreateParams.Message, 'attachments'>>>()
  prove<Refused<CreateMessage, Omit<Runs.RunCreateParams.AdditionalMessage, 'attachments'>>>()
  prove<Refused<CreateThread, Omit<Threads.ThreadCreateParams, 'messages'>>>()
  prove<Exclude<keyof CreateThread, keyof Threads.ThreadCreateParams>>()
  prove<Refused<ModifyThread, Threads.ThreadUpdateParams>>()
  prove<Exclude<keyof ModifyThread, keyof Threads.ThreadUpdateParams>>()
  prove<Exclude<keyof CreateMessage, keyof Messages.MessageCreateParams>>()
  // `include` goes into the query string.
  // A choice of type `function` must name the function, which the SDK's type leaves open.
  prove<Refused<CreateRun, Omit<Runs.RunCreateParamsBase, 'include' | 'additional_messages' | 'tool_choice'>>>()
  prove<Exclude<keyof CreateRun, keyof Runs.RunCreateParamsBase>>()
  prove<Refused<CreateThreadAndRun, Omit<Threads.ThreadCreateAndRunParamsBase, 'thread' | 'tool_choice'>>>()
  prove<Refused<CreateThread, Omit<Threads.ThreadCreateAndRunParams.Thread, 'messages'>>>()
  prove<Exclude<keyof CreateThreadAndRun, keyof Threads.ThreadCreateAndRunParamsBase>>()
  prove<Refused<SubmitToolOutputs, Omit<Runs.RunSubmitToolOutputsParamsBase, 'thread_id'>>>()
  prove<Exclude<keyof SubmitToolOutputs, keyof Runs.RunSubmitToolOutputsParamsBase>>()
}

type Attachment = NonNullable<Messages.MessageCreateParams['attachments']>[number]
