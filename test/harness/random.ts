/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** A whole number from 0 up to but without `limit`. */
  below(limit: number): number
  chance(probability: number): boolean
  oneOf<T>(values: readonly T[]): T
}

/** Mulberry32. */
export function randomBy(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: (probability) => next() < probability,
    oneOf: <T>(values: readonly T[]) => values[below(values.length)] as T,
  }
}
