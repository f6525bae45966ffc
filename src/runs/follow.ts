import type { EventBus } from '../events/bus.ts'
import { type EventName, isDelta, type StreamEvent } from '../schemas/events.ts'
import type { Message } from '../schemas/messages.ts'
import type { RunStep } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import type { Open, Snapshot, Store } from '../store/store.ts'
import { messageDelta, numbered, stepDelta, toldCalls, wholeCall } from './deltas.ts'
import type { Executor } from './executor.ts'
import { existingRun, existingThread } from './existing.ts'
import { isAtRest } from './lifecycle.ts'

type Events = AsyncIterable<readonly StreamEvent[]>

/** Listening to runs that have begun: first what has happened, as if it happened now, then what happens. */
export interface Follower {
  /** One run, to its rest. Throws an ApiError if there is no such run. */
  run(thread_id: string, run_id: string, signal: AbortSignal): Promise<Events>
  /** The newest run of a thread, if there is one, and all runs to come, without an end. */
  thread(thread_id: string, signal: AbortSignal): Promise<Events>
}

export function createFollower(store: Store, bus: EventBus, executor: Executor): Follower {
  /** Live events and the draft are taken at one moment; what is stored is read after it, so nothing lies between. */
  async function* follow(live: Events, snapshot: Snapshot | undefined, draft: Open | undefined) {
    yield snapshot ? replay(snapshot, draft) : []
    const isNews = newsSince(snapshot)
    for await (const batch of live) yield batch.filter(isNews)
  }

  return {
    async run(thread_id, run_id, signal) {
      await existingRun(store, thread_id, run_id)
      const live = bus.subscribe(run_id, signal)
      const draft = executor.draftOf(run_id)?.open
      return untilRest(follow(live, await store.runs.snapshot({ run_id }), draft))
    },

    async thread(thread_id, signal) {
      await existingThread(store, thread_id)
      const active = await store.runs.active(thread_id)
      const live = bus.subscribe(thread_id, signal)
      const draft = active && executor.draftOf(active.id)?.open
      return follow(live, await store.runs.snapshot({ thread_id }), draft)
    },
  }
}

/** The events up to the one with which a run comes to rest. */
export async function* untilRest(events: Events): Events & AsyncGenerator<readonly StreamEvent[]> {
  for await (const batch of events) {
    const last = batch.findIndex(({ data }) => data.object === 'thread.run' && isAtRest(data.status))
    if (last >= 0) {
      yield batch.slice(0, last + 1)
      return
    }
    yield batch
  }
}

/** Tells live events that a replay has not told already. */
function newsSince(snapshot: Snapshot | undefined): (event: StreamEvent) => boolean {
  const known = new Set(snapshot && [snapshot.run.id])
  const told = new Set(
    [...(snapshot?.steps ?? []).filter(isStepWhole), ...(snapshot?.messages ?? []).filter(isMessageWhole)].map(
      ({ id }) => id,
    ),
  )
  return ({ event, data, run_id, version }) => {
    if (event === 'thread.run.created') known.add(run_id)
    // The end of a run before the one that was replayed.
    if (!known.has(run_id)) return false
    if (run_id !== snapshot?.run.id) return true
    // Of an object that was told, only what came to it since: the deltas of a change have the version before it.
    return isDelta(data) ? !told.has(data.id) || version >= snapshot.version : version > snapshot.version
  }
}

// Objects are stored empty when they begin and whole when the model has finished them.
const isMessageWhole = (message: Message) => message.status !== 'in_progress' || message.content.length > 0
const isStepWhole = ({ status, step_details: details }: RunStep) =>
  status !== 'in_progress' || (details.type === 'tool_calls' && details.tool_calls.length > 0)

/** The events that lead to a snapshot, in an order that accumulating clients accept; deltas are as large as they can be. */
function replay({ run, version, steps, messages }: Snapshot, draft: Open | undefined): StreamEvent[] {
  const events: StreamEvent[] = []
  const tell = (event: EventName, data: StreamEvent['data']) => events.push({ event, data, run_id: run.id, version })
  const created = {
    ...run,
    ...beginning,
    status: 'queued',
    started_at: null,
    required_action: null,
    last_error: null,
    usage: null,
    incomplete_details: null,
  } satisfies Run
  tell('thread.run.created', created)
  tell('thread.run.queued', created)
  if (run.started_at !== null)
    tell('thread.run.in_progress', { ...created, status: 'in_progress', started_at: run.started_at })

  for (const step of steps) {
    const details = step.step_details
    tellStepOpened(step, tell)
    if (details.type === 'message_creation') {
      const message = messages.find(({ id }) => id === details.message_creation.message_id)
      if (message) tellMessage(message, draft, tell)
    } else {
      const drafted = draft?.steps.find(({ id }) => id === step.id)?.step_details
      const known = isStepWhole(step) ? details.tool_calls : drafted?.type === 'tool_calls' ? drafted.tool_calls : []
      const calls = step.status === 'in_progress' ? toldCalls(known) : known
      if (calls.length > 0) tell('thread.run.step.delta', stepDelta(step.id, ...numbered(calls.map(wholeCall))))
    }
    if (step.status !== 'in_progress') tell(`thread.run.step.${step.status}`, step)
  }
  if (run.status !== 'in_progress' && !(run.status === 'queued' && run.started_at === null))
    tell(`thread.run.${run.status}`, run)
  return events
}

const beginning = { completed_at: null, cancelled_at: null, failed_at: null }

function tellStepOpened(step: RunStep, tell: (event: EventName, data: RunStep) => void) {
  const opened: RunStep = {
    ...step,
    ...beginning,
    status: 'in_progress',
    expired_at: null,
    last_error: null,
    usage: null,
    step_details: step.step_details.type === 'tool_calls' ? { type: 'tool_calls', tool_calls: [] } : step.step_details,
  }
  tell('thread.run.step.created', opened)
  tell('thread.run.step.in_progress', opened)
}

function tellMessage(
  message: Message,
  draft: Open | undefined,
  tell: (event: EventName, data: StreamEvent['data']) => void,
) {
  const opened: Message = {
    ...message,
    status: 'in_progress',
    content: [],
    attachments: [],
    completed_at: null,
    incomplete_at: null,
    incomplete_details: null,
  }
  tell('thread.message.created', opened)
  tell('thread.message.in_progress', opened)
  const { content } = isMessageWhole(message)
    ? message
    : (draft?.messages.find(({ id }) => id === message.id) ?? message)
  const parts = content.map((part, index) =>
    part.type === 'text'
      ? {
          index,
          ...part,
          text: { ...part.text, annotations: numbered(part.text.annotations) },
        }
      : { index, ...part },
  )
  if (parts.length > 0) tell('thread.message.delta', messageDelta(message.id, ...parts))
  if (message.status !== 'in_progress') tell(`thread.message.${message.status}`, message)
}
