import { type Clock, seconds } from '../clock.ts'
import { invalidRequest, notFound } from '../errors.ts'
import type { EventBus } from '../events/bus.ts'
import type { StreamEvent } from '../schemas/events.ts'
import { callsOf, withCalls } from '../schemas/run-steps.ts'
import type { CreateRun, CreateThreadAndRun, Run, SubmitToolOutputs } from '../schemas/runs.ts'
import type { Thread } from '../schemas/threads.ts'
import { completeResources } from '../schemas/tools.ts'
import type { Refusal, RunChange, StepWithSpent, Store } from '../store/store.ts'
import { isAnswered } from '../tools/registry.ts'
import type { Resources } from '../vector-stores/resources.ts'
import type { ClientKeys } from './client-keys.ts'
import type { Recorder } from './commit.ts'
import type { Executor } from './executor.ts'
import { existingAssistant, existingRun, existingThread } from './existing.ts'
import { newMessage, newRun, newThread, type RunSettings } from './new-run.ts'
import { openOf, settle } from './settle.ts'
import { outputsFor } from './tool-outputs.ts'

type Events = AsyncIterable<readonly StreamEvent[]>

/** A run as it was answered, and all its events since, until `listening` aborts. */
export interface Started {
  run: Run
  events: Events
}

export interface RunService {
  /** `key`: the client's own, for the backend. Throws an ApiError if the thread, the assistant or the request do not allow the run. */
  start(thread_id: string, body: CreateRun, listening: AbortSignal, key?: string): Promise<Started>
  startWithThread(body: CreateThreadAndRun, listening: AbortSignal, key?: string): Promise<Started>
  /** Sends the run on with the outputs of its function calls, all at once. */
  submit(
    thread_id: string,
    run_id: string,
    body: SubmitToolOutputs,
    listening: AbortSignal,
    key?: string,
  ): Promise<Started>
  /** The run as `cancelling`. Once this is acknowledged the run ends as `cancelled` and no other way. */
  cancel(thread_id: string, run_id: string): Promise<Run>
  /** Ends the thread's run, if one is active, and deletes the thread. False if there is no such thread. */
  deleteThread(thread_id: string): Promise<boolean>
}

export interface RunServiceOptions {
  store: Store
  recorder: Recorder
  bus: EventBus
  executor: Executor
  resources: Resources
  keys: ClientKeys
  clock: Clock
  settings: RunSettings
  /** Hears of threads that are gone. */
  onThreadDeleted(thread_id: string): Promise<void>
}

