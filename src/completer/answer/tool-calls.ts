import { isDeepStrictEqual } from 'node:util'
import { type CompletionChunk, CompletionError, type Reasoning } from '../completer.ts'
import { ArgumentsReader } from './arguments.ts'
import { parsedObject } from './json-object.ts'
import { isRecord } from './raw.ts'

type ToolCallChunk = Extract<CompletionChunk, { type: 'tool_call' }>

interface Fragment {
  index: number | undefined
  id: string
  name: string
  arguments: string
  extra_content: unknown
}

interface Call {
  /** As we count; servers count as they like, or not at all. */
  index: number
  given: number | undefined
  id: string
  name: string
  /** What could not go out because the name had not come. */
  held: string
  isOut: boolean
  arguments: ArgumentsReader
  extra_content: unknown
}

/** Each fragment is held against all calls before it. */
const mostCalls = 1000

/**
 * Tells which call each fragment is of. By OpenAI's rules its `index` says so, and `id` and `name` come once. But
 * Ollama, SGLang and others number all calls 0, Gemini numbers none, some send an id or a name with each fragment, or
 * a new id each time. So a fragment begins a call if it names one, unless it goes on with the one that is at its place.
 * Arguments may also be an object, and ids are not needed: each call gets one of ours.
 */
export class ToolCallReader {
  readonly #calls: Call[] = []

  get hasCalls(): boolean {
    return this.#calls.length > 0
  }

  /** All that the model has written of them. */
  get text(): string {
    return this.#calls.map((call) => call.name + call.arguments.text).join('')
  }

  /** What came with calls beside their arguments and is wanted back: Gemini's signature of its thoughts. */
  get extras(): Reasoning['calls'] {
    const given = this.#calls.filter(({ extra_content }) => extra_content !== undefined)
    return Object.fromEntries(given.map(({ index, extra_content }) => [index, { extra_content }]))
  }

  /** A whole call from elsewhere, if it is not there already. */
  add(call: { name: string; arguments: string }): ToolCallChunk[] {
    const isSame = ({ name, arguments: { text } }: Call) => name === call.name && isAlike(text, call.arguments)
    if (this.#calls.some(isSame)) return []
    const begun = this.#begin({ ...call, id: '', index: undefined, extra_content: undefined })
    begun.name = call.name
    return this.#sent(begun, begun.arguments.push(call.arguments))
  }

  push(raw: unknown): ToolCallChunk[] {
    const fragment = fragmentIn(raw)
    const at = this.#placeOf(fragment)
    if (!at && fragment.id + fragment.name + fragment.arguments === '') return []
    const call = at && !this.#isFurther(at, fragment) ? at : this.#begin(fragment)
    call.id ||= fragment.id
    call.name ||= fragment.name
    call.extra_content ??= fragment.extra_content
    const piece = call.arguments.push(fragment.arguments)
    return this.#sent(call, piece)
  }

  /** What was held back of all calls. `isCutOff`: the model had no more tokens. */
  end(isCutOff: boolean): ToolCallChunk[] {
    return this.#calls.flatMap((call) => {
      const rest = call.held + call.arguments.end(isCutOff)
      call.held = ''
      if (call.isOut && rest === '') return []
      return [chunkOf(call, rest)]
    })
  }

  #placeOf({ index, id, name }: Fragment): Call | undefined {
    const last = this.#calls.at(-1)
    if (index !== undefined) {
      const same = this.#calls.findLast(({ given }) => given === index)
      // A fragment without a name begins nothing, whatever its number.
      return same ?? (name === '' ? last : undefined)
    }
    return (id !== '' && this.#calls.findLast((call) => call.id === id)) || last
  }

  #isFurther(at: Call, { id, name, arguments: text }: Fragment): boolean {
    if (name === '' || at.name === '') return false
    const goesOn = name === at.name && at.arguments.isOpen
    if (id !== '' && at.id !== '' && id !== at.id) return !goesOn
    if (!at.arguments.isComplete) return name !== at.name
    // The whole call once more, at the end of it or of all of them.
    return !this.#calls.some((call) => call.name === name && (text === '' || call.arguments.text === text))
  }

  #begin({ index, id, extra_content }: Fragment): Call {
    if (this.#calls.length === mostCalls) {
      throw new CompletionError('server_error', `The model called tools more than ${mostCalls} times in one answer.`)
    }
    const call: Call = {
      index: this.#calls.length,
      given: index,
      id,
      name: '',
      held: '',
      isOut: false,
      arguments: new ArgumentsReader(),
      extra_content,
    }
    this.#calls.push(call)
    return call
  }

  #sent(call: Call, piece: string): ToolCallChunk[] {
    const text = call.held + piece
    if (call.name === '') {
      call.held = text
      return []
    }
    call.held = ''
    return call.isOut && text === '' ? [] : [chunkOf(call, text)]
  }
}

/** Whether these mean the same: blanks and the order of keys are the server's. */
const isAlike = (text: string, other: string) =>
  text === other || isDeepStrictEqual(parsedObject(text) ?? text, parsedObject(other) ?? other)

/** The first one of a call has its name. */
function chunkOf(call: Call, text: string): ToolCallChunk {
  const { index, name, isOut } = call
  call.isOut = true
  return { type: 'tool_call', index, ...(!isOut && { name }), arguments: text }
}

function fragmentIn(raw: unknown): Fragment {
  const call = isRecord(raw) ? raw : {}
  const given = isRecord(call.function) ? call.function : call
  const index = Number(call.index ?? Number.NaN)
  return {
    index: Number.isInteger(index) ? index : undefined,
    id: typeof call.id === 'string' ? call.id : '',
    name: typeof given.name === 'string' ? given.name : '',
    arguments: textOf(given.arguments),
    extra_content: isRecord(call.extra_content) ? call.extra_content : undefined,
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === null || value === undefined ? '' : JSON.stringify(value)
}
