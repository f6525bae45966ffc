import { LiteralReader } from './literal.ts'
import { type Functions, type Writing, type WrittenCall, withoutEndMarks } from './written-call.ts'

/** What Gemma calls functions of. */
const namespace = 'default_api.'

/** Calls as in Python, in a list or one in each line. */
export const python: Writing = {
  begins: ['[', '', 'print(', namespace, `print(${namespace}`, `[${namespace}`].map((before) => `${before}*(`),
  read(text, functions) {
    const reader = new LiteralReader(withoutEndMarks(text))
    const isList = reader.take('[')
    const calls: WrittenCall[] = []
    while (!(isList ? reader.take(']') : reader.isAtEnd)) {
      const call = pythonCall(reader, functions)
      if (!call) return undefined
      calls.push(call)
      // Olmo 3 has line breaks between calls.
      if (!reader.take(',')) reader.take(';')
    }
    return calls.length > 0 && reader.isAtEnd ? calls : undefined
  },
}

/** Nothing but a list of calls. Without the brackets it may be an example of how to write one. */
export const onlyPython: Writing = { ...python, begins: ['[*('] }

function pythonCall(reader: LiteralReader, functions: Functions, isPrinted = false): WrittenCall | undefined {
  const word = reader.word()
  if (!word || !reader.take('(')) return undefined
  const name = functions.has(word) || !word.startsWith(namespace) ? word : word.slice(namespace.length)
  if (functions.has(name)) return callWith(name, reader.entries('=', ')'))
  const printed = word === 'print' && !isPrinted ? pythonCall(reader, functions, true) : undefined
  return printed && reader.take(')') ? printed : undefined
}

/** FunctionGemma and Gemma 4: `call:name{key:value}`, with their own quotes. */
export const gemma: Writing = {
  begins: ['call:*{'],
  read(text, functions) {
    const reader = new LiteralReader(text)
    if (!reader.take('call:')) return undefined
    const name = reader.word() ?? ''
    const call = functions.has(name) && reader.take('{') ? callWith(name, reader.entries(':', '}')) : undefined
    return call && reader.isAtEnd ? [call] : undefined
  },
}

const callWith = (name: string, given: Record<string, unknown> | undefined): WrittenCall | undefined =>
  given && { name, arguments: JSON.stringify(given) }
