/** Forgets all it has rather than grow beyond its bound: for what can be had again, under keys that others make up. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #most: number

  constructor(most: number) {
    super()
    this.#most = most
  }

  override set(key: K, value: V): this {
    if (this.size >= this.#most && !this.has(key)) this.clear()
    return super.set(key, value)
  }
}

/** More models than there are. */
export const mostModels = 1000
