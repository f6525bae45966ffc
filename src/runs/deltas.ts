import type { Delta } from '../schemas/events.ts'
import type { ToolCall } from '../schemas/run-steps.ts'

export const messageDelta = (id: string, ...parts: object[]): Delta => ({
  id,
  object: 'thread.message.delta',
  delta: { content: parts },
})

export const stepDelta = (id: string, ...calls: object[]): Delta => ({
  id,
  object: 'thread.run.step.delta',
  delta: { step_details: { type: 'tool_calls', tool_calls: calls } },
})

/** What running its code has brought; undefined for calls whose outcome comes with the end of their step. */
export function outputsDelta(step_id: string, index: number, call: ToolCall): Delta | undefined {
  if (call.type !== 'code_interpreter' || call.code_interpreter.outputs.length === 0) return undefined
  const { type, code_interpreter } = call
  return stepDelta(step_id, { index, type, code_interpreter: { outputs: numbered(code_interpreter.outputs) } })
}

/** The elements of a list as deltas have them. */
export const numbered = <T extends object>(list: readonly T[]) => list.map((one, index) => ({ index, ...one }))
