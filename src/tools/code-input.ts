/** The beginning of the arguments, up to the first character of the code. */
const opening = /^\s*(?:"|\{\s*(?:"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|[\w.+-]+)\s*,\s*)*"code"\s*:\s*")/
/** What comes before the code in an object that has any is no longer than this. */
const longestOpening = 2000

const escaped: Record<string, string> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/**
 * Finds the code in the arguments of a call as the model writes them: `{"code": "…"}`, or a JSON string, or, as small
 * models write it, nothing but the code. Escapes that JSON does not know stay as they are, and so do line ends that
 * should have been escaped: models forget what they write into.
 */
export class CodeInput {
  #state: 'before' | 'json' | 'bare' | 'over' = 'before'
  #held = ''

  /** The code that is certain now. */
  push(piece: string): string {
    this.#held += piece
    if (this.#state === 'before') this.#open()
    if (this.#state === 'json') return this.#whole(this.#decoded())
    if (this.#state === 'bare') return this.#whole(this.#taken(this.#held.length))
    return ''
  }

  #open() {
    const [first] = this.#held.trimStart()
    const found = opening.exec(this.#held)
    if (found) {
      this.#state = 'json'
      this.#taken(found[0].length)
    } else if (first !== undefined && first !== '{') {
      this.#state = 'bare'
    } else if (this.#held.length > longestOpening) {
      this.#state = 'over'
      this.#held = ''
    }
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
        this.#taken(2)
        code += escaped[letter] ?? `\\${letter}`
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
