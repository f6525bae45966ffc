import { withoutFence } from './json-repair.ts'
import { callsIn, type Form, type Functions, forms, type WrittenCall } from './written-forms.ts'

const formOf = new Map(forms.map((form) => [form.open, form]))
const openings = [...formOf.keys()]
const anyOpening = new RegExp(openings.map((open) => open.replace(/[|[\]]/g, '\\$&')).join('|'), 'g')
const longestOpening = Math.max(...openings.map(({ length }) => length))
const mayOpen = /[<[]/
/** What comes after an opening shows within this many characters whether it can be a call. */
const longestStart = 100

/**
 * Finds the calls that a model has written into its answer because its server, or itself, knows no better. Only calls
 * of functions that the request had are any: everything else stays text. Text passes at once but for what may become
 * the opening of a call, and what comes after one until it is closed or cannot be a call. The whole answer may also be
 * the JSON of calls and nothing else, in a code fence or without; it is held back while it looks like that.
 */
export class WrittenCallReader {
  readonly calls: WrittenCall[] = []
  readonly #functions: Functions
  #state: 'start' | 'whole' | 'text' | Form = 'start'
  #held = ''
  /** The end of what is held, in which a close may have begun. */
  #tail = ''

  constructor(functions: Functions) {
    this.#functions = functions
  }

  /** What is certain to be text. */
  push(text: string): string {
    switch (this.#state) {
      case 'text':
        // The common case: there is nothing to look for.
        if (this.#held === '' && !mayOpen.test(text)) return text
        return this.#read(this.#held + text)
      case 'start':
        return this.#start(this.#held + text)
      case 'whole':
        this.#held += text
        return ''
      default:
        return this.#read(text)
    }
  }

  /** What was held back and is no call. `isCutOff`: the model had no more tokens. */
  end(isCutOff: boolean): string {
    const held = this.#held
    const state = this.#state
    this.#held = ''
    this.#state = 'text'
    if (state === 'text' || state === 'start') return held
    const form = state === 'whole' ? undefined : state
    const written = form ? held : withoutFence(held)
    const calls = isCutOff ? undefined : (form?.read ?? callsIn)(written, this.#functions)
    if (!calls) return (form?.open ?? '') + held
    this.calls.push(...calls)
    return ''
  }

  #start(text: string): string {
    if (text.trim() === '') {
      this.#held = text
      return ''
    }
    const fit = this.#fitOfWhole(text)
    if (fit === 'no') {
      this.#state = 'text'
      return this.#read(text)
    }
    if (fit === 'yes') this.#state = 'whole'
    this.#held = text
    return ''
  }

  /** Whether an answer that begins with this may be the JSON of a call from its beginning to its end. */
  #fitOfWhole(text: string): 'yes' | 'perhaps' | 'no' {
    if (!/^\s*[{[`]/.test(text)) return 'no'
    const bare = text.replace(/\s+/g, '')
    const names = [...this.#functions.keys()].map((name) => `{"name":"${name}"`)
    for (const fence of ['', '```', '```json']) {
      for (const list of ['', '[']) {
        for (const call of [...names, '{"type":"function"', '{"function":{', '{"arguments":{', '{"parameters":{']) {
          const whole = fence + list + call
          if (bare.startsWith(whole)) return 'yes'
          if (whole.startsWith(bare)) return 'perhaps'
        }
      }
    }
    return 'no'
  }

  #read(text: string): string {
    let said = ''
    for (let rest = text; rest !== ''; ) {
      const step: Step = typeof this.#state === 'string' ? this.#search(rest) : this.#readCall(this.#state, rest)
      said += step.said
      rest = step.rest
    }
    return said
  }

  /** Looks for the next opening. */
  #search(text: string): Step {
    this.#held = ''
    let from = 0
    for (const { 0: open, index } of text.matchAll(anyOpening)) {
      const form = formOf.get(open) as Form
      from = index + open.length
      const rest = text.slice(from)
      if (!form.fits(rest, this.#functions)) continue
      this.#state = form
      this.#tail = ''
      return { said: text.slice(0, index), rest }
    }
    this.#state = 'text'
    const until = text.length - overlapOf(text.slice(from))
    this.#held = text.slice(until)
    return { said: text.slice(0, until), rest: '' }
  }

  /** Looks for the end of a call. */
  #readCall(form: Form, text: string): Step {
    const isStart = this.#held.length < longestStart
    this.#held += text
    if (isStart && !form.fits(this.#held, this.#functions)) return this.#asText(form.open, this.#held)
    if (!form.close) return { said: '', rest: '' }
    const seen = this.#tail + text
    this.#tail = seen.slice(1 - form.close.length)
    if (!seen.includes(form.close)) return { said: '', rest: '' }
    const at = this.#held.indexOf(form.close)
    const body = this.#held.slice(0, at)
    const rest = this.#held.slice(at + form.close.length)
    const calls = form.read(body, this.#functions)
    if (!calls) return this.#asText(form.open + body + form.close, rest)
    this.calls.push(...calls)
    return this.#asText('', rest)
  }

  #asText(said: string, rest: string): Step {
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
