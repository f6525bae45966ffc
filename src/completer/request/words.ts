/** Whether a refusal, whose words and parameter these are, is about a certain thing. */
export type Refused = (said: string, param: string | undefined) => boolean

/**
 * Whether words refuse a parameter by its name: as OpenAI says it ("Unsupported parameter: 'x'"), Azure ("Unrecognized
 * request argument supplied: x"), Mistral and vLLM (`extra_forbidden` with its place), Groq ("property 'x' is
 * unsupported"), Gemini ("Unknown name "x""), LiteLLM ("does not support parameters: ['x']"), and others like them.
 */
export function names(name: string): Refused {
  const quote = '[\'"`‘’“”]?'
  const kind = '(?:(?:parameter|param|value|argument|field|property|name|key|keyword argument)s?)'
  const supported = '(?:supported|available|permitted|allowed|recognized|enabled|implemented)'
  const refusals = [
    `(?:unsupported|unknown|unexpected|unrecognized|extra) (?:request )?${kind}(?: supplied)?:? ${quote}${name}\\b`,
    `unrecognized request arguments? supplied:[^.]*\\b${name}\\b`,
    `\\b${name}${quote} ?${kind}? ?(?:is|are) (?:unsupported|(?:currently |temporarily )?not (?:yet |currently )?${supported})`,
    `(?:n't|not) (?:yet |currently )?support(?:ed)? (?:the |this |that )?(?:use of )?(?:${kind}:? )?[^.,]{0,20}\\b${name}\\b`,
    `\\b${name}: extra inputs are not permitted`,
    `loc['"]: ?[[(](?:['"]body['"], ?)?(?:['"]messages['"], ?[^\\])]*)?['"]${name}['"],?[\\])][^}]*(?:extra_forbidden|extra (?:inputs|fields) not permitted|extra inputs are not permitted)`,
  ]
  const pattern = new RegExp(refusals.join('|'), 'i')
  return (said, param) => param === name || pattern.test(said)
}

export const says =
  (pattern: RegExp): Refused =>
  (said) =>
    pattern.test(said)

export const either =
  (...ways: Refused[]): Refused =>
  (said, param) =>
    ways.some((way) => way(said, param))
