import OpenAI from 'openai'
import type { CreateEmbeddingResponse } from 'openai/resources/embeddings'
import { completionError, type Whereabouts } from './backend-error.ts'
import { CompletionError } from './completer.ts'
import { mayRetry, type Patience } from './retry.ts'
import { within } from './transport.ts'

export interface Embedder {
  readonly model: string
  /**
   * One vector per text, in order; all have the same dimension. Batched, a few batches at once; transient failures are
   * retried like those of an answer. A text too long for the model gets the mean of the vectors of its parts. Rejects
   * with a CompletionError when there are none to be had, and with the signal's reason.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Float32Array[]>
}

const batchTexts = 96
const batchCharacters = 200_000
const batchesAtOnce = 3
/** A text shorter than this is not halved: a backend that refuses it does so for another reason. */
const shortestHalved = 128
/** A batch is a matter of seconds. One that takes longer than this will not come. */
const timeout = 300_000

interface Vectors {
  vectors: Float32Array[]
  /** The backend took all the texts in one request. */
  atOnce: boolean
}

export function createEmbedder(client: OpenAI, whereabouts: Whereabouts, patience: Patience): Embedder {
  const { model } = whereabouts
  // Many backends take fewer texts at once than the hosted service, and do not say how many.
  let mostTexts = batchTexts

  async function ask(input: string[], signal: AbortSignal): Promise<CreateEmbeddingResponse> {
    for (let attempt = 0; ; attempt++) {
      try {
        // The SDK asks for base64 by itself, which not every backend knows.
        const params = { model, input, encoding_format: 'float' as const }
        return await within(timeout, (either) => client.embeddings.create(params, { signal: either, timeout }), signal)
      } catch (error) {
        signal.throwIfAborted()
        if (isTooMuch(error) || !(await mayRetry(error, attempt, patience, signal))) throw error
      }
    }
  }

  async function vectorsOf(texts: string[], signal: AbortSignal): Promise<Vectors> {
    try {
      return { vectors: vectorsIn(await ask(texts, signal), texts.length), atOnce: true }
    } catch (error) {
      const [first = ''] = texts
      if (!isTooMuch(error) || (texts.length === 1 && first.length < shortestHalved)) throw error
      if (texts.length === 1) return { vectors: [meanOf(await inHalves(halvesOf(first), signal))], atOnce: false }
      return { vectors: await inHalves(texts, signal), atOnce: false }
    }
  }

  async function inHalves(texts: string[], signal: AbortSignal): Promise<Float32Array[]> {
    const middle = Math.ceil(texts.length / 2)
    const first = await vectorsOf(texts.slice(0, middle), signal)
    const second = await vectorsOf(texts.slice(middle), signal)
    // Neither half has a text that is too long by itself, so there were too many.
    if (middle > 1 && first.atOnce && second.atOnce) mostTexts = Math.min(mostTexts, middle)
    return [...first.vectors, ...second.vectors]
  }

  return {
    model,
    async embed(texts, signal) {
      signal.throwIfAborted()
      // The first batch that fails ends the others.
      const failed = new AbortController()
      const either = AbortSignal.any([signal, failed.signal])
      const all: Float32Array[] = []
      let next = 0
      const work = async () => {
        while (next < texts.length) {
          const start = next
          const batch = batchFrom(texts, start, mostTexts)
          next += batch.length
          const { vectors } = await vectorsOf(batch, either)
          for (const [index, vector] of vectors.entries()) all[start + index] = vector
        }
      }
      try {
        await Promise.all(Array.from({ length: batchesAtOnce }, work))
        checkDimensions(all)
        return all
      } catch (error) {
        failed.abort(error)
        signal.throwIfAborted()
        throw completionError(error, whereabouts)
      }
    },
  }
}

/** The texts from `start` on that go into one request. */
function batchFrom(texts: readonly string[], start: number, mostTexts: number): string[] {
  const batch: string[] = []
  let characters = 0
  for (const text of texts.slice(start, start + mostTexts)) {
    characters += text.length
    if (batch.length > 0 && characters > batchCharacters) break
    // Half a surrogate pair, as a chunk's border may leave it, is not UTF-8.
    batch.push(text.toWellFormed())
  }
  return batch
}

/** Whether less may be taken. llama.cpp's server says it with status 500, all others with one of these. */
const isTooMuch = (error: unknown): boolean =>
  error instanceof OpenAI.APIError &&
  ([400, 413, 422].includes(error.status) || /too (?:large|long|big)|context (?:length|size)/i.test(error.message))

function halvesOf(text: string): string[] {
  const characters = [...text]
  const middle = Math.ceil(characters.length / 2)
  return [characters.slice(0, middle).join(''), characters.slice(middle).join('')]
}

/** Each vector counts by its direction alone, and so does the mean. */
function meanOf(vectors: readonly Float32Array[]): Float32Array {
  checkDimensions(vectors)
  const mean = new Float32Array(vectors[0]?.length ?? 0)
  for (const vector of vectors) {
    const norm = Math.hypot(...vector) || 1
    for (const [index, value] of vector.entries()) mean[index] = (mean[index] ?? 0) + value / norm / vectors.length
  }
  return mean
}

const malformed = (what: string) =>
  new CompletionError('server_error', `The model backend sent malformed embeddings: ${what}.`)

function vectorsIn(answer: CreateEmbeddingResponse, count: number): Float32Array[] {
  const data: unknown = answer?.data
  if (!Array.isArray(data)) throw malformed('there is no list of them')
  if (data.length !== count) throw malformed(`${data.length} vectors for ${count} texts`)
  return (
    data
      // Some backends leave the index out, and then the order is that of the texts.
      .toSorted((a, b) => (a?.index ?? 0) - (b?.index ?? 0))
      .map((item) => {
        const values: unknown = item?.embedding
        const isVector = Array.isArray(values) && values.length > 0 && values.every((value) => Number.isFinite(value))
        if (!isVector) throw malformed('one of them is no list of numbers')
        return Float32Array.from(values)
      })
  )
}

function checkDimensions(vectors: readonly Float32Array[]) {
  const dimensions = [...new Set(vectors.map((vector) => vector.length))]
  if (dimensions.length > 1) throw malformed(`they have different dimensions, ${dimensions.join(' and ')}`)
}
