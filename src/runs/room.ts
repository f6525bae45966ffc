import { setImmediate as immediate } from 'node:timers/promises'
import { type CountTokens, type Encoding, encodingOf } from '../completer/encodings.ts'
import { callsOf } from '../schemas/run-steps.ts'
import { type Item, isCalls, reasoningOf, type Turn } from './history.ts'
import { modelCall } from './prompt.ts'

/** What a backend puts around a message or a call. */
const overhead = 8
/** The most that the usual models take for a picture. */
const pictureTokens = 1600
/** Counting goes on for so long before others have their turn. */
const sliceMs = 5

/**
 * How much of a prompt there is room for. Counting is dear: as long as there is room for as many tokens as there are bytes,
 * nothing is counted.
 */
export class Room {
  #left: number
  readonly #limit: number
  readonly #counter: TokenCounter
  readonly #uncounted: { bytes: number; count: () => Promise<number> }[] = []

  constructor(limit: number, counter: TokenCounter) {
    this.#left = limit
    this.#limit = limit
    this.#counter = counter
  }

  /** Takes in as many of the turns as there is room for, from the first on. */
  async take(turns: readonly Turn[]): Promise<Turn[]> {
    if (this.#left === Number.POSITIVE_INFINITY) return [...turns]
    const kept: Turn[] = []
    for (const turn of turns) {
      const isIn = await this.#take(
        () => sumOf(turn, bytesOf),
        () => this.#counter.of(turn),
      )
      if (!isIn) break
      kept.push(turn)
    }
    return kept
  }

  /** The same for texts by themselves. */
  takeTexts(texts: readonly string[]): Promise<boolean> {
    return this.#take(
      () => sumOf(texts, Buffer.byteLength) + overhead,
      async () => (await this.#counter.ofTexts(texts)) + overhead,
    )
  }

  /** How many tokens were taken. Without a limit nobody has counted. */
  async taken(): Promise<number> {
    await this.#count()
    return this.#limit - this.#left
  }

  async #take(bytesIn: () => number, count: () => Promise<number>): Promise<boolean> {
    if (this.#left === Number.POSITIVE_INFINITY) return true
    const bytes = bytesIn()
    if (bytes <= this.#left) {
      this.#left -= bytes
      this.#uncounted.push({ bytes, count })
      return true
    }
    await this.#count()
    const tokens = await count()
    if (tokens > this.#left) return false
    this.#left -= tokens
    return true
  }

  async #count() {
    for (const one of this.#uncounted.splice(0)) this.#left += one.bytes - (await one.count())
  }
}

/** Knows what it has counted: messages and answered calls do not change any more. */
export class TokenCounter {
  readonly #load: () => Promise<CountTokens>
  #count: CountTokens | undefined
  readonly #known = new Map<string, number>()
  readonly #maxKnown: number
  #pausedAt = 0

  constructor(load: () => Promise<CountTokens>, maxKnown = 20_000) {
    this.#load = load
    this.#maxKnown = maxKnown
  }

  async of(items: Turn): Promise<number> {
    const count = await this.#counting()
    let total = 0
    for (const item of items) {
      if (performance.now() - this.#pausedAt > sliceMs) {
        await immediate()
        this.#pausedAt = performance.now()
      }
      total += this.#ofOne(item, count)
    }
    return total
  }

  async #counting(): Promise<CountTokens> {
    this.#count ??= await this.#load()
    return this.#count
  }

  async ofTexts(texts: readonly string[]): Promise<number> {
    return sumOf(texts, await this.#counting())
  }

  #ofOne(item: Item, count: CountTokens): number {
    const known = this.#known.get(item.id)
    if (known !== undefined) return known
    const tokens = sumOf(textsOf(item), count) + othersOf(item)
    if (this.#known.size >= this.#maxKnown) this.#known.clear()
    this.#known.set(item.id, tokens)
    return tokens
  }
}

/** One counter for each encoding, made when a model first needs it. */
export function createTokenCounters(load: (encoding: Encoding) => Promise<CountTokens>) {
  const counters = new Map<Encoding, TokenCounter>()
  return (model: string): TokenCounter => {
    const encoding = encodingOf(model)
    const counter = counters.get(encoding) ?? new TokenCounter(() => load(encoding))
    counters.set(encoding, counter)
    return counter
  }
}

const bytesOf = (item: Item) => sumOf(textsOf(item), Buffer.byteLength) + othersOf(item)

const sumOf = <T>(list: readonly T[], count: (one: T) => number) => list.reduce((sum, one) => sum + count(one), 0)

function textsOf(item: Item): string[] {
  if (isCalls(item)) {
    const reasoning = reasoningOf(item)
    const calls = callsOf(item).flatMap((call) => {
      const { name, arguments: written, output } = modelCall(call)
      return [name, written, output ?? '']
    })
    return reasoning ? [...calls, JSON.stringify([reasoning.message, reasoning.calls])] : calls
  }
  return item.content.flatMap((part) => {
    if (part.type === 'text') return [part.text.value]
    return part.type === 'refusal' ? [part.refusal] : []
  })
}

/** What is no text. */
function othersOf(item: Item): number {
  if (isCalls(item)) return overhead * (1 + 2 * callsOf(item).length)
  // Those of the model's own messages are not sent back to it.
  const sent = item.role === 'user' ? item.content : []
  const pictures = sent.filter(({ type }) => type === 'image_file' || type === 'image_url').length
  return overhead + pictures * pictureTokens
}
