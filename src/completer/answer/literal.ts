/** Those in angle brackets are FunctionGemma's and Gemma 4's, and know no escapes. */
const quotes = ['"""', "'''", '"', "'", '<escape>', '<|"|>'] as const
const words = new Map<string, unknown>([
  ...([
    ['True', true],
    ['true', true],
    ['False', false],
  ] as const),
  ...([
    ['false', false],
    ['None', null],
    ['null', null],
  ] as const),
])
const blanks = /\s*/y
const nameOrNumber = /[-+.\w]+/y
const number = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/
const anyEscape = /\\(?:u([\da-fA-F]{4})|x([\da-fA-F]{2})|(.))/gs
const escapes: Record<string, string> = {
  ...{ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', 0: '\0' },
  ...{ '\\': '\\', "'": "'", '"': '"', '/': '/', '\n': '' },
}
const deepest = 100

/**
 * Reads literals as Python has them, and as JSON has them; keys may stand without quotes. Whatever cannot be read is
 * undefined.
 */
export class LiteralReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#skip(blanks) && this.#at === this.#text.length
  }

  /** Goes beyond a mark if it is next. */
  take(mark: string): boolean {
    this.#skip(blanks)
    if (!this.#text.startsWith(mark, this.#at)) return false
    this.#at += mark.length
    return true
  }

  /** A name or a number. */
  word(): string | undefined {
    this.#skip(blanks)
    const from = this.#at
    return this.#skip(nameOrNumber) ? this.#text.slice(from, this.#at) : undefined
  }

  /** The value that is all of the text. */
  only(): unknown {
    const value = this.value()
    return this.isAtEnd ? value : undefined
  }

  value(depth = 0): unknown {
    if (depth > deepest) return undefined
    const quote = quotes.find((one) => this.take(one))
    if (quote) return this.#string(quote)
    if (this.take('{')) return this.entries(':', '}', depth)
    if (this.take('[')) return this.#list(']', depth)
    if (this.take('(')) return this.#list(')', depth)
    const word = this.word() ?? ''
    return number.test(word) ? Number(word) : words.get(word)
  }

  /** Names and values up to what closes them. */
  entries(middle: string, close: string, depth = 0): Record<string, unknown> | undefined {
    const all: [string, unknown][] = []
    const isRead = this.#each(close, () => {
      const quote = quotes.find((one) => this.take(one))
      const key = quote ? this.#string(quote) : this.word()
      const value = key !== undefined && this.take(middle) ? this.value(depth + 1) : undefined
      if (key !== undefined) all.push([key, value])
      return value !== undefined
    })
    return isRead ? Object.fromEntries(all) : undefined
  }

  #list(close: string, depth: number): unknown[] | undefined {
    const all: unknown[] = []
    return this.#each(close, () => all.push(this.value(depth + 1)) > 0 && all.at(-1) !== undefined) ? all : undefined
  }

  /** Reads what commas part, up to what closes it; the last may have one too. */
  #each(close: string, read: () => boolean): boolean {
    while (!this.take(close)) {
      if (!read()) return false
      if (!this.take(',')) return this.take(close)
    }
    return true
  }

  #string(quote: (typeof quotes)[number]): string | undefined {
    const from = this.#at
    const hasEscapes = !quote.startsWith('<')
    for (let at = from; at < this.#text.length; at++) {
      if (hasEscapes && this.#text[at] === '\\') at++
      else if (this.#text.startsWith(quote, at)) {
        this.#at = at + quote.length
        const inner = this.#text.slice(from, at)
        return hasEscapes ? inner.replace(anyEscape, unescaped) : inner
      }
    }
    return undefined
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at
    const isThere = pattern.test(this.#text)
    if (isThere) this.#at = pattern.lastIndex
    return isThere
  }
}

/** As in Python, a backslash before anything else is one. */
function unescaped(whole: string, long: string | undefined, short: string | undefined, one: string | undefined) {
  const code = long ?? short
  return code === undefined ? (escapes[one ?? ''] ?? whole) : String.fromCharCode(Number.parseInt(code, 16))
}
