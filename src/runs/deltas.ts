import type { Delta } from '../schemas/events.ts'
import { shownCall, type ToolCall } from '../schemas/run-steps.ts'
import { isAnswered } from '../tools/registry.ts'

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

/** The elements of a list as deltas have them. */
export const numbered = <T extends object>(list: readonly T[]) => list.map((one, index) => ({ index, ...one }))

/**
 * The calls of a step that deltas tell of by now. Clients take a delta of another call as the end of the one before, so
 * what comes after code is told when that has run.
 */
export function toldCalls(calls: readonly ToolCall[]): readonly ToolCall[] {
  const running = calls.findIndex((call) => call.type === 'code_interpreter' && !isAnswered(call))
  return running < 0 ? calls : calls.slice(0, running + 1)
}

/** All that is known of a call, as one delta has it: a search has no results before its step is completed. */
export function wholeCall(call: ToolCall): object {
  const shown = shownCall(call)
  if (shown.type === 'file_search') return { ...shown, file_search: { ...shown.file_search, results: [] } }
  if (shown.type === 'function') return shown
  return {
    ...shown,
    code_interpreter: { ...shown.code_interpreter, outputs: numbered(shown.code_interpreter.outputs) },
  }
}

/** What is to be told once one of the calls is answered: what its code has brought, and calls that have waited for it. */
export function answerDeltas(step_id: string, before: readonly ToolCall[], now: readonly ToolCall[]): Delta[] {
  const told = toldCalls(before)
  const deltas: Delta[] = []
  const last = told.at(-1)
  const index = told.length - 1
  const answered = now[index]
  if (
    last &&
    answered?.type === 'code_interpreter' &&
    answered !== last &&
    answered.code_interpreter.outputs.length > 0
  ) {
    const { type, code_interpreter } = answered
    deltas.push(stepDelta(step_id, { index, type, code_interpreter: { outputs: numbered(code_interpreter.outputs) } }))
  }
  for (const [at, call] of toldCalls(now).entries()) {
    if (at < told.length) continue
    for (const piece of begunCall(call)) deltas.push(stepDelta(step_id, { index: at, ...piece }))
  }
  return deltas
}

/** A call and what was written of it, as two deltas: of the first, handlers hear no more than that there is one. */
function begunCall(call: ToolCall): object[] {
  if (call.type === 'file_search') return [wholeCall(call)]
  const { id, type } = call
  if (type === 'function') {
    const { name, arguments: written, output } = call.function
    return [
      { id, type, function: { name, arguments: '', output: null } },
      { type, function: { arguments: written, ...(output !== null && { output }) } },
    ]
  }
  const { input } = call.code_interpreter
  return [
    { id, type, code_interpreter: { input: '', outputs: [] } },
    { type, code_interpreter: { input } },
  ]
}
