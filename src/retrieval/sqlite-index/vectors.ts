/** Vectors are read by the block; one of about so many bytes is worth a row. */
const blockBytes = 65_536

interface Block {
  /** The position of the first chunk it has a vector of. */
  first: number
  data: Uint8Array
}

/** Vectors one after another, each of length 1, so that their product with another such is the cosine. */
export function blocksOf(vectors: readonly Float32Array[]): Block[] {
  const dimension = vectors[0]?.length ?? 0
  const perBlock = Math.max(1, Math.floor(blockBytes / (4 * dimension)))
  const blocks: Block[] = []
  for (let first = 0; first < vectors.length; first += perBlock) {
    const some = vectors.slice(first, first + perBlock)
    const data = new Float32Array(some.length * dimension)
    some.forEach((vector, at) => {
      data.set(unit(vector), at * dimension)
    })
    blocks.push({ first, data: new Uint8Array(data.buffer) })
  }
  return blocks
}

export function floatsOf(data: Uint8Array): Float32Array {
  // Floats must lie at a multiple of their size.
  const bytes = data.byteOffset % 4 === 0 ? data : Uint8Array.from(data)
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}

/** The vector at length 1; of zeros if it has no length. */
export function unit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector)
  return vector.map((value) => (Number.isFinite(length) && length > 0 ? value / length : 0))
}

/** The sum of the products of a vector's numbers with those from `from`. In four sums, which the processor adds at once. */
export function product(vector: Float32Array, others: Float32Array, from: number): number {
  const { length } = vector
  let [a, b, c, d] = [0, 0, 0, 0]
  let i = 0
  for (; i + 3 < length; i += 4) {
    a += (vector[i] as number) * (others[from + i] as number)
    b += (vector[i + 1] as number) * (others[from + i + 1] as number)
    c += (vector[i + 2] as number) * (others[from + i + 2] as number)
    d += (vector[i + 3] as number) * (others[from + i + 3] as number)
  }
  for (; i < length; i++) a += (vector[i] as number) * (others[from + i] as number)
  return a + b + c + d
}
