import { invalidRequest } from '../errors.ts'
import { resultContent } from '../schemas/run-steps.ts'

/**
 * Whether a query string asks for the text of what a file search found. Clients write `include[]=`, `include=` or
 * `include[0]=`. Throws an ApiError for anything else to be included.
 */
export function includesContent(query: unknown): boolean {
  const given = Object.entries(query as Record<string, string | string[]>)
    .filter(([key]) => /^include(?:\[\d*\])?$/.test(key))
    .flatMap(([, value]) => value)
    .filter((value) => value !== '')
  for (const value of given) {
    if (value === resultContent) continue
    const message = `Invalid value: '${value.slice(0, 200)}'. Supported value is: '${resultContent}'.`
    throw invalidRequest(message, { param: 'include', code: 'invalid_value' })
  }
  return given.length > 0
}
