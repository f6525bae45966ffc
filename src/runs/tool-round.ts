import type { RunStep, ToolCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import type { RunChange, StepWithSpent } from '../store/store.ts'
import { isAnswered, nameOf, type RunTools } from '../tools/registry.ts'
import type { Hand } from './hand.ts'

/**
 * Answers the calls of a step that are not the client's, all at once. The change ends the step, or hands the run to the
 * client for the calls that are. Rejects with the signal's reason. `now` in seconds.
 */
export async function answerCalls(
  hand: Hand,
  step: StepWithSpent,
  steps: readonly RunStep[],
  ours: RunTools,
  now: number,
): Promise<RunChange> {
  const { run } = hand.state
  const tool_calls = await Promise.all(
    callsOf(step).map((call) => {
      const tool = ours.get(nameOf(call))
      if (!tool || isAnswered(call)) return call
      return tool.answer(call, { run, earlier: earlierCalls(steps, call), signal: hand.signal })
    }),
  )
  hand.signal.throwIfAborted()
  const answered = { ...step, step_details: { type: 'tool_calls' as const, tool_calls } }
  if (!tool_calls.every(isAnswered)) {
    const required_action = requiredAction(tool_calls)
    return { to: 'requires_action', save: { steps: [answered] }, patch: { required_action } }
  }
  const usage = step.spent ?? null
  return { save: { steps: [{ ...answered, status: 'completed', completed_at: now, usage }] } }
}

const callsOf = ({ step_details: details }: RunStep): readonly ToolCall[] =>
  details.type === 'tool_calls' ? details.tool_calls : []

const earlierCalls = (steps: readonly RunStep[], call: ToolCall) =>
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
