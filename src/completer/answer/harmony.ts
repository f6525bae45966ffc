import { anyOf } from './marks.ts'

const opens = ['<|channel|>', '<|start|>assistant'] as const
const bodyMark = '<|message|>'
/** The last one stands where a message lacks its end. */
const endMarks = ['<|end|>', '<|return|>', '<|call|>', '<|start|>assistant'] as const
const anyEnd = new RegExp(anyOf(endMarks))
const longestHeader = 300

/** Whether a text is the beginning of one of these. */
const begins = (text: string, wholes: readonly string[]) => wholes.some((whole) => whole.startsWith(text))

/**
 * Reads gpt-oss's messages, of which some servers send the marks as they are: `<|channel|>analysis<|message|>…<|end|>`
 * and so on. What is in the channel `analysis` is thought, what is in `commentary` and `final` is the answer. A message
 * to a function stays as it is, for whoever looks for calls. An answer that does not begin with a mark is not of this
 * kind, and passes at once.
 */
export class HarmonyReader {
  /** What was kept out of the answer. */
  thought = ''
  #state: 'start' | 'other' | 'between' | 'thought' | 'answer' | 'call' = 'start'
  #held = ''

  push(text: string): string {
    if (this.#state === 'other') return text
    let said = ''
    for (let rest: string | undefined = this.#held + text; rest !== undefined; ) {
      this.#held = ''
      const step: Step = this.#isWithin ? this.#readBody(rest) : this.#readHeader(rest)
      said += step.said
      rest = step.rest
    }
    return said
  }

  /** What was held back. */
  end(): string {
    const held = this.#held
    this.#held = ''
    if (this.#state !== 'thought') return held
    this.thought += held
    return ''
  }

  get #isWithin(): boolean {
    return this.#state !== 'start' && this.#state !== 'between'
  }

  /** What comes before a body, or is no message. */
  #readHeader(text: string): Step {
    const header = text.trimStart()
    const at = header.slice(0, longestHeader).indexOf(bodyMark)
    const isOpen = opens.some((open) => header.startsWith(open))
    if (isOpen ? at < 0 && header.length < longestHeader : text.length < longestHeader && begins(header, opens)) {
      this.#held = text
      return { said: '' }
    }
    if (!isOpen || at < 0) {
      const isFirst = this.#state === 'start'
      this.#state = isFirst ? 'other' : 'answer'
      if (isFirst) return { said: text }
      // The mark of no message must not be met again.
      const said = isOpen ? text.slice(0, text.indexOf('<') + 1) : ''
      return { said, rest: text.slice(said.length) }
    }
    const end = at + bodyMark.length
    const isCall = /\bto=(?!assistant)/.test(header.slice(0, at))
    if (isCall) this.#state = 'call'
    // A header may have been begun again, and the last one counts.
    else this.#state = header.slice(0, at).split('<|channel|>').at(-1)?.startsWith('analysis') ? 'thought' : 'answer'
    return { said: isCall ? text.slice(0, text.length - header.length + end) : '', rest: header.slice(end) }
  }

  #readBody(text: string): Step {
    const mark = anyEnd.exec(text)
    const open = text.lastIndexOf('<')
    const isBegun = !mark && open >= 0 && begins(text.slice(open), endMarks)
    const body = text.slice(0, mark?.index ?? (isBegun ? open : text.length))
    if (this.#state === 'thought') this.thought += body
    const said = this.#state === 'thought' ? '' : body
    if (!mark) {
      this.#held = text.slice(body.length)
      return { said }
    }
    const isEnd = mark[0] !== '<|start|>assistant'
    const end = isEnd && this.#state === 'call' ? mark[0] : ''
    this.#state = 'between'
    return { said: said + end, rest: text.slice(mark.index + (isEnd ? mark[0].length : 0)) }
  }
}

/** What belongs to the answer, and what comes after it and is to be looked at yet. */
interface Step {
  said: string
  rest?: string
}
