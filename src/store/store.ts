import type { Assistant } from '../schemas/assistants.ts'
import type { File, Upload, UploadPart } from '../schemas/files.ts'
import type { Message } from '../schemas/messages.ts'
import type { RunStep } from '../schemas/run-steps.ts'
import type { Run, RunStatus } from '../schemas/runs.ts'
import type { Thread } from '../schemas/threads.ts'
import type { Usage } from '../schemas/usage.ts'
import type { Page, PageQuery } from './pages.ts'
import type {
  FileBatchStore,
  IngestionStore,
  StoredStore,
  VectorStoreFileStore,
  VectorStoreStore,
} from './vector-stores.ts'

/** Why an insert into a thread wrote nothing. */
export type Refusal = { refused: 'active_run'; run_id: string } | { refused: 'no_thread' }

/** A run as the engine sees it. */
export interface RunState {
  run: Run
  /** Counts the run's commits, from 1. */
  version: number
  /** Tokens of all its finished model calls. `run.usage` stays null until the end. */
  spent: Usage
}

/** A run in the hands of one worker. Commits with its `lease_id` are refused once another worker has claimed the run. */
export interface Claim extends RunState {
  lease_id: string
}

export type StepWithSpent = RunStep & {
  /** Tokens of the step's model call, known before the step ends: a step that waits for outputs has none in `usage`. */
  spent?: Usage | null
}

/** What is not at its end yet. */
export interface Open {
  steps: StepWithSpent[]
  messages: Message[]
}

/** All that one advance of a run writes, in one transaction. */
export interface RunChange {
  /** Absent: more of the same status, and refused unless that is `in_progress`. */
  to?: RunStatus
  patch?: Partial<
    Pick<
      Run,
      | 'started_at'
      | 'expires_at'
      | 'cancelled_at'
      | 'failed_at'
      | 'completed_at'
      | 'required_action'
      | 'last_error'
      | 'incomplete_details'
      | 'usage'
    >
  >
  /** Says also that a model call is over: what it has made is there to stay. */
  spent?: Usage
  /** New objects, `in_progress`. */
  open?: { step: RunStep; message?: Message }
  /** Whole objects as they are now; they were opened by an earlier change. */
  save?: Partial<Open>
  /** Files that its tools have made. */
  files?: readonly File[]
}

/** `state`: the run as it is now, whether the change was applied or not; undefined if the run is gone. */
export type Commit =
  | { applied: true; state: RunState }
  /** `held`: the refusal was for the run's status alone; its lease, if one was given, is still good. */
  | { applied: false; state: RunState | undefined; held: boolean }

/** A run with everything it has made, read at one moment. */
export interface Snapshot extends RunState {
  steps: RunStep[]
  messages: Message[]
}

/** What a model is told of messages and steps: not all of them, since a thread may have thousands. */
export type Said = Pick<Message, 'id' | 'object' | 'run_id' | 'role' | 'content'>
export type Done = Pick<RunStep, 'id' | 'object' | 'run_id' | 'type' | 'step_details'>

/** A part of what was said in a thread before a run, or beside it; oldest first. */
export interface Earlier {
  before: Said[]
  /** All that has come to its end of what those runs did that made messages of `before` and called tools. */
  beforeSteps: Done[]
  /** Where to go on for what is older; undefined at the beginning of the thread. */
  older: number | undefined
}

/** What a model call is made of. */
export interface Conversation extends Earlier {
  /** What the run has made. */
  steps: StepWithSpent[]
  messages: Message[]
}

interface Objects<T, Patch> {
  insert(object: T): Promise<void>
  get(id: string): Promise<T | undefined>
  /** Writes the given keys; the object as it is now, or undefined if it does not exist. */
  update(id: string, patch: Partial<Patch>): Promise<T | undefined>
  /** False if it did not exist. */
  delete(id: string): Promise<boolean>
  page(query: PageQuery): Promise<Page<T>>
}

/**
 * Everything that is kept. Methods are intentions, each atomic on its own; there are no transactions to hold open.
 * What a method acknowledges survives the end of the process. Rows are wire objects. Absence is `undefined`.
 * Failures of the database itself reject.
 */
export interface Store {
  /** Runs keep the id of a deleted assistant. */
  assistants: Objects<Assistant, Omit<Assistant, 'id' | 'object' | 'created_at'>>

  /** Deleting a thread deletes its messages, runs and steps, whatever their state. */
  threads: Omit<Objects<Thread, Pick<Thread, 'metadata' | 'tool_resources'>>, 'insert'> & {
    /** The thread with its first messages, oldest first. */
    insert(thread: Thread, messages: readonly Message[]): Promise<void>
    /**
     * Adds files for the code interpreter, and a vector store, which is kept only if the thread has none (any more). The
     * thread's resources then; undefined, and nothing is written, if there is no thread.
     */
    addResources(
      id: string,
      added: { code_files: readonly string[]; vector_store?: StoredStore },
    ): Promise<Thread['tool_resources'] | undefined>
  }

