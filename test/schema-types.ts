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
import type * as FileBatches from 'openai/resources/vector-stores/file-batches'
import type * as StoreFiles from 'openai/resources/vector-stores/files'
import type * as VectorStores from 'openai/resources/vector-stores/vector-stores'
import type { Assistant, CreateAssistant, ModifyAssistant } from '../src/schemas/assistants.ts'
import type { CreateMessage, Message } from '../src/schemas/messages.ts'
import type { Model } from '../src/schemas/models.ts'
import type { RunStep } from '../src/schemas/run-steps.ts'
import type { CreateRun, CreateThreadAndRun, Run, SubmitToolOutputs } from '../src/schemas/runs.ts'
import type { CreateThread, ModifyThread, Thread } from '../src/schemas/threads.ts'
import type { CustomType, Tool } from '../src/schemas/tools.ts'
import type {
  CreateFileBatch,
  CreateVectorStore,
  CreateVectorStoreFile,
  FileBatch,
  ModifyVectorStore,
  SearchVectorStore,
  VectorStore,
  VectorStoreFile,
} from '../src/schemas/vector-stores.ts'

/** Each key of `Ours` can be read where the SDK's is expected; the key itself, where it cannot. */
type Unreadable<Ours, Theirs> = {
  [K in keyof Theirs]-?: K extends keyof Ours ? (Ours[K] extends Theirs[K] ? never : K) : K
}[keyof Theirs]

/** Each key that the SDK may send is accepted; the key itself, where it is not. */
type Refused<Ours, Theirs> = {
  [K in keyof Theirs]-?: K extends keyof Ours ? (Theirs[K] extends Ours[K] ? never : K) : K
}[keyof Theirs]

/** Without the tools that an operator adds. */
type OnHosted<T extends { tools: Tool[] }> = Omit<T, 'tools'> & {
  tools: Exclude<T['tools'][number], { type: CustomType }>[]
}

declare function prove<_T extends never>(): void

export function answers() {
  // Ours alone: what the hosted service sent beyond the published schema.
  prove<Unreadable<OnHosted<Assistant>, Assistants.Assistant>>()
  prove<Exclude<keyof Assistant, keyof Assistants.Assistant | 'reasoning_effort'>>()
  prove<Unreadable<Thread, Threads.Thread>>()
  prove<Exclude<keyof Thread, keyof Threads.Thread>>()
  prove<Unreadable<Message, Messages.Message>>()
  prove<Exclude<keyof Message, keyof Messages.Message>>()
  // `instructions` is null where neither the assistant nor the run has any, as the hosted service sent it.
  prove<Exclude<Unreadable<OnHosted<Run>, Runs.Run>, 'instructions'>>()
  prove<Exclude<keyof Run, keyof Runs.Run | 'tool_resources' | 'reasoning_effort'>>()
  prove<Unreadable<RunStep, Steps.RunStep>>()
  prove<Exclude<keyof RunStep, keyof Steps.RunStep | 'expires_at'>>()
  prove<Unreadable<Model, Models.Model>>()
  prove<Exclude<keyof Model, keyof Models.Model>>()
  // `name` is null where none was given, as the hosted service sent it; `expires_after` is left out of the answer then.
  prove<Exclude<Unreadable<VectorStore, VectorStores.VectorStore>, 'name' | 'expires_after'>>()
  prove<Exclude<keyof VectorStore, keyof VectorStores.VectorStore | 'description'>>()
  prove<Unreadable<VectorStoreFile, StoreFiles.VectorStoreFile>>()
  prove<Exclude<keyof VectorStoreFile, keyof StoreFiles.VectorStoreFile>>()
  prove<Unreadable<FileBatch, FileBatches.VectorStoreFileBatch>>()
  prove<Exclude<keyof FileBatch, keyof FileBatches.VectorStoreFileBatch>>()
}

export function answersCoverTheSdk() {
  // The other way round: every value that the SDK knows of these can be held by ours.
  prove<Exclude<Run['status'], Runs.RunStatus> | Exclude<Runs.RunStatus, Run['status']>>()
  prove<
    Exclude<Message['status'], Messages.Message['status']> | Exclude<Messages.Message['status'], Message['status']>
  >()
  prove<Exclude<RunStep['status'], Steps.RunStep['status']> | Exclude<Steps.RunStep['status'], RunStep['status']>>()
  prove<Exclude<Steps.RunStep['type'], RunStep['type']>>()
  prove<Exclude<VectorStores.VectorStore['status'], VectorStore['status']>>()
  prove<Exclude<StoreFiles.VectorStoreFile['status'], VectorStoreFile['status']>>()
  prove<Exclude<CodeOf<StoreFiles.VectorStoreFile>, CodeOf<VectorStoreFile>>>()
  prove<Exclude<FileBatches.VectorStoreFileBatch['status'], FileBatch['status']>>()
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

type CodeOf<T extends { last_error: { code: string } | null }> = NonNullable<T['last_error']>['code']
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
  prove<Refused<CreateVectorStore, VectorStores.VectorStoreCreateParams>>()
  prove<Exclude<keyof CreateVectorStore, keyof VectorStores.VectorStoreCreateParams>>()
  prove<Refused<ModifyVectorStore, VectorStores.VectorStoreUpdateParams>>()
  prove<Exclude<keyof ModifyVectorStore, keyof VectorStores.VectorStoreUpdateParams>>()
  // The SDK's type lets a comparison have a list and a compound have anything.
  prove<Refused<SearchVectorStore, Omit<VectorStores.VectorStoreSearchParams, 'filters'>>>()
  prove<Exclude<keyof SearchVectorStore, keyof VectorStores.VectorStoreSearchParams>>()
  prove<Refused<CreateVectorStoreFile, StoreFiles.FileCreateParams>>()
  prove<Exclude<keyof CreateVectorStoreFile, keyof StoreFiles.FileCreateParams>>()
  prove<Refused<CreateFileBatch, FileBatches.FileBatchCreateParams>>()
  prove<Exclude<keyof CreateFileBatch, keyof FileBatches.FileBatchCreateParams>>()
}

type Attachment = NonNullable<Messages.MessageCreateParams['attachments']>[number]
