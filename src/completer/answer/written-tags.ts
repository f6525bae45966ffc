import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { parsed } from './json-object.ts'
import { LiteralReader } from './literal.ts'
import { isRecord } from './raw.ts'
import { allOf, callOf, partsOf, type Writing, type WrittenCall } from './written-call.ts'

/** How calls are written whose parameters stand in tags. */
interface Tags {
  /** Without one, there is one call, and it begins with the name. */
  open?: string
  name: RegExp
  close: string
  parameter: string
  /** Between the name of a parameter and its value. May find that the value is a string whatever the schema says. */
  middle: RegExp
  end: string
}

type Named = ChatCompletionFunctionTool['function']

/** Qwen3-Coder, Seed. Llama 3 has the JSON of the arguments in place of the parameters. */
const functionTags: Tags = {
  open: '<function=',
  name: /^\s*([\w.-]+)>/,
  close: '</function>',
  parameter: '<parameter=',
  middle: />/,
  end: '</parameter>',
}

/** MiniMax M2; DeepSeek V3.2 has a mark in each tag, and says of each value whether it is a string. */
const invokeTags = (mark: string): Tags => ({
  open: `<${mark}invoke name="`,
  name: /^([\w.-]+)"\s*>/,
  close: `</${mark}invoke>`,
  parameter: `<${mark}parameter name="`,
  middle: /"(?: string="(?<isString>true|false)")?\s*>/,
  end: `</${mark}parameter>`,
})

/** GLM-4.5 and later. */
const keyTags: Tags = {
  name: /^\s*([\w.-]+)\s*(?=<arg_key>|$)/,
  close: '</tool_call>',
  parameter: '<arg_key>',
  middle: /<\/arg_key>\s*<arg_value>/,
  end: '</arg_value>',
}

const tagged = (tags: Tags): Writing => ({
  begins: [`${tags.open ?? ''}*`],
  read: (text, functions) =>
    allOf(tags.open ? partsOf(text, tags.open) : [text], (part) => {
      const [before = '', name = ''] = tags.name.exec(part) ?? []
      const written = functions.get(name)
      const close = part.lastIndexOf(tags.close)
      return written && callWith(tags, written, part.slice(before.length, close < 0 ? part.length : close))
    }),
})

export const qwenCoder = tagged(functionTags)
export const miniMax = tagged(invokeTags(''))
export const deepSeekTags = tagged(invokeTags('｜DSML｜'))
export const glm = tagged(keyTags)

function callWith(tags: Tags, written: Named, body: string): WrittenCall | undefined {
  const { name } = written
  if (body.trim() === '') {
    // A name alone is more likely talk of a function than a call of it.
    return tags.open || !needsAny(written) ? { name, arguments: '{}' } : undefined
  }
  if (!body.includes(tags.parameter)) return callOf(name, body, new Map([[name, written]]))
  const values: [string, unknown][] = []
  for (const parameter of between(body, tags.parameter, tags.end)) {
    const middle = tags.middle.exec(parameter)
    if (!middle) return undefined
    const key = parameter.slice(0, middle.index)
    const value = parameter.slice(middle.index + middle[0].length).replace(/^\n/, '')
    const text = value.endsWith('\n') ? value.slice(0, -1) : value
    values.push([key, middle.groups?.isString === 'true' ? text : typed(text, key, written)])
  }
  return { name, arguments: JSON.stringify(Object.fromEntries(values)) }
}

const needsAny = ({ parameters }: Named) => Array.isArray(parameters?.required) && parameters.required.length > 0

/** What stands between these, wherever they are. What is not closed goes on to the end. */
function* between(text: string, open: string, close: string): Generator<string> {
  let at = text.indexOf(open)
  while (at !== -1) {
    const end = text.indexOf(close, at)
    yield text.slice(at + open.length, end < 0 ? text.length : end)
    at = end < 0 ? -1 : text.indexOf(open, end)
  }
}

/** Text between tags has no type; the schema of the parameter says whether it is one. */
function typed(text: string, key: string, { parameters }: Named): unknown {
  const properties = isRecord(parameters?.properties) ? parameters.properties : {}
  const types = typesOf(properties[key])
  if (types.includes('string')) return text === 'null' && types.includes('null') ? null : text
  const value = parsed(text)
  if (value !== undefined || types.length === 0) return value === undefined ? text : value
  const literal = new LiteralReader(text).only()
  return literal === undefined ? text : literal
}

function typesOf(schema: unknown): unknown[] {
  if (!isRecord(schema)) return []
  const others = [schema.anyOf ?? [], schema.oneOf ?? []].flat()
  return [schema.type ?? [], ...others.map((other) => (isRecord(other) ? (other.type ?? []) : []))].flat()
}
