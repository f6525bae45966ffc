import { type Clock, seconds } from '../clock.ts'
import type { File } from '../schemas/files.ts'
import { callsOf, type RunStep, type ToolCall, withCalls } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { noUsage, sumOf, type Usage } from '../schemas/usage.ts'
import type { Conversation, RunChange, StepWithSpent } from '../store/store.ts'
import { isAnswered, nameOf, type RunTools, type ServerTool } from '../tools/registry.ts'
import type { Recorder } from './commit.ts'
import { answerDeltas } from './deltas.ts'
import { budgetOf, type Hand } from './hand.ts'

export interface RoundContext {
  recorder: Recorder
  /** Keeps the bytes, and describes the file that they will be. */
  makeFile(filename: string, bytes: Uint8Array): Promise<File>
  clock: Clock
}

/**
 * Answers the calls of a step that are not the client's, and keeps each answer as it comes. The change ends the step, or
 * hands the run to the client for the calls that are. Rejects with the signal's reason or a RefusedError.
 */
export async function answerCalls(
  hand: Hand,
  step: StepWithSpent,
  { beforeSteps, steps }: Conversation,
  ours: RunTools,
  context: RoundContext,
): Promise<RunChange> {
  const keeper = createKeeper(hand, step, context.recorder)

  async function answer(tool: ServerTool, call: ToolCall) {
    const files: File[] = []
    let spent = noUsage
    const answered = await tool.answer(call, {
      run: hand.state.run,
      earlier: earlierCalls(steps, call),
      hasCalled: earlierCalls([...beforeSteps, ...steps], call) > 0,
      signal: hand.signal,
      budget: budgetOf(hand.state),
      async makeFile(filename, bytes) {
        const file = await context.makeFile(filename, bytes)
        files.push(file)
        return file.id
      },
      spend: (usage) => {
        spent = sumOf(spent, usage)
      },
      note: keeper.note,
      aside: (waiting) => hand.aside(waiting),
    })
    hand.signal.throwIfAborted()
    await keeper.keep(answered, files, spent)
  }

  async function answerAll(tool: ServerTool) {
    const calls = callsOf(step).filter((call) => ours.get(nameOf(call)) === tool && !isAnswered(call))
    if (!tool.isStateful) await Promise.all(calls.map((call) => answer(tool, call)))
    else for (const call of calls) await answer(tool, call)
  }

  await Promise.all(Array.from(ours.values(), answerAll))
  const answered = keeper.step()
  const calls = callsOf(answered)
  if (!calls.every(isAnswered)) return { to: 'requires_action', patch: { required_action: requiredAction(calls) } }
  const usage = step.spent ?? null
  return { save: { steps: [{ ...answered, status: 'completed', completed_at: seconds(context.clock), usage }] } }
}

/** A step whose calls get their answers in any order. */
function createKeeper(hand: Hand, step: StepWithSpent, recorder: Recorder) {
  let tool_calls = callsOf(step)
  let { metadata } = step
  let last: Promise<unknown> = Promise.resolve()
  const current = (): StepWithSpent => withCalls({ ...step, metadata }, tool_calls)

  async function commit(call: ToolCall, files: File[], spent: Usage) {
    const callsBefore = tool_calls
    tool_calls = tool_calls.map((other) => (other.id === call.id ? call : other))
    const before = hand.state
    const total = spent === noUsage ? undefined : sumOf(before.spent, spent)
    await hand.commit(recorder, { save: { steps: [current()] }, files, ...(total && { spent: total }) })
    // Of the version before: whoever reads the step from here on finds them told.
    for (const delta of answerDeltas(step.id, callsBefore, tool_calls)) recorder.publishDelta(before, delta)
  }

  /** One at a time, for each writes the whole step. */
  function inOrder(work: () => Promise<void>): Promise<void> {
    const done = last.then(work)
    last = done.catch(() => {})
    return done
  }

  return {
    step: current,
    keep: (call: ToolCall, files: File[], spent: Usage) => inOrder(() => commit(call, files, spent)),
    note: (key: string, value: string) =>
      inOrder(async () => {
        metadata = { ...metadata, [key]: value }
        await hand.commit(recorder, { save: { steps: [current()] } })
      }),
  }
}

const earlierCalls = (steps: readonly Pick<RunStep, 'step_details'>[], call: ToolCall) =>
  steps
    .flatMap(callsOf)
    .filter((other) => nameOf(other) === nameOf(call))
    .findIndex(({ id }) => id === call.id)

/** What the client is to answer. */
export function requiredAction(calls: readonly ToolCall[]): Run['required_action'] {
  const tool_calls = calls.flatMap((call) => {
    if (call.type !== 'function' || isAnswered(call)) return []
    const { name, arguments: written } = call.function
    return [{ id: call.id, type: call.type, function: { name, arguments: written } }]
  })
  return { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls } }
}
