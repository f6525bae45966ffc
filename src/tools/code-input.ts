const escaped: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/**
 * Finds the code in the arguments of a call as the model writes them: `{"code": "…"}`, or a JSON string, or, as small
 * models write it, nothing but the code. Escapes that JSON does not know stay as they are, and so do line ends that
 * should have been escaped: models forget what they write into.
 */
export class CodeInput {
  #state: 'before' | 'object' | 'json' | 'bare' | 'over' = 'before'
  #held = ''
  readonly #scan = new CodeFinder()

  /** The code that is certain now. */
  push(piece: string): string {
    this.#held += piece
    if (this.#state === 'before') this.#begin()
    if (this.#state === 'object') this.#seek()
    if (this.#state === 'json') return this.#whole(this.#decoded())
    if (this.#state === 'bare') return this.#whole(this.#taken(this.#held.length))
    return ''
  }

  #begin() {
    const at = this.#held.search(/\S/)
    if (at < 0) return
    const first = this.#held[at]
    if (first === '{') this.#state = 'object'
    // Python may begin with three of them, and a JSON text that is shorter has no code.
    else if (first === '"' && this.#held.length < at + 3) return
    else if (first === '"' && !this.#held.startsWith('"""', at)) {
      this.#state = 'json'
      this.#taken(at + 1)
    } else this.#state = 'bare'
  }

  #seek() {
    for (let at = 0; at < this.#held.length; at++) {
      if (!this.#scan.isAtCode(this.#held[at] ?? '')) continue
      this.#state = 'json'
      this.#taken(at + 1)
      return
    }
    this.#held = ''
  }

  #decoded(): string {
    let code = ''
    for (;;) {
      const plain = /^[^"\\]*/.exec(this.#held)?.[0] ?? ''
      code += this.#taken(plain.length)
      const [sign, letter] = this.#held
      if (sign === '"') {
        this.#state = 'over'
        this.#held = ''
      }
      if (sign !== '\\' || letter === undefined) return code
      if (letter !== 'u') {
        const known = escaped[letter]
        this.#taken(known === undefined ? 1 : 2)
        code += known ?? '\\'
      } else if (this.#held.length >= 6) {
        const digits = /^[0-9a-f]{4}/i.exec(this.#held.slice(2))?.[0]
        this.#taken(digits ? 6 : 2)
        code += digits ? String.fromCharCode(Number.parseInt(digits, 16)) : '\\u'
      } else return code
    }
  }

  /** The first half of a surrogate pair waits for the second. */
  #whole(code: string): string {
    if (!/[\ud800-\udbff]$/.test(code)) return code.toWellFormed()
    if (this.#state !== 'over') this.#held = code.slice(-1) + this.#held
    return code.slice(0, -1).toWellFormed()
  }

  #taken(length: number): string {
    const taken = this.#held.slice(0, length)
    this.#held = this.#held.slice(length)
    return taken
  }
}

/** Reads an object up to the first character of the value of its key `code`, whatever there is before that. */
class CodeFinder {
  #depth = 0
  #isInText = false
  #isEscaped = false
  #isKey = false
  /** The last key of the object itself. */
  #key = ''

  /** Takes one character after the other; true at the quotation mark before the code. */
  isAtCode(sign: string): boolean {
    if (this.#isInText) this.#read(sign)
    else if (sign === '"') {
      if (this.#depth === 1 && !this.#isKey && this.#key === 'code') return true
      this.#isInText = true
      if (this.#depth === 1 && this.#isKey) this.#key = ''
    } else this.#move(sign)
    return false
  }

  #read(sign: string) {
    if (this.#isEscaped) this.#isEscaped = false
    else if (sign === '\\') this.#isEscaped = true
    else if (sign === '"') this.#isInText = false
    else if (this.#depth === 1 && this.#isKey && this.#key.length < 8) this.#key += sign
  }

  #move(sign: string) {
    if (sign === '{' || sign === '[') this.#depth++
    else if (sign === '}' || sign === ']') this.#depth--
    if (this.#depth !== 1) return
    if (sign === '{' || sign === ',') this.#isKey = true
    else if (sign === ':') this.#isKey = false
  }
}
