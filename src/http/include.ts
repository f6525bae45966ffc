import { invalidRequest } from '../errors.ts'
import { resultContent } from '../schemas/run-steps.ts'

/**
 * Whether a URL asks for the text of what a file search found. Clients write `include[]=`, `include=` or `include[0]=`.
 * Throws an ApiError for anything else to be included.
 */
export function includesContent(url: string): boolean {
  const query = new URLSearchParams(url.split('?')[1] ?? '')
  const given = [...query].flatMap(([key, value]) => (/^include(?:\[\d*\])?$/.test(key) && value !== '' ? [value] : []))
  for (const value of given) {
    if (value === resultContent) continue
    const message = `Invalid value: '${value.slice(0, 200)}'. Supported value is: '${resultContent}'.`
    throw invalidRequest(message, { param: 'include', code: 'invalid_value' })
  }
  return given.length > 0
}
