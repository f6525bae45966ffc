import { isRecord, type RawDelta, textIn } from './raw.ts'

/** Of the two names that servers have for the same, vLLM sends both for a while. */
const names = ['reasoning_content', 'reasoning'] as const

/** What a backend sends of its thoughts apart from the answer, in its own form: that is how it may want them back. */
export class ReasoningReader {
  /** For counting: what is read by nobody. */
  text = ''
  #name: (typeof names)[number] | undefined
  readonly #details: Record<string, unknown>[] = []

  /** Whether there were any thoughts in it. */
  push(delta: RawDelta): boolean {
    for (const detail of [delta.reasoning_details ?? []].flat()) if (isRecord(detail)) this.#addDetail(detail)
    // An empty text counts: DeepSeek sends one where nothing was thought, and wants it back.
    const name = names.find((one) => delta[one]) ?? names.find((one) => typeof delta[one] === 'string')
    if (!name) return false
    this.#name ??= name
    const text = textIn(delta[name])
    this.text += text
    return text !== ''
  }

  /** To be part of the message when that is sent back. The details of OpenRouter say all that its text says, and more. */
  get message(): Record<string, unknown> {
    if (this.#details.length > 0) return { reasoning_details: this.#details }
    return this.#name ? { [this.#name]: this.text } : {}
  }

  /** One of them comes in pieces, with its signature in the last. */
  #addDetail(detail: Record<string, unknown>) {
    const last = this.#details.at(-1)
    const goesOn = last && last.type === detail.type && last.index === detail.index && last.index !== undefined
    if (!goesOn) {
      this.#details.push({ ...detail })
      return
    }
    for (const [key, value] of Object.entries(detail)) {
      const isPiece = pieces.includes(key) && typeof value === 'string' && typeof last[key] === 'string'
      if (isPiece) last[key] += value
      else if (value !== null) last[key] = value
    }
  }
}

const pieces = ['text', 'summary', 'data']
