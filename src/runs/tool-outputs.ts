import { invalidRequest } from '../errors.ts'
import type { ToolCall } from '../schemas/run-steps.ts'
import type { SubmitToolOutputs } from '../schemas/runs.ts'

const maxBytes = 512 * 1024

/**
 * The output of each function call by its id. All that have none yet must be answered, each once and nothing else,
 * in any order; a missing output is an empty one. Throws an ApiError otherwise.
 */
export function outputsFor(
  calls: readonly ToolCall[],
  given: SubmitToolOutputs['tool_outputs'],
): ReadonlyMap<string, string> {
  const expected = calls.flatMap((call) => (call.type === 'function' && call.function.output === null ? [call.id] : []))
  const got = given.map(({ tool_call_id }) => tool_call_id ?? '')
  if (got.length !== expected.length || !expected.every((id) => got.includes(id))) {
    throw invalidRequest(`Expected tool outputs for call_ids ${pythonList(expected)}, got ${pythonList(got)}`)
  }
  const size = given.reduce((bytes, { output }) => bytes + Buffer.byteLength(output ?? ''), 0)
  if (size > maxBytes) {
    throw invalidRequest("'tool_outputs' too large: the combined tool outputs must be less than 512kb.", {
      param: 'tool_outputs',
      code: 'invalid_value',
    })
  }
  return new Map(given.map(({ tool_call_id, output }) => [tool_call_id ?? '', output ?? '']))
}

const pythonList = (ids: readonly string[]) => `[${ids.map((id) => `'${id}'`).join(', ')}]`
