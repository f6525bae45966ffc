import type { Embedder } from '../completer/embeddings.ts'

export interface NamedVectors {
  /** The model with the length of its vectors: vectors of another length are another model's, whatever its name. */
  model: string
  vectors: Float32Array[]
}

export type Embed = (texts: readonly string[], signal: AbortSignal) => Promise<NamedVectors>

/** `onModel` hears of the model with its first vectors, and again should their length change. */
export function createEmbed(embedder: () => Promise<Embedder>, onModel: (model: string) => Promise<void>): Embed {
  let known: string | undefined
  return async (texts, signal) => {
    const { model: name, embed } = await embedder()
    const vectors = await embed(texts, signal)
    const model = `${name}/${vectors[0]?.length ?? 0}`
    if (model !== known) {
      known = model
      await onModel(model)
    }
    return { model, vectors }
  }
}
