import { jsonrepair } from 'jsonrepair'
import { parsedObject } from './json-object.ts'

const longest = 32_000
/**
 * The time of jsonrepair grows with the length of a text times the square of the quotes in it of which each may be in the
 * middle of a string; with more than this it may take over a tenth of a second, and with the longest text minutes.
 */
const mostWork = 5e8
/** In a text without blanks: a quote where no string begins or ends, or an escaped one that JSON does not know. */
const anyDoubtful = /(?<![,:{}[\]()])(?:["'`´‘’“”]|&(?:quot|apos|#\w{1,8});)(?![,:{}[\]()])|\\['`´‘’“”]/g

const opening = /^\s*(?:```\s*)?(?:json\b\s*)?/i
/** How broken JSON may end. Anything else was cut off, and what is missing there nobody knows. */
const wholeEnd = /[\])}"'`]$/
const anyEscape = /\\(.)/gs

/**
 * The JSON of an object out of what a model wrote for it: in a code fence, with single quotes or none, with comments,
 * commas too many or too few, Python's literals, line breaks and quotes in strings, or brackets that are missing at the
 * end. Undefined if it is no object then either, or would take too long.
 */
export function repairedObject(text: string): string | undefined {
  if (text.length > longest) return undefined
  const bare = withoutFence(text)
  if (parsedObject(bare)) return bare
  if (!wholeEnd.test(bare) || workIn(bare) > mostWork) return undefined
  try {
    // A backslash before what cannot be escaped is of a path, a regular expression or a formula; jsonrepair drops it.
    const repaired = jsonrepair(
      bare.replace(anyEscape, (whole, next) => (/["'\\/bfnrtu]/.test(next) ? whole : `\\${whole}`)),
    )
    return parsedObject(repaired) && repaired
  } catch {
    // It cannot be repaired, or is nested too deeply.
    return undefined
  }
}

function workIn(text: string): number {
  const doubtful = text.replace(/\s+/g, '').match(anyDoubtful)?.length ?? 0
  return text.length * doubtful ** 2
}

/** The text in a code fence; DeepSeek sometimes leaves the word `json` of one before its arguments. */
export function withoutFence(text: string): string {
  const rest = text.trimEnd()
  return (rest.endsWith('```') ? rest.slice(0, -3).trimEnd() : rest).replace(opening, '')
}
