import type { Message } from '../schemas/messages.ts'
import { callsOf, type RunStep, type Written } from '../schemas/run-steps.ts'
import { type Paths, pathIn } from './file-links.ts'

/** Files that an answer may link to: those that earlier answers linked to, and those that the run's calls wrote. */
export function pathsOf(
  before: readonly Pick<Message, 'content'>[],
  steps: readonly Pick<RunStep, 'step_details'>[],
): Paths {
  const paths = new Map(linkedIn(before).map(({ path, file_id }) => [path, file_id]))
  for (const call of steps.flatMap(callsOf)) {
    if (call.type !== 'file_search') for (const { path, file_id } of call.written ?? []) paths.set(path, file_id)
  }
  return paths
}

/** What messages link to. */
export const linkedIn = (messages: readonly Pick<Message, 'content'>[]): NonNullable<Written> =>
  messages
    .flatMap(({ content }) => content)
    .flatMap((part) => (part.type === 'text' ? part.text.annotations : []))
    .flatMap((note) =>
      note.type === 'file_path' ? [{ path: pathIn(note.text), file_id: note.file_path.file_id }] : [],
    )

/** Files of the figures of a run that none of its messages shows. */
export function figuresOf(steps: readonly Pick<RunStep, 'step_details'>[], messages: readonly Message[]): string[] {
  const parts = messages.flatMap(({ content }) => content)
  const shown = new Set(parts.map((part) => (part.type === 'image_file' ? part.image_file.file_id : undefined)))
  const calls = steps.flatMap(callsOf)
  const outputs = calls.flatMap((call) => (call.type === 'code_interpreter' ? call.code_interpreter.outputs : []))
  return outputs.flatMap((output) =>
    output.type === 'image' && !shown.has(output.image.file_id) ? [output.image.file_id] : [],
  )
}
