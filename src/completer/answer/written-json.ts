import { JsonObjectReader, parsed } from './json-object.ts'
import { repairedObject, withoutFence } from './json-repair.ts'
import { isRecord } from './raw.ts'
import {
  allOf,
  callOf,
  type Functions,
  partsOf,
  type Writing,
  type WrittenCall,
  withoutEndMarks,
} from './written-call.ts'

/** One call, several after each other, or a list of them. */
export const json: Writing = {
  begins: ['{', '['],
  read: (text, functions) => (/^\s*[[{]/.test(text) ? callsIn(text, functions) : undefined),
}

const oneCall = [
  '{"name":"*"',
  '{"tool_name":"*"',
  '{"type":"function"',
  '{"function":{',
  '{"arguments":{',
  '{"parameters":{',
]
const wholeCalls = oneCall.flatMap((call) => [call, `[${call}`])

/** Nothing but JSON. Phi-4-mini puts a word before it, Command R+ another. */
export const onlyJson: Writing = {
  begins: ['', '```', '```json', 'functools', 'Action:', 'Action:```json'].flatMap((before) =>
    wholeCalls.map((call) => before + call),
  ),
  read: (text, functions) => callsIn(withoutFence(text.replace(/^\s*(?:functools|Action:)/, '')), functions),
}

/** Calls that have only their arguments in JSON, each after a mark. `call` knows `name` and `json`. */
const named = (mark: string, call: RegExp, begins: Writing['begins']): Writing => ({
  begins,
  read: (text, functions) =>
    allOf(partsOf(text, mark), (part) => {
      const { name = '', json = '' } = call.exec(withoutEndMarks(part))?.groups ?? {}
      return callOf(name, json, functions)
    }),
})

/** Since 2025, `name[ARGS]{…}` for each call. */
export const mistral = named('[TOOL_CALLS]', /^(?<name>[\w.-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*(?<json>\{.*)$/s, [
  '*',
])

const deepSeekMark = '<｜tool▁call▁begin｜>'

/** V3 and R1 with the JSON in a code fence, V3.1 without. */
export const deepSeek = named(
  deepSeekMark,
  /^(?:function<｜tool▁sep｜>)?(?<name>[\w.-]+)(?:<｜tool▁sep｜>)?\s*(?<json>.*)$/s,
  [`${deepSeekMark}*<｜tool▁sep｜>`, `${deepSeekMark}function<｜tool▁sep｜>*`],
)

const kimiMark = '<|tool_call_begin|>'

/** The name is in an id: `functions.name:0`. */
export const kimi = named(
  kimiMark,
  /^(?:functions\.)?(?<name>[\w.-]+):\d+\s*<\|tool_call_argument_begin\|>(?<json>.*)$/s,
  [`${kimiMark}functions.*:`, `${kimiMark}*:`],
)

/** gpt-oss: the header of a message to a function, with the channel before its name or after, and the JSON. */
export const harmony: Writing = {
  begins: ['', 'commentary', 'analysis', '<|channel|>commentary', '<|channel|>analysis'].map(
    (channel) => `${channel}to=functions.*`,
  ),
  read(text, functions) {
    const [header = '', ...rest] = text.split('<|message|>')
    const [, name = ''] = /to=functions\.([\w.-]+)/.exec(header) ?? []
    const call = callOf(name, withoutEndMarks(rest.join('<|message|>')), functions)
    return call && [call]
  },
}

/** An answer that begins with such a message, since the prompt has had the mark before it. */
export const onlyHarmony: Writing = { ...harmony, begins: ['to=functions.*<|'] }

function callsIn(text: string, functions: Functions): WrittenCall[] | undefined {
  const bare = withoutEndMarks(text)
  const list = listOf(parsed(bare))?.flat() ?? severalIn(bare) ?? listOf(parsed(repairedObject(bare) ?? ''))
  return list && allOf(list, (one) => callIn(one, functions))
}

/** The values of a text that is several objects, with blanks, commas or semicolons between them. */
function severalIn(text: string): unknown[] | undefined {
  const list: unknown[] = []
  let rest = text
  while (rest !== '') {
    const reader = new JsonObjectReader()
    reader.push(rest)
    if (!reader.isComplete) return undefined
    list.push(parsed(rest.slice(0, reader.sure)))
    rest = rest.slice(reader.sure).replace(/^[\s;,]+/, '')
  }
  return list
}

const listOf = <T>(one: T | undefined): T[] | undefined => (one === undefined ? undefined : [one])

function callIn(value: unknown, functions: Functions): WrittenCall | undefined {
  if (!isRecord(value)) return undefined
  const inner = isRecord(value.function) ? value.function : value
  const name = inner.name ?? inner.tool_name ?? value.function
  const given = inner.arguments ?? inner.parameters
  if (typeof name !== 'string' || given === undefined) return undefined
  return callOf(name, typeof given === 'string' ? given : JSON.stringify(given), functions)
}
