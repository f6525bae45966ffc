import type { AssistantStream } from 'openai/lib/AssistantStream'
import type { ToolCall, ToolCallDelta } from 'openai/resources/beta/threads/runs/steps'

export function say(text: string) {
  process.stdout.write(text)
}

/** Prints a stream as it arrives; the run as it is at the end. */
export async function told(stream: AssistantStream) {
  stream
    .on('toolCallCreated', (call) => say(beginnings[call.type]))
    .on('toolCallDelta', tellOfCode)
    .on(
      'toolCallDone',
      (call) => call.type === 'function' && say(`${call.function.name}(${call.function.arguments})\n`),
    )
    .on('textCreated', () => say('Assistant: '))
    .on('textDelta', ({ value }) => say(value ?? ''))
    .on('textDone', () => say('\n'))
  return stream.finalRun()
}

const beginnings: Record<ToolCall['type'], string> = {
  function: 'The assistant calls ',
  file_search: 'The assistant searches.\n',
  code_interpreter: 'The assistant runs this code:\n\n',
}

/** Code as the model writes it, and what it printed. */
function tellOfCode(delta: ToolCallDelta) {
  if (delta.type !== 'code_interpreter') return
  const { input = '', outputs = [] } = delta.code_interpreter ?? {}
  say(input)
  for (const output of outputs) if (output.type === 'logs') say(`\nThe code prints:\n\n${output.logs}\n`)
}