export function createRunService(options: RunServiceOptions): RunService {
  const { store, recorder, bus, executor, resources, keys, clock, settings, onThreadDeleted } = options

  /** The listener is there before the run is, so that no event is missed. */
  async function begin(
    run: Run,
    messages: Parameters<Recorder['begin']>[1],
    thread: Thread | undefined,
    listening: AbortSignal,
    key: string | undefined,
  ) {
    const events = bus.subscribe(run.id, listening)
    keys.keep(run, key)
    const begun = await recorder.begin(run, messages, thread)
    if ('refused' in begun) {
      keys.forget(run.id)
      throw refusalError(begun, run.thread_id)
    }
    executor.wake()
    return { run: begun.run, events }
  }

  async function commitOr(run: Run, change: RunChange, refused: (status: Run['status']) => Error): Promise<Run> {
    const commit = await recorder.commit(run.id, change)
    if (!commit.state) throw notFound('run', run.id)
    if (!commit.applied) throw refused(commit.state.run.status)
    return commit.state.run
  }

  /** `cancelling` leads to `cancelled` alone, so anyone may take it there; a worker's commits are refused then. */
  async function endCancelled(run_id: string) {
    const open = await openOf(store, run_id, executor.draftOf(run_id))
    const state = await store.runs.snapshot({ run_id })
    if (state) await recorder.commit(run_id, settle(state, open, { to: 'cancelled' }, seconds(clock)))
  }

  return {
    async start(thread_id, body, listening, key) {
      const thread = await existingThread(store, thread_id)
      const assistant = await existingAssistant(store, body.assistant_id)
      const run = newRun(body, assistant, thread_id, seconds(clock), settings)
      const messages = (body.additional_messages ?? []).map((message) => newMessage(message, thread_id, run.created_at))
      const asked = messages.some((message) => message.role === 'user') || (await store.messages.anyFromUser(thread_id))
      checkThread(run, asked)
      await resources.checkStores(run, thread.tool_resources)
      const active = messages.length > 0 && (await store.runs.active(thread_id))
      if (active) throw refusalError({ refused: 'active_run', run_id: active.id }, thread_id)
      await resources.attach(thread_id, messages)
      return begin(run, messages, undefined, listening, key)
    },

    async startWithThread(body, listening, key) {
      const now = seconds(clock)
      const assistant = await existingAssistant(store, body.assistant_id)
      const { thread, messages } = newThread(body.thread ?? {}, now)
      const run = newRun(body, assistant, thread.id, now, settings)
      checkThread(
        run,
        messages.some((message) => message.role === 'user'),
      )
      if (body.tool_resources) run.tool_resources = await resources.ofAssistant(body.tool_resources, run.tools)
      await resources.checkStores(run, completeResources(body.thread?.tool_resources, []))
      thread.tool_resources = await resources.ofNewThread(body.thread?.tool_resources, messages)
      return begin(run, messages, thread, listening, key)
    },

    async submit(thread_id, run_id, body, listening, key) {
      const run = await existingRun(store, thread_id, run_id)
      const refused = (status: Run['status']) =>
        invalidRequest(`Runs in status "${status}" do not accept tool outputs.`)
      if (run.status !== 'requires_action') throw refused(run.status)
      const step = (await store.runs.open(run_id)).steps.find((open) => open.type === 'tool_calls')
      if (!step) throw refused((await existingRun(store, thread_id, run_id)).status)
      const events = bus.subscribe(run_id, listening)
      keys.keep(run, key)
      const queued = await commitOr(
        run,
        { to: 'queued', patch: { required_action: null }, save: { steps: [answered(step, body, seconds(clock))] } },
        refused,
      )
      executor.wake()
      return { run: queued, events }
    },

    async cancel(thread_id, run_id) {
      const run = await existingRun(store, thread_id, run_id)
      const cancelling = await commitOr(run, { to: 'cancelling', patch: { required_action: null } }, (status) =>
        invalidRequest(`Cannot cancel run with status '${status}'.`),
      )
      // Nobody works on a run that waits; it need not wait for a hand that is free.
      if (run.status === 'queued' || run.status === 'requires_action') await endCancelled(run_id)
      executor.interrupt(run_id, 'cancelled')
      executor.wake()
      return cancelling
    },

    async deleteThread(thread_id) {
      const active = await store.runs.active(thread_id)
      if (active) {
        await recorder.commit(active.id, { to: 'cancelling', patch: { required_action: null } })
        await endCancelled(active.id)
        executor.interrupt(active.id, 'cancelled')
      }
      const deleted = await store.threads.delete(thread_id)
      await onThreadDeleted(thread_id)
      return deleted
    },
  }
}

function refusalError(refusal: Refusal, thread_id: string) {
  if (refusal.refused === 'no_thread') return notFound('thread', thread_id)
  // Clients find the ids in this text.
  return invalidRequest(`Thread ${thread_id} already has an active run ${refusal.run_id}.`)
}

function checkThread(run: Run, hasUserMessage: boolean) {
  if (hasUserMessage || run.instructions) return
  throw invalidRequest('Run creation requires a Thread with a user message or an assistant with instructions.', {
    code: 'invalid_thread',
  })
}

function answered(step: StepWithSpent, body: SubmitToolOutputs, now: number): StepWithSpent {
  const calls = callsOf(step)
  const outputs = outputsFor(calls, body.tool_outputs)
  const tool_calls = calls.map((call) =>
    call.type === 'function' && !isAnswered(call)
      ? { ...call, function: { ...call.function, output: outputs.get(call.id) ?? '' } }
      : call,
  )
  const usage = step.spent ?? null
  return withCalls({ ...step, status: 'completed', completed_at: now, usage }, tool_calls)
}
