import { BoundedMap, mostModels } from '../../bounded-map.ts'
import { anyOf } from './marks.ts'

/** What models think is between these. `<thought>` is Gemini's, `[THINK]` Mistral's, the last are Seed's, Cohere's, Gemma 4's. */
const tags = [
  ['<think>', '</think>'],
  ['<thinking>', '</thinking>'],
  ['<thought>', '</thought>'],
  ['[THINK]', '[/THINK]'],
  ['<seed:think>', '</seed:think>'],
  ['<|START_THINKING|>', '<|END_THINKING|>'],
  ['<|channel>thought', '<channel|>'],
] as const

const anyOpen = new RegExp(anyOf(tags.map(([open]) => open)))
/** One that an answer speaks of stands in quotes or in code. */
const anyClose = new RegExp(`(?<!["'\`“])(?:${anyOf(tags.map(([, close]) => close))})`)
/** Blanks before a tag are few; a model that goes on writing blanks is not about to write one. */
const mostBlanks = 1000
const longestTag = Math.max(...tags.flat().map(({ length }) => length))

/** Whether a text is the beginning of something longer. */
const begins = (text: string, whole: string) => text.length < whole.length && whole.startsWith(text)

/**
 * Keeps what the model thinks out of the answer. Thoughts are at the beginning of an answer, between tags, in one block
 * or several; further on, a tag is something that the answer speaks of. What is not closed is thought to the end. Of
 * the text, only what may become a tag is held back.
 *
 * Some chat templates write the opening tag themselves, and then the answer begins in the middle of a thought and only
 * its end can be seen. To be certain of that, the answer would have to be held back until then, so that is done only
 * where `isOpened` says that it is so. Otherwise the text goes out as it comes, and `wasOpened` says afterwards that it
 * began with a thought; what comes before a closing tag in the very first piece is kept out in any case. A closing tag
 * after an opening one is something that the answer speaks of, like one in quotes.
 */
export class ThoughtFilter {
  /** What was kept out. */
  thought = ''
  /** Whether it began within a thought, if it has shown. */
  wasOpened: boolean | undefined
  #state: 'start' | 'thought' | 'opened' | 'answer' = 'start'
  #isOpened: boolean
  #close = ''
  #held = ''
  #hasThought = false
  /** Whether it may still show that it began within a thought. */
  #isWatched = true
  /** The end of the text, in which a tag may have begun. */
  #tail = ''

  constructor(isOpened: boolean) {
    this.#isOpened = isOpened
  }

  /** The server tells thoughts from the answer by itself. */
  thinksElsewhere() {
    this.#isOpened = false
    this.#hasThought = true
  }

  /** What of the text belongs to the answer and is certain now. */
  push(text: string): string {
    switch (this.#state) {
      case 'answer':
        this.#watch(text)
        return text
      case 'opened':
        return this.#thinkOpened(this.#held, text)
      default:
        return this.#read(this.#held + text)
    }
  }

  /** What was held back. `isCutOff`: the model had no more tokens. */
  end(isCutOff: boolean): string {
    const held = this.#held
    this.#held = ''
    if (this.#state === 'thought' || (this.#state === 'opened' && isCutOff)) {
      this.thought += held
      return ''
    }
    if (this.#state === 'opened') this.wasOpened = false
    // After a thought, blanks are what was to part it from an answer.
    if (this.#hasThought && held.trim() === '') return ''
    this.#state = 'answer'
    return held
  }

  /** Thoughts, up to where there are no more. */
  #read(text: string): string {
    let rest = text
    for (;;) {
      if (this.#state === 'thought') {
        const at = rest.indexOf(this.#close)
        if (at === -1) return this.#think(rest)
        this.thought += rest.slice(0, at)
        this.#hasThought = true
        this.#state = 'start'
        rest = rest.slice(at + this.#close.length)
      }
      const said = rest.trimStart()
      const tag = tags.find(([open]) => said.startsWith(open))
      if (!tag) return this.#start(rest, said)
      const [open, close] = tag
      this.#state = 'thought'
      this.#isOpened = false
      this.#close = close
      rest = said.slice(open.length)
    }
  }

  #think(text: string): '' {
    const kept = Math.max(0, text.length - this.#close.length + 1)
    this.thought += text.slice(0, kept)
    this.#held = text.slice(kept)
    return ''
  }

  #start(text: string, said: string): string {
    const mayBeTag = text.length - said.length < mostBlanks && tags.some(([open]) => begins(said, open))
    this.#held = mayBeTag ? text : ''
    if (mayBeTag) return ''
    if (this.#isOpened) {
      this.#state = 'opened'
      return this.#thinkOpened('', text)
    }
    const stray = this.#hasThought ? undefined : strayIn(said)
    if (stray) return this.#afterStray(said, stray)
    this.#state = 'answer'
    this.#isWatched = !this.#hasThought
    this.#watch(said)
    return this.#hasThought ? said : text
  }

  #thinkOpened(before: string, text: string): string {
    this.#held = before + text
    const seen = this.#tail + text
    this.#tail = seen.slice(-longestTag)
    if (!anyClose.test(seen)) return ''
    const stray = strayIn(this.#held)
    if (stray) return this.#afterStray(this.#held, stray)
    this.#isWatched = false
    return this.end(false)
  }

  #afterStray(text: string, { 0: tag, index }: RegExpExecArray): string {
    this.thought += text.slice(0, index)
    this.wasOpened = true
    this.#hasThought = true
    this.#isOpened = false
    this.#state = 'start'
    return this.#read(text.slice(index + tag.length))
  }

  #watch(text: string) {
    if (!this.#isWatched || (this.#tail === '' && !/[<[]/.test(text))) return
    const seen = this.#tail + text
    if (strayIn(seen)) this.wasOpened = true
    this.#isWatched = !this.wasOpened && !anyOpen.test(seen)
    const open = Math.max(seen.lastIndexOf('<'), seen.lastIndexOf('['))
    this.#tail = open >= 0 && seen.length - open < longestTag ? seen.slice(Math.max(0, open - 1)) : ''
  }
}

/** A closing tag that none opens before it. */
function strayIn(text: string): RegExpExecArray | undefined {
  const close = anyClose.exec(text)
  return close && !anyOpen.test(text.slice(0, close.index)) ? close : undefined
}

/** What models are known for; the first answer of one may show otherwise. */
const knownOpened = /(?:^|[^a-z])(?:deepseek-r1|qwq|thinking)(?:[^a-z]|$)/i

/** Which models begin their answers within a thought: by their names at first, then by what their last answer showed. */
export class ThinkingModels {
  readonly #opened = new BoundedMap<string, boolean>(mostModels)

  areOpened(model: string): boolean {
    return this.#opened.get(model) ?? knownOpened.test(model)
  }

  learn(model: string, { wasOpened }: ThoughtFilter) {
    if (wasOpened === undefined || wasOpened === this.areOpened(model)) return
    this.#opened.set(model, wasOpened)
  }
}
