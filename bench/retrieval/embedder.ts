import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'

const batchSize = 16

/**
 * Embeds texts by an OpenAI-compatible server, as the server itself does. In `cache`, a folder, what was embedded once
 * is kept for the next run.
 */
export async function embedAll(
  texts: readonly string[],
  { baseURL, model, cache }: { baseURL: string; model: string; cache?: string | undefined },
): Promise<Float32Array[]> {
  const name = createHash('sha256')
    .update(JSON.stringify([model, texts]))
    .digest('hex')
  const kept = cache && join(cache, `${name}.json`)
  if (kept && existsSync(kept))
    return (JSON.parse(readFileSync(kept, 'utf8')) as number[][]).map((v) => Float32Array.from(v))
  const client = new OpenAI({ baseURL, apiKey: process.env.OPENAI_API_KEY ?? 'none', timeout: 600_000 })
  const vectors: Float32Array[] = []
  for (let from = 0; from < texts.length; from += batchSize) {
    const { data } = await client.embeddings.create({ model, input: texts.slice(from, from + batchSize) })
    vectors.push(...data.map(({ embedding }) => Float32Array.from(embedding)))
    if (from % 128 === 0) process.stderr.write(`embedded ${vectors.length} of ${texts.length}\n`)
  }
  if (kept) {
    mkdirSync(cache, { recursive: true })
    writeFileSync(kept, JSON.stringify(vectors.map((vector) => [...vector])))
  }
  return vectors
}
