import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Hit, SearchIndex, SearchQuery } from '../../src/retrieval/search-index.ts'
import { createSqliteIndex } from '../../src/retrieval/sqlite-index/sqlite-index.ts'
import { type Question, readDocuments, readQuestions } from './corpus.ts'
import { embedAll } from './embedder.ts'

/*
 * How often the file that answers a question is among the first passages found, and how high. Without --embeddings by
 * words alone; with it, by words and meaning too. embeddings.py is a server for it.
 */

const { values } = parseArgs({
  options: {
    embeddings: { type: 'string' },
    model: { type: 'string', default: 'all-minilm-l6-v2' },
    cache: { type: 'string' },
    misses: { type: 'boolean', default: false },
  },
})
const deepest = 10
const model = values.model

const questions = readQuestions()
const documents = readDocuments(questions)

async function fill(index: SearchIndex, embedded: readonly Float32Array[] | undefined) {
  let done = 0
  for (const [entry, { chunks }] of documents.entries()) {
    const vectors = embedded && { model, vectors: embedded.slice(done, done + chunks.length) }
    await index.put({ store: 1, entry }, chunks, vectors)
    done += chunks.length
  }
}

/** From 1; infinite if no passage of the file is found. */
function rankOf({ file }: Question, hits: readonly Hit[]): number {
  const at = hits.findIndex(({ entry }) => documents[entry]?.file === file)
  return at < 0 ? Number.POSITIVE_INFINITY : at + 1
}

function row(name: string, ranks: readonly number[]): string {
  const share = (depth: number) =>
    `${((100 * ranks.filter((rank) => rank <= depth).length) / ranks.length).toFixed(1)} %`
  const reciprocal = ranks.reduce((sum, rank) => sum + 1 / rank, 0) / ranks.length
  return `| ${name} | ${share(1)} | ${share(5)} | ${share(10)} | ${reciprocal.toFixed(3)} |`
}

const folder = mkdtempSync(join(tmpdir(), 'retrieval-bench-'))
const index = createSqliteIndex({ file: join(folder, 'search.db') })
const { embeddings: baseURL, cache } = values
const chunks = documents.flatMap((document) => document.chunks)
const embedded = baseURL ? await embedAll(chunks, { baseURL, model, cache }) : undefined
const asked = baseURL
  ? await embedAll(
      questions.map(({ text }) => text),
      { baseURL, model, cache },
    )
  : []
await fill(index, embedded)

type QueryOf = (question: Question, at: number) => SearchQuery
async function ranksOf(search: (question: Question, at: number) => Promise<Hit[]>) {
  const ranks: number[] = []
  for (const [at, question] of questions.entries()) {
    const hits = await search(question, at)
    ranks.push(rankOf(question, hits.slice(0, deepest)))
  }
  return ranks
}
const by = (queryOf: QueryOf) => (question: Question, at: number) =>
  index.search({ stores: [1], queries: [queryOf(question, at)], model, limit: 50 })

/** What is usually made of two lists: the sum of 1 / (60 + rank). */
function fuse(lists: readonly Hit[][]): Hit[] {
  const sums = new Map<string, { hit: Hit; sum: number }>()
  for (const [rank, hit] of lists.flatMap((list) => [...list.entries()])) {
    const place = `${hit.entry}/${hit.position}`
    sums.set(place, { hit, sum: (sums.get(place)?.sum ?? 0) + 1 / (61 + rank) })
  }
  return [...sums.values()].sort((a, b) => b.sum - a.sum).map(({ hit }) => hit)
}

const vectorAt = (at: number) => asked[at] as Float32Array
const words = by(({ text }) => ({ text }))
const modes: [string, number[]][] = [['Words alone (no embedding model)', await ranksOf(words)]]
if (baseURL) {
  const meaning = by((_, at) => ({ text: '', vector: vectorAt(at) }))
  const both = by(({ text }, at) => ({ text, vector: vectorAt(at) }))
  const fused = async (...asked: [Question, number]) => fuse([await words(...asked), await meaning(...asked)])
  modes.push([`Meaning alone (${model})`, await ranksOf(meaning)])
  modes.push(['Both, fused by reciprocal rank, for comparison', await ranksOf(fused)])
  modes.push([`Words and meaning (${model})`, await ranksOf(both)])
}
await index.close()
rmSync(folder, { recursive: true })

const about = `${questions.length} questions, ${documents.length} files, ${chunks.length} passages`
const head = [`| ${about} | Hit at 1 | Hit at 5 | Hit at 10 | MRR |`, '| --- | --: | --: | --: | --: |']
process.stdout.write(`${[...head, ...modes.map(([name, ranks]) => row(name, ranks))].join('\n')}\n`)
if (values.misses) {
  const missed = (modes.at(-1)?.[1] ?? []).flatMap((rank, at) => (rank > 5 ? [questions[at] as Question] : []))
  process.stderr.write(missed.map(({ text, file }) => `${text} → ${file}\n`).join(''))
}
