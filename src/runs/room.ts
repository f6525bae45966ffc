import type { Turn } from './history.ts'
import { bytesOf, frame, sumOf, type Tokens } from './tokens.ts'

/**
 * How much of a prompt there is room for, in tokens of the backend. Counting is dear: as long as there is room for as many
 * tokens as there are bytes, nothing is counted.
 */
export class Room {
  readonly #tokens: Tokens
  /** By our own count, here and below. */
  readonly #limit: number
  /** What is left free while it is not known how the backend counts. */
  readonly #spare: number
  #left: number
  readonly #uncounted: { bytes: number; count: () => Promise<number> }[] = []
  #hasCounted = false

  constructor(limit: number, tokens: Tokens) {
    const { sure, careful } = tokens.scale
    this.#tokens = tokens
    this.#limit = limit / sure
    this.#spare = limit === Number.POSITIVE_INFINITY ? 0 : limit / sure - limit / careful
    this.#left = this.#limit
  }

  /** Takes in texts that are to be sent, if there is room for them. */
  require(texts: readonly string[]): Promise<boolean> {
    return this.#take(
      () => sumOf(texts, Buffer.byteLength) + frame,
      async () => (await this.#tokens.counter.ofTexts(texts)) + frame,
      0,
    )
  }

  /** The same for a turn. */
  requireTurn(turn: Turn): Promise<boolean> {
    return this.#takeTurn(turn, 0)
  }

  /** Takes in as many of the turns as there is room for, from the first on. */
  async fill(turns: readonly Turn[]): Promise<Turn[]> {
    if (this.#left === Number.POSITIVE_INFINITY) return [...turns]
    const kept: Turn[] = []
    for (const turn of turns) {
      if (!(await this.#takeTurn(turn, this.#spare))) break
      kept.push(turn)
    }
    return kept
  }

  /** How many tokens were taken. Without a limit nobody has counted. */
  async taken(): Promise<number> {
    return Math.ceil((await this.#counted()) * this.#tokens.scale.sure)
  }

  /** What was taken by our own count; undefined if it did not have to be counted. */
  async counted(): Promise<number | undefined> {
    return this.#hasCounted ? this.#counted() : undefined
  }

  #takeTurn(turn: Turn, spare: number): Promise<boolean> {
    return this.#take(
      () => sumOf(turn, bytesOf),
      () => this.#tokens.counter.of(turn),
      spare,
    )
  }

  async #take(bytesIn: () => number, count: () => Promise<number>, spare: number): Promise<boolean> {
    if (this.#left === Number.POSITIVE_INFINITY) return true
    const bytes = bytesIn()
    if (bytes <= this.#left - spare) {
      this.#left -= bytes
      this.#uncounted.push({ bytes, count })
      return true
    }
    await this.#counted()
    const tokens = await count()
    if (tokens > this.#left - spare) return false
    this.#left -= tokens
    return true
  }

  async #counted(): Promise<number> {
    for (const one of this.#uncounted.splice(0)) this.#left += one.bytes - (await one.count())
    this.#hasCounted = true
    return this.#limit - this.#left
  }
}