  messages: {
    /** Refused while a run of the thread is active; the check and the insert are one. */
    insert(message: Message): Promise<Refusal | undefined>
    get(thread_id: string, id: string): Promise<Message | undefined>
    update(thread_id: string, id: string, patch: Pick<Message, 'metadata'>): Promise<Message | undefined>
    delete(thread_id: string, id: string): Promise<boolean>
    page(thread_id: string, query: PageQuery & { run_id?: string }): Promise<Page<Message>>
    /** Whether the thread has a message of a user. */
    anyFromUser(thread_id: string): Promise<boolean>
  }

  runs: {
    /**
     * The run, `queued`, with the messages that come before it and, if given, its thread; all or nothing.
     * Refused while another run of the thread is active: of two concurrent inserts exactly one succeeds.
     */
    insert(run: Run, messages: readonly Message[], thread?: Thread): Promise<RunState | Refusal>
    /**
     * The run of a specialist, with its thread and messages. Undefined, and nothing is written, unless the run that asks
     * for it is in progress. When that one comes to its end, this one is asked to cancel, in the same transaction.
     */
    insertChild(
      parent_run_id: string,
      run: Run,
      messages: readonly Message[],
      thread: Thread,
    ): Promise<RunState | undefined>
    /** How many runs are between this one and one without a parent, and how many descend from that one. */
    family(run_id: string): Promise<{ depth: number; descendants: number }>
    get(thread_id: string, id: string): Promise<Run | undefined>
    update(thread_id: string, id: string, patch: Pick<Run, 'metadata'>): Promise<Run | undefined>
    page(thread_id: string, query: PageQuery): Promise<Page<Run>>
    /** The active run of a thread, of which there is at most one. */
    active(thread_id: string): Promise<Run | undefined>
    /** By run id, or the newest run of a thread. */
    snapshot(of: { run_id: string } | { thread_id: string }): Promise<Snapshot | undefined>
    /** What is in progress of all that the run has made. */
    open(run_id: string): Promise<Open>
    /** With the newest `limit` messages of the thread that the run has not made itself. */
    conversation(run: Run, limit: number): Promise<Conversation>
    /** Up to `limit` messages before the place where an earlier answer ended. */
    earlier(run: Run, older: number, limit: number): Promise<Earlier>
    /**
     * Takes the run that has waited longest for work: queued, asked to cancel, past its expiry, or left by a worker
     * whose lease ended. What an unfinished model call of such a worker has made is removed, so that the turn can be
     * taken again and doubles nothing. The lease ends at `until` (ms). Queued runs of the models `held` are passed over
     * and keep their place in the queue, until they are past their expiry.
     */
    claim(until: number, held?: readonly string[]): Promise<Claim | undefined>
    /** The models that the queued runs ask for. */
    waitingModels(): Promise<string[]>
    /** Prolongs leases; answers those still held, with the status their runs have now. */
    extend(lease_ids: readonly string[], until: number): Promise<{ lease_id: string; status: RunStatus }[]>
    /** Gives a run back, for anyone to claim at once. Nothing happens if the lease is lost. */
    release(lease_id: string): Promise<void>
    /**
     * Writes a change if the table of moves allows it from the status the run has at that moment and, with a
     * `lease_id`, the lease is still held. Otherwise nothing is written. Coming to rest ends the lease.
     */
    commit(run_id: string, change: RunChange, lease_id?: string): Promise<Commit>
  }

  steps: {
    get(run_id: string, id: string): Promise<RunStep | undefined>
    page(run_id: string, query: PageQuery): Promise<Page<RunStep>>
  }

  /** What is known of files; their bytes are elsewhere. */
  files: {
    insert(file: File): Promise<void>
    get(id: string): Promise<File | undefined>
    delete(id: string): Promise<boolean>
    page(query: PageQuery & { purpose?: string }): Promise<Page<File>>
    /** Deletes the files whose time is over at `now` (seconds). */
    expire(now: number): Promise<void>
    /** Those of the ids that no file has, and no part of an upload that is pending. */
    unknown(ids: readonly string[]): Promise<string[]>
  }

  uploads: {
    /** `file_lifetime`: how long the file that comes of it is kept, in seconds; null without an end. */
    insert(upload: Upload, file_lifetime: number | null): Promise<void>
    get(id: string): Promise<(Upload & { file_lifetime: number | null }) | undefined>
    /** False, and nothing is written, unless the upload is pending. */
    addPart(part: UploadPart, bytes: number): Promise<boolean>
    parts(upload_id: string): Promise<{ id: string; bytes: number }[]>
    /** Ends a pending upload, with the file that comes of it, and forgets its parts. Undefined if it is not pending. */
    end(id: string, status: 'completed' | 'cancelled', file?: File): Promise<Upload | undefined>
    /** Ends the uploads whose time is over at `now` (seconds). */
    expire(now: number): Promise<void>
  }

  vectorStores: VectorStoreStore
  vectorStoreFiles: VectorStoreFileStore
  fileBatches: FileBatchStore
  ingestion: IngestionStore

  /** Rejects if the database cannot be read. */
  ping(): Promise<void>
  close(): Promise<void>
}
