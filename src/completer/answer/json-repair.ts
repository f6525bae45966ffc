import { jsonrepair } from 'jsonrepair'
import { parsedObject } from './json-object.ts'

/** Beyond this, jsonrepair may take too long: its time is quadratic in the length of what is quoted wrongly. */
const longest = 32_000

const opening = /^\s*(?:```\s*)?(?:json\b\s*)?/i
/** How broken JSON may end. Anything else was cut off, and what is missing there nobody knows. */
const wholeEnd = /[\])}"'`]$/
const anyEscape = /\\(.)/gs

/**
 * The JSON of an object out of what a model wrote for it: in a code fence, with single quotes or none, with comments,
 * commas too many or too few, Python's literals, line breaks and quotes in strings, or brackets that are missing at the
 * end. Undefined if it is no object then either, or too long to look at.
 */
export function repairedObject(text: string): string | undefined {
  if (text.length > longest) return undefined
  const bare = withoutFence(text)
  if (parsedObject(bare)) return bare
  if (!wholeEnd.test(bare)) return undefined
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

/** The text in a code fence; DeepSeek sometimes leaves the word `json` of one before its arguments. */
export function withoutFence(text: string): string {
  const rest = text.trimEnd()
  return (rest.endsWith('```') ? rest.slice(0, -3).trimEnd() : rest).replace(opening, '')
}
