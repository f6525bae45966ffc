import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { JsonObjectReader, parsed, parsedObject } from './json-object.ts'
import { repairedObject } from './json-repair.ts'
import { isRecord } from './raw.ts'

export interface WrittenCall {
  name: string
  arguments: string
}

/** The functions that the request had, by name. */
export type Functions = ReadonlyMap<string, ChatCompletionFunctionTool['function']>

/** A way in which models write calls that their server does not understand. */
export interface Form {
  open: string
  /** Without one, a call goes on to the end of the answer. */
  close?: string
  /** Whether what has come after the opening may still be a call. */
  fits(text: string, functions: Functions): boolean
  /** The calls between opening and close; undefined if it is anything else, or one of them is of no function. */
  read(text: string, functions: Functions): WrittenCall[] | undefined
}

/** A mark of the end of a turn, which some servers let through. */
const endMark = /(?:<\|[a-z_]{1,20}\|>|<\/s>)$/
const deepSeekCall = /^\s*(?:function<｜tool▁sep｜>(?<old>[\w.-]+)|(?<name>[\w.-]+)<｜tool▁sep｜>)\s*(?<json>.*)$/s
const mistralCall = /^([\w.-]+)(?:\[CALL_ID\]\w*)?(?:\[ARGS\])?\s*(\{.*)$/s
/** Beyond this, looking for the ends of parameters may take too long. */
const longestTagged = 32_000
const parameter = /<parameter=([^>\s]+)>\n?(.*?)\n?<\/parameter>/gs

const beginsJson = (text: string) => /^\s*(?:[[{]|$)/.test(text)

/** The rest after the name of a function: `name>{…}`. */
const beginsName =
  (after: string): Form['fits'] =>
  (text, functions) => {
    const said = text.trimStart()
    for (const name of functions.keys())
      if (`${name}${after}`.startsWith(said) || said.startsWith(`${name}${after}`)) return true
    return false
  }

/** Hermes, Qwen and many others; Qwen3-Coder puts the next form into it. */
const hermes: Form = {
  open: '<tool_call>',
  close: '</tool_call>',
  fits: (text) => beginsJson(text) || '<function='.startsWith(text.trim()) || /^\s*<function=/.test(text),
  read(text, functions) {
    const body = text.trim()
    if (!body.startsWith(tagged.open)) return callsIn(body, functions)
    return tagged.read(body.slice(tagged.open.length).replace(/<\/function>$/, ''), functions)
  },
}

/** Llama 3: `<function=name>{…}</function>`. Qwen3-Coder has parameters in tags instead of the JSON. */
const tagged: Form = {
  open: '<function=',
  close: '</function>',
  fits: beginsName('>'),
  read(text, functions) {
    const [, name = '', body = ''] = /^([^>]+)>(.*)$/s.exec(text) ?? []
    const written = functions.get(name)
    if (!written) return undefined
    if (!body.includes('<parameter=') || body.length > longestTagged)
      return listOf(callOf(name, body.trim() === '' ? '{}' : body, functions))
    const values = [...body.matchAll(parameter)].map(([, key = '', value = '']) => [key, typed(value, key, written)])
    return [{ name, arguments: JSON.stringify(Object.fromEntries(values)) }]
  },
}

/** Llama 3.1 and later, one or more with semicolons between them. */
const llama: Form = { open: '<|python_tag|>', fits: beginsJson, read: callsIn }

/** Mistral: a list, or since 2025 `name[ARGS]{…}` for each call. */
const mistral: Form = {
  open: '[TOOL_CALLS]',
  fits: (text, functions) => beginsJson(text) || beginsName('')(text, functions),
  read(text, functions) {
    if (beginsJson(text)) return callsIn(text, functions)
    return allOf(
      text.split('[TOOL_CALLS]').map((one) => {
        const [, name = '', json = ''] = mistralCall.exec(withoutEndMarks(one)) ?? []
        return callOf(name, json, functions)
      }),
    )
  },
}

/** DeepSeek V3 and R1 with the JSON in a code fence, V3.1 without. */
const deepSeek: Form = {
  open: '<｜tool▁calls▁begin｜>',
  close: '<｜tool▁calls▁end｜>',
  fits: (text) => /^\s*<｜tool▁call▁begin｜>/.test(text) || '<｜tool▁call▁begin｜>'.startsWith(text.trim()),
  read(text, functions) {
    const written = text.split('<｜tool▁call▁begin｜>').slice(1)
    return allOf(
      written.map((one) => {
        const {
          old,
          name = old,
          json = '',
        } = deepSeekCall.exec(one.split('<｜tool▁call▁end｜>')[0] ?? '')?.groups ?? {}
        return callOf(name ?? '', json, functions)
      }),
    )
  },
}

/** In the middle of an answer or around it; the whole of an answer may also be the JSON of a call and nothing else. */
export const forms: readonly Form[] = [hermes, tagged, llama, mistral, deepSeek]

/** Calls in JSON: one, several after each other, or a list of them. */
export function callsIn(text: string, functions: Functions): WrittenCall[] | undefined {
  const json = withoutEndMarks(text)
  const list = listOf(parsed(json))?.flat() ?? severalIn(json) ?? listOf(parsed(repairedObject(json) ?? ''))
  return list && allOf(list.map((one) => callIn(one, functions)))
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

function withoutEndMarks(text: string): string {
  let rest = text.trim()
  for (let mark = endMark.exec(rest.slice(-24)); mark; mark = endMark.exec(rest.slice(-24))) {
    rest = rest.slice(0, -mark[0].length).trimEnd()
  }
  return rest
}

function callIn(value: unknown, functions: Functions): WrittenCall | undefined {
  if (!isRecord(value)) return undefined
  const inner = isRecord(value.function) ? value.function : value
  const name = inner.name ?? value.function
  const given = inner.arguments ?? inner.parameters
  if (typeof name !== 'string' || given === undefined) return undefined
  return callOf(name, typeof given === 'string' ? given : JSON.stringify(given), functions)
}

function callOf(name: string, json: string, functions: Functions): WrittenCall | undefined {
  const object = parsedObject(json) ? json.trim() : repairedObject(json)
  return functions.has(name) && object !== undefined ? { name, arguments: object } : undefined
}

const listOf = <T>(one: T | undefined): T[] | undefined => (one === undefined ? undefined : [one])

const allOf = <T>(list: readonly (T | undefined)[]): T[] | undefined => {
  const all = list.filter((one) => one !== undefined)
  return all.length === list.length && all.length > 0 ? all : undefined
}

/** Text between tags has no type; the schema of the parameter says whether it is one. */
function typed(text: string, key: string, { parameters }: ChatCompletionFunctionTool['function']): unknown {
  const properties = isRecord(parameters?.properties) ? parameters.properties : {}
  const schema = properties[key]
  return isRecord(schema) && schema.type === 'string' ? text : (parsed(text) ?? text)
}
