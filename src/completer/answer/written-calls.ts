import { anyOf } from './marks.ts'
import type { Functions, WrittenCall } from './written-call.ts'
import { callsOf, type Form, forms, mayBecomeCalls, whole, withoutBlanks } from './written-forms.ts'

const formOf = new Map(forms.map((form) => [form.open, form]))
const openings = [...formOf.keys()]
const anyOpening = new RegExp(anyOf(openings), 'g')
/** An opening that an answer speaks of stands in quotes or in code. */
const quote = /["'`“]/
const longestOpening = Math.max(...openings.map(({ length }) => length))
const mayOpen = /[<[`]/
/** What comes after an opening shows within this many characters whether it can be a call. */
const longestStart = 200

/**
 * Finds the calls that a model has written into its answer because its server, or itself, knows no better. Only calls
 * of functions that the request had are any: everything else stays text. Text passes at once but for what may become
 * the opening of a call, and what comes after one until it is closed or cannot be a call. The whole answer may also be
 * a call and nothing else; it is held back while it looks like that.
 */
export class WrittenCallReader {
  readonly calls: WrittenCall[] = []
  readonly #functions: Functions
  #state: 'text' | Form = whole
  #held = ''
  /** The end of what is held, in which a close may have begun. */
  #tail = ''
  /** The last character of the text that has passed. */
  #before = ''
  /** Whether an opening in quotes has passed, and nothing after it but blanks. */
  #isQuoted = false

  constructor(functions: Functions) {
    this.#functions = functions
  }

  /** What is certain to be text. */
  push(text: string): string {
    if (this.#state !== 'text') return this.#read(text)
    if (this.#held !== '' || mayOpen.test(text)) return this.#read(this.#held + text)
    // The common case: there is nothing to look for.
    this.#pass(text)
    return text
  }

  /** What was held back and is no call. `isCutOff`: the model had no more tokens. */
  end(isCutOff: boolean): string {
    const held = this.#held
    const state = this.#state
    this.#asText('', '')
    if (state === 'text') return held
    const calls = isCutOff ? undefined : callsOf(state, held, this.#functions)
    if (!calls) return state.open + held
    this.calls.push(...calls)
    return ''
  }

  #read(text: string): string {
    let said = ''
    for (let rest = text; rest !== ''; ) {
      const step: Step = this.#state === 'text' ? this.#search(rest) : this.#readCall(this.#state, rest)
      said += step.said
      rest = step.rest
    }
    return said
  }

  /** Looks for the next opening. */
  #search(text: string): Step {
    let from = 0
    for (const { 0: open, index } of text.matchAll(anyOpening)) {
      const form = formOf.get(open) as Form
      this.#pass(text.slice(from, index))
      // One within one that is spoken of is spoken of too.
      this.#isQuoted ||= quote.test(this.#before)
      from = index + open.length
      const rest = text.slice(from)
      if (!this.#isQuoted && this.#fits(form, rest)) {
        this.#state = form
        this.#held = ''
        this.#tail = ''
        return { said: text.slice(0, index), rest }
      }
      this.#before = open.slice(-1)
    }
    const until = text.length - overlapOf(text.slice(from))
    this.#pass(text.slice(from, until))
    this.#held = text.slice(until)
    return { said: text.slice(0, until), rest: '' }
  }

  /** Looks for the end of a call. */
  #readCall(form: Form, text: string): Step {
    const isStart = this.#held.length < longestStart
    this.#held += text
    if (isStart && !this.#fits(form, this.#held)) return this.#asText(form.open, this.#held)
    if (!form.close) return { said: '', rest: '' }
    const seen = this.#tail + text
    this.#tail = seen.slice(1 - form.close.length)
    if (!seen.includes(form.close)) return { said: '', rest: '' }
    const at = this.#held.indexOf(form.close)
    const body = this.#held.slice(0, at)
    const rest = this.#held.slice(at + form.close.length)
    const calls = callsOf(form, body, this.#functions)
    if (!calls) return this.#asText(form.open + body + form.close, rest)
    this.calls.push(...calls)
    return this.#asText('', rest)
  }

  /** Whether what has come after the opening may still be a call. */
  #fits(form: Form, text: string): boolean {
    const start = withoutBlanks(text.slice(0, longestStart))
    if (start === '') return text.length < longestStart
    return mayBecomeCalls(form, start, this.#functions)
  }

  #pass(text: string) {
    this.#before = text.at(-1) ?? this.#before
    if (this.#isQuoted && text.trim() !== '') this.#isQuoted = false
  }

  #asText(said: string, rest: string): Step {
    this.#pass(said)
    this.#state = 'text'
    this.#held = ''
    return { said, rest }
  }
}

/** What is certain to be text, and what comes after it and is to be looked at yet. */
interface Step {
  said: string
  rest: string
}

/** How much of the end of a text may become an opening. */
function overlapOf(text: string): number {
  for (let length = Math.min(text.length, longestOpening - 1); length > 0; length--) {
    const end = text.slice(-length)
    if (openings.some((open) => open.startsWith(end))) return length
  }
  return 0
}
