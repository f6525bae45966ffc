import type { EventBus } from '../events/bus.ts'
import type { Delta, EventName, StreamEvent } from '../schemas/events.ts'
import type { Message } from '../schemas/messages.ts'
import type { RunStep } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import type { Thread } from '../schemas/threads.ts'
import type { Commit, Refusal, RunChange, RunState, Store } from '../store/store.ts'

/** Persist, then publish: no listener hears of what is not kept, and event names follow from what was committed. */
export interface Recorder {
  /** A new run, with the messages before it and, if given, its thread. See Store.runs.insert for refusals. */
  begin(run: Run, messages: readonly Message[], thread?: Thread): Promise<RunState | Refusal>
  /** See Store.runs.insertChild. */
  beginChild(
    parent_run_id: string,
    run: Run,
    messages: readonly Message[],
    thread: Thread,
  ): Promise<RunState | undefined>
  /** See Store.runs.commit. Nothing is published of a change that was not applied. */
  commit(run_id: string, change: RunChange, lease_id?: string): Promise<Commit>
  /** Deltas are published only: the whole object is kept when it is at its end. */
  publishDelta(state: RunState, delta: Delta): void
}

export function createRecorder(store: Store, bus: EventBus): Recorder {
  const publish = (run: Run, events: readonly StreamEvent[]) => {
    for (const event of events) {
      bus.publish(run.id, event)
      bus.publish(run.thread_id, event)
    }
  }

  const publishBegun = ({ run, version }: RunState, thread: Thread | undefined) => {
    const told = (event: EventName, data: StreamEvent['data']) => ({ event, data, run_id: run.id, version })
    publish(run, [
      ...(thread ? [told('thread.created', thread)] : []),
      told('thread.run.created', run),
      told('thread.run.queued', run),
    ])
  }

  return {
    async begin(run, messages, thread) {
      const begun = await store.runs.insert(run, messages, thread)
      if (!('refused' in begun)) publishBegun(begun, thread)
      return begun
    },

    async beginChild(parent_run_id, run, messages, thread) {
      const begun = await store.runs.insertChild(parent_run_id, run, messages, thread)
      if (begun) publishBegun(begun, thread)
      return begun
    },

    async commit(run_id, change, lease_id) {
      const commit = await store.runs.commit(run_id, change, lease_id)
      if (commit.applied) publish(commit.state.run, eventsOf(change, commit.state))
      return commit
    },

    publishDelta({ run, version }, data) {
      publish(run, [{ event: data.object, data, run_id: run.id, version }])
    },
  }
}

/** What has ended comes before what begins, a message before its step when it ends and after it when it begins. */
function eventsOf({ to, open, save }: RunChange, { run, version }: RunState): StreamEvent[] {
  const events: StreamEvent[] = []
  const tell = (event: EventName, data: StreamEvent['data']) => events.push({ event, data, run_id: run.id, version })
  for (const message of save?.messages ?? []) {
    if (message.status !== 'in_progress') tell(`thread.message.${message.status}`, message)
  }
  for (const { spent: _, ...step } of save?.steps ?? []) {
    if (step.status !== 'in_progress') tell(`thread.run.step.${step.status}`, step)
  }
  if (open) tellOpened(open, tell)
  if (to) tell(`thread.run.${to}`, run)
  return events
}

function tellOpened(
  { step, message }: { step: RunStep; message?: Message },
  tell: (event: EventName, data: RunStep | Message) => void,
) {
  tell('thread.run.step.created', step)
  tell('thread.run.step.in_progress', step)
  if (!message) return
  tell('thread.message.created', message)
  tell('thread.message.in_progress', message)
}
