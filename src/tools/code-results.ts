import type { Message } from '../schemas/messages.ts'
import type { CodeInterpreterCall, RunStep } from '../schemas/run-steps.ts'
import { type Paths, pathIn } from './file-links.ts'

/** Files that an answer may link to: those that earlier answers linked to, and those that the run's code wrote. */
export function pathsOf(before: readonly Message[], steps: readonly RunStep[]): Paths {
  const paths = new Map<string, string>()
  for (const part of before.flatMap(({ content }) => content)) {
    const notes = part.type === 'text' ? part.text.annotations : []
    for (const note of notes) if (note.type === 'file_path') paths.set(pathIn(note.text), note.file_path.file_id)
  }
  for (const { model_call } of steps.flatMap(codeCallsOf))
    for (const { path, file_id } of model_call?.written ?? []) paths.set(path, file_id)
  return paths
}

/** Files of the figures that were drawn since the run's last message. */
export function figuresOf(steps: readonly RunStep[]): string[] {
  const last = steps.findLastIndex(({ type }) => type === 'message_creation')
  const outputs = steps
    .slice(last + 1)
    .flatMap(codeCallsOf)
    .flatMap(({ code_interpreter }) => code_interpreter.outputs)
  return outputs.flatMap((output) => (output.type === 'image' ? [output.image.file_id] : []))
}

const codeCallsOf = ({ step_details: details }: RunStep): CodeInterpreterCall[] =>
  details.type === 'tool_calls' ? details.tool_calls.filter((call) => call.type === 'code_interpreter') : []
