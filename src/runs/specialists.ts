import { type Clock, seconds } from '../clock.ts'
import type { EventBus } from '../events/bus.ts'
import { idFrom } from '../ids.ts'
import type { Run, SubmitToolOutputs } from '../schemas/runs.ts'
import type { Thread } from '../schemas/threads.ts'
import type { Store } from '../store/store.ts'
import type { Assignment, Specialists } from '../tools/create-specialist.ts'
import type { ToolContext } from '../tools/registry.ts'
import type { ClientKeys } from './client-keys.ts'
import type { Recorder } from './commit.ts'
import { isTerminal } from './lifecycle.ts'
import { newMessage } from './new-run.ts'

interface Options {
  store: Store
  recorder: Recorder
  bus: EventBus
  keys: ClientKeys
  clock: Clock
  /** A hint that there is work. */
  wake(): void
  /** Cancels a run; nothing happens if it is over. */
  cancel(run: Run): Promise<void>
  /** Sends a run on with these outputs; nothing happens if it does not wait for them. */
  submit(run: Run, body: SubmitToolOutputs): Promise<void>
}

export function createSpecialists({ store, recorder, bus, keys, clock, wake, cancel, submit }: Options): Specialists {
  const runId = (call_id: string) => idFrom('run_', call_id)

  /** There is no client who could answer. */
  const refuse = (run: Run, { submit_tool_outputs: asked }: NonNullable<Run['required_action']>) =>
    submit(run, {
      tool_outputs: asked.tool_calls.map(({ id, function: { name } }) => ({
        tool_call_id: id,
        output: `There is no function '${name}' here. Do without it.`,
      })),
    })

  return {
    family: store.runs.family,

    async begun(call_id) {
      return (await store.runs.snapshot({ run_id: runId(call_id) }))?.run
    },

    async begin(call_id, parent, assignment, budget) {
      const now = seconds(clock)
      const metadata = { parent_run_id: parent.id, parent_thread_id: parent.thread_id, specialist: assignment.name }
      const resources = (await store.threads.get(parent.thread_id))?.tool_resources ?? {}
      const thread: Thread = {
        id: idFrom('thread_', call_id),
        object: 'thread',
        created_at: now,
        metadata,
        tool_resources: resources,
      }
      const run = {
        ...childOf(parent, assignment, budget),
        id: runId(call_id),
        thread_id: thread.id,
        created_at: now,
        metadata,
      }
      keys.keep(run, keys.of(parent.id))
      const task = newMessage({ role: 'user', content: assignment.task }, thread.id, now)
      const begun = await recorder.beginChild(parent.id, run, [task], thread)
      wake()
      return begun?.run
    },

    async ended(run, signal) {
      const done = new AbortController()
      const events = bus.subscribe(run.id, AbortSignal.any([signal, done.signal]))[Symbol.asyncIterator]()
      try {
        for (;;) {
          const snapshot = await store.runs.snapshot({ run_id: run.id })
          if (!snapshot || isTerminal(snapshot.run.status)) return snapshot
          if (snapshot.run.required_action) await refuse(snapshot.run, snapshot.run.required_action)
          await untilMoved(events)
          signal.throwIfAborted()
        }
      } catch (error) {
        if (signal.reason === 'cancelled') await cancel(run)
        throw error
      } finally {
        done.abort()
      }
    },
  }
}

/** Until something was committed of a run; its deltas do not matter. */
async function untilMoved(events: AsyncIterator<readonly { data: { object: string } }[]>) {
  for (;;) {
    const { done, value } = await events.next()
    if (done || value.some(({ data }) => data.object === 'thread.run')) return
  }
}

/** The run of a specialist: of the same assistant, with the settings of the run that asks for it. */
function childOf(parent: Run, { instructions, model, tools }: Assignment, budget: ToolContext['budget']): Run {
  return {
    ...parent,
    ...budget,
    model,
    instructions,
    tools,
    status: 'queued',
    started_at: null,
    required_action: null,
    last_error: null,
    incomplete_details: null,
    usage: null,
    response_format: 'auto',
    tool_choice: 'auto',
    truncation_strategy: { type: 'auto', last_messages: null },
  }
}
