import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { calculationIn } from './arithmetic.ts'
import { tableCodeFor } from './table.ts'

/** The tool by which a model runs Python; its description names the files of the user. */
export const codeName = 'code_interpreter'

/** Beyond this a message is no question any more. */
const longestQuestion = 1000

/** The code that answers a question: its own, if it has some, or that of a sum or of a table. */
export function codeFor(tool: ChatCompletionFunctionTool, question: string): string | undefined {
  const [, own] = /```(?:python|py)\s*\n(.*?)```/s.exec(question) ?? []
  if (own || question.length > longestQuestion) return own
  return calculationIn(question) ?? tableCodeFor(question, tool.function.description ?? '')
}

/** The arguments of a call, also of one that must be made for a question that needs none. */
export const codeArguments = (tool: ChatCompletionFunctionTool, question: string) => ({
  code: codeFor(tool, question) ?? 'import os\nprint(sorted(os.listdir("/mnt/data")))',
})

/** What the tool tells the model, after what the code has printed. */
const notes = /^(?:This ran in a new session|Figures that the user is shown|Files written|Files of the user)[^\n]*\n?/gm
const refusals =
  /^(?:The code (?:was stopped|could not be run)|The Python process ended|code_interpreter is|The server is)/

/** What a call brought, in words, with the links that the tool gave. */
export function toldOfCode(output: string): string {
  const links = /^Files written: (.*)\. Link to them like this\.$/m.exec(output)?.[1]
  const printed = output
    .replace(notes, '')
    .replace(/^Value of the last line: /m, '')
    .trim()
  return resultIn(printed) + (links ? `\n\nI saved it for you: ${links}.` : '')
}

function resultIn(printed: string): string {
  const last = printed.slice(printed.lastIndexOf('\n') + 1)
  if (/^Traceback \(most recent call last\):$/m.test(printed)) return `The code failed: ${last}`
  if (refusals.test(last)) return last
  if (printed === '') return 'The code ran and printed nothing.'
  if (printed !== last) return `This is the result:\n\n\`\`\`\n${printed}\n\`\`\``
  return /[.!?]$/.test(printed) ? printed : `The result is ${printed}.`
}
