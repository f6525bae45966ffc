import { isRecord } from './raw.ts'

type Expected =
  | 'start'
  | 'key or end'
  | 'key'
  | 'colon'
  | 'value or end'
  | 'value'
  | 'comma or end'
  | 'text'
  | 'escape'
  | 'word'
  | 'nothing'

const isBlank = (character: string) =>
  character === ' ' || character === '\n' || character === '\r' || character === '\t'

/** The first half of a surrogate pair, whose second is yet to come. */
const isHalf = (character: string) => character.length === 1 && character >= '\ud800' && character <= '\udbff'

/** A number, `true`, `false` or `null`. */
const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/
const wholeEscape = /^(?:["\\/bfnrt]|u[\da-fA-F]{4})$/
const growingEscape = /^u[\da-fA-F]{0,3}$/

/**
 * Reads the text of a JSON object as it comes, by the letter of the standard, and says how much of it is beyond doubt:
 * what would also begin the text once it was repaired. A closing quote, a comma and a word are in doubt until what
 * follows them is right, since a quote may have lacked its backslash and a comma may be one too many.
 */
export class JsonObjectReader {
  #expected: Expected = 'start'
  /** What closes what is open, the innermost last. */
  #closers: ('}' | ']')[] = []
  #inKey = false
  /** The escape or the word that is being read. */
  #piece = ''
  #length = 0
  #sure = 0
  #broken = false

  /** The number of characters that are beyond doubt. */
  get sure(): number {
    return this.#sure
  }

  /** Whether the object has ended, whatever has come after it. */
  get isComplete(): boolean {
    return this.#expected === 'nothing'
  }

  /** Whether something has come that the standard does not allow. */
  get isBroken(): boolean {
    return this.#broken
  }

  /** The brackets that are missing at the end; undefined if that is not all that is missing. */
  get missing(): string | undefined {
    if (this.#broken || this.#closers.length === 0) return undefined
    const afterValue = this.#expected === 'comma or end' || (this.#expected === 'word' && word.test(this.#piece))
    return afterValue ? this.#closers.toReversed().join('') : undefined
  }

  push(text: string) {
    if (this.#broken) return
    for (const character of text) {
      if (!this.#read(character)) {
        this.#broken = true
        return
      }
      this.#length += character.length
      if (this.#isSure(character)) this.#sure = this.#length
    }
  }

  #isSure(last: string): boolean {
    switch (this.#expected) {
      case 'text':
        return !isHalf(last)
      case 'escape':
      case 'word':
      case 'key':
        return false
      case 'colon':
      case 'comma or end':
        return last === '}' || last === ']'
      case 'value':
        return last === ':'
      case 'nothing':
        return last === '}'
      default:
        return !isBlank(last)
    }
  }

  #read(character: string): boolean {
    if (this.#expected === 'text') return this.#readText(character)
    if (this.#expected === 'escape') return this.#readEscape(character)
    if (this.#expected === 'word') return this.#readWord(character)
    if (isBlank(character)) return true
    switch (this.#expected) {
      case 'start':
        return character === '{' && this.#open('}')
      case 'key or end':
        return character === '}' ? this.#close(character) : this.#readKey(character)
      case 'key':
        return this.#readKey(character)
      case 'colon':
        this.#expected = 'value'
        return character === ':'
      case 'value or end':
        return character === ']' ? this.#close(character) : this.#readValue(character)
      case 'value':
        return this.#readValue(character)
      case 'comma or end':
        return this.#readEnd(character)
      default:
        return false
    }
  }

  #open(closer: '}' | ']'): true {
    this.#closers.push(closer)
    this.#expected = closer === '}' ? 'key or end' : 'value or end'
    return true
  }

  #close(character: string): boolean {
    const closer = this.#closers.pop()
    this.#expected = this.#closers.length === 0 ? 'nothing' : 'comma or end'
    return closer === character
  }

  #readKey(character: string): boolean {
    this.#inKey = true
    this.#expected = 'text'
    return character === '"'
  }

  #readValue(character: string): boolean {
    if (character === '{') return this.#open('}')
    if (character === '[') return this.#open(']')
    if (character === '"') {
      this.#inKey = false
      this.#expected = 'text'
      return true
    }
    this.#piece = character
    this.#expected = 'word'
    return /[-\dtfn]/.test(character)
  }

  #readText(character: string): boolean {
    if (character === '"') {
      this.#expected = this.#inKey ? 'colon' : 'comma or end'
    } else if (character === '\\') {
      this.#piece = ''
      this.#expected = 'escape'
    }
    return character >= ' '
  }

  #readEscape(character: string): boolean {
    this.#piece += character
    if (growingEscape.test(this.#piece)) return true
    this.#expected = 'text'
    return wholeEscape.test(this.#piece)
  }

  #readWord(character: string): boolean {
    if (/[-+.\w]/.test(character)) {
      this.#piece += character
      return true
    }
    this.#expected = 'comma or end'
    return word.test(this.#piece) && (isBlank(character) || this.#readEnd(character))
  }

  #readEnd(character: string): boolean {
    if (character !== ',') return (character === '}' || character === ']') && this.#close(character)
    this.#expected = this.#closers.at(-1) === '}' ? 'key' : 'value'
    return true
  }
}

/** The value of a text that is the JSON of an object. */
export function parsedObject(text: string): Record<string, unknown> | undefined {
  const value = parsed(text)
  return isRecord(value) ? value : undefined
}

/** How a value ends: a bracket, a quote, a number or a word. */
const lastOfValue = /[\]}"\del]/

export function parsed(text: string): unknown {
  // An error costs as much as a thousand characters.
  if (!lastOfValue.test(text.trimEnd().slice(-1))) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
