import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { parsedObject } from './json-object.ts'
import { repairedObject } from './json-repair.ts'

export interface WrittenCall {
  name: string
  arguments: string
}

/** The functions that the request had, by name. */
export type Functions = ReadonlyMap<string, ChatCompletionFunctionTool['function']>

/** A language in which models write calls. */
export interface Writing {
  /** What calls may begin with, blanks aside; `*` is the name of a function. */
  begins: readonly string[]
  /** The calls in a text; undefined if it is anything else, or one of them is of no function. */
  read(text: string, functions: Functions): WrittenCall[] | undefined
}

/** A mark of the end of a turn or of a call, which some servers let through. */
const endMark = /(?:<[|｜][a-z_▁]{1,20}[|｜]>|<\/s>|<end_of_turn>)$/

export function withoutEndMarks(text: string): string {
  let rest = text.trim()
  for (let mark = endMark.exec(rest.slice(-24)); mark; mark = endMark.exec(rest.slice(-24))) {
    rest = rest.slice(0, -mark[0].length).trimEnd()
  }
  return rest
}

export function callOf(name: string, json: string, functions: Functions): WrittenCall | undefined {
  if (!functions.has(name)) return undefined
  const object = parsedObject(json) ? json.trim() : repairedObject(json)
  return object === undefined ? undefined : { name, arguments: object }
}

/** What each of several is a call of; undefined if there are none, or one is none. */
export function allOf<T>(parts: readonly T[], read: (part: T) => WrittenCall | undefined): WrittenCall[] | undefined {
  const calls: WrittenCall[] = []
  for (const part of parts) {
    const call = read(part)
    if (!call) return undefined
    calls.push(call)
  }
  return calls.length > 0 ? calls : undefined
}

/** The parts of a text that a mark parts, but for blank ones. */
export const partsOf = (text: string, mark: string) => text.split(mark).filter((part) => part.trim() !== '')
