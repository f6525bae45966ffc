import { setImmediate as immediate } from 'node:timers/promises'
import { BoundedMap, mostModels } from '../bounded-map.ts'
import { type CountTokens, type Encoding, encodingOf } from '../completer/encodings.ts'
import { callsOf } from '../schemas/run-steps.ts'
import { type Item, isCalls, reasoningOf, type Turn } from './history.ts'
import { modelCall } from './prompt.ts'

/** What a backend puts around a message or a call. */
const overhead = 8
/** What it puts around the whole: the instructions are a message too, and the answer is begun. */
export const frame = 2 * overhead
/** The most that the usual models take for a picture. */
const pictureTokens = 1600
/** Counting goes on for so long before others have their turn. */
const sliceMs = 5

/** Knows what it has counted: messages and answered calls do not change any more. */
export class TokenCounter {
  readonly #load: () => Promise<CountTokens>
  #count: CountTokens | undefined
  readonly #known: BoundedMap<string, number>
  #pausedAt = 0

  constructor(load: () => Promise<CountTokens>, maxKnown = 20_000) {
    this.#load = load
    this.#known = new BoundedMap(maxKnown)
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
    // Later runs are sent it without its searches, other models without its reasoning.
    const key = isCalls(item) ? `${item.id} ${callsOf(item).length} ${reasoningOf(item) !== undefined}` : item.id
    const known = this.#known.get(key)
    if (known !== undefined) return known
    const tokens = sumOf(textsOf(item), count) + othersOf(item)
    this.#known.set(key, tokens)
    return tokens
  }
}

/** How the tokens that a model's backend counts compare with those that are counted here. */
export class Scale {
  readonly #atFirst: number
  #seen: number[] = []

  /** `atFirst`: what is to be reckoned with while nothing is known. */
  constructor(atFirst: number) {
    this.#atFirst = atFirst
  }

  /** A little more than the most that the backend has counted of late for one of ours. */
  get sure(): number {
    return Math.max(1, ...this.#seen)
  }

  /** The most that it may count. */
  get careful(): number {
    return this.#seen.length > 0 ? this.sure : this.#atFirst
  }

  /** Few tokens say little, and some backends leave out what they had in a cache. */
  learn(counted: number, reported: number) {
    const scale = reported / counted
    if (counted < fewTokens || scale < leastScale || scale > mostScale) return
    this.#seen = [...this.#seen.slice(1 - remembered), scale * margin]
  }
}

const fewTokens = 200
const leastScale = 0.5
const mostScale = 4
const remembered = 8
/** The next prompt is of other texts. */
const margin = 1.03
/** Most models have more tokens for a text than OpenAI's, or more around it. */
const caution = 1.25

/** How the tokens of a model are known before it is called. */
export interface Tokens {
  counter: TokenCounter
  scale: Scale
}

/** By the names that models have at their backends: a counter for each encoding, made when it is first needed. */
export function createTokens(load: (encoding: Encoding) => Promise<CountTokens>): (model: string) => Tokens {
  const counters = new Map<Encoding, TokenCounter>()
  const scales = new BoundedMap<string, Scale>(mostModels)
  return (model) => {
    const { encoding, isOwn } = encodingOf(model)
    const counter = counters.get(encoding) ?? new TokenCounter(() => load(encoding))
    counters.set(encoding, counter)
    const scale = scales.get(model) ?? new Scale(isOwn ? 1 : caution)
    scales.set(model, scale)
    return { counter, scale }
  }
}

/** No backend counts more tokens. */
export const bytesOf = (item: Item) => sumOf(textsOf(item), Buffer.byteLength) + othersOf(item)

export const sumOf = <T>(list: readonly T[], count: (one: T) => number) =>
  list.reduce((sum, one) => sum + count(one), 0)

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
