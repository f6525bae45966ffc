import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { SearchIndex } from '../../src/retrieval/search-index.ts'
import { createSqliteIndex } from '../../src/retrieval/sqlite-index/sqlite-index.ts'
import { below, type Figure, isMissed, markdownTable, quantile } from '../table.ts'
import { createRandom, createText } from './text.ts'

/*
 * How quickly the index takes chunks in and answers: in one of a hundred stores that share the chunks, and in one store
 * that has as many alone. A search is of the whole way from the caller's thread and back.
 */

const { values } = parseArgs({
  options: {
    chunks: { type: 'string', default: '100000' },
    stores: { type: 'string', default: '100' },
    dimension: { type: 'string', default: '384' },
    searches: { type: 'string', default: '500' },
  },
})
const [chunks, stores, dimension, searches] = [values.chunks, values.stores, values.dimension, values.searches].map(
  Number,
) as [number, number, number, number]
const chunksPerFile = 10
/** About the 800 tokens that a chunk has unless told otherwise. */
const wordsPerChunk = 550
const model = 'bench'

const text = createText(1)
const random = createRandom(2)
const say = (line: string) => process.stderr.write(`${line}\n`)

interface Question {
  store: number
  text: string
}

/** Fills the stores in turns; asks for something of each file. Seconds for words and vectors. */
async function fill(index: SearchIndex, storeCount: number, chunkCount: number) {
  const questions: Question[] = []
  const files = chunkCount / chunksPerFile
  let [wordMs, vectorMs, bytes] = [0, 0, 0]
  for (let entry = 1; entry <= files; entry++) {
    const key = { store: (entry % storeCount) + 1, entry }
    const some = Array.from({ length: chunksPerFile }, () => text.chunk(wordsPerChunk))
    const vectors = some.map(() => text.vector(dimension))
    const startedAt = performance.now()
    bytes += await index.put(key, some)
    const putAt = performance.now()
    await index.putVectors(key, { model, vectors })
    wordMs += putAt - startedAt
    vectorMs += performance.now() - putAt
    questions.push({ store: key.store, text: text.question(some[0] ?? '') })
    if (entry % 1000 === 0)
      say(`${entry * chunksPerFile} chunks, ${Math.round((entry * chunksPerFile * 1000) / wordMs)}/s`)
  }
  return { questions, wordMs, vectorMs, bytes }
}

async function timesOf(
  index: SearchIndex,
  questions: readonly Question[],
  ask: (question: Question) => string,
  hybrid: boolean,
  count: number,
) {
  const times: number[] = []
  for (let asked = 0; asked < count + 20; asked++) {
    const question = questions[Math.floor(random() * questions.length)] as Question
    const vector = hybrid ? text.vector(dimension) : undefined
    const startedAt = performance.now()
    await index.search({
      stores: [question.store],
      queries: [{ text: ask(question), ...(vector && { vector }) }],
      model,
      limit: 20,
    })
    // The first ones start threads and fill caches.
    if (asked >= 20) times.push(performance.now() - startedAt)
  }
  return times
}

async function measure(
  name: string,
  storeCount: number,
  limits?: { lexical: number; hybrid: number },
): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'retrieval-bench-'))
  const file = join(folder, `${name.replaceAll(' ', '-')}.db`)
  const index = createSqliteIndex({ file })
  const { questions, wordMs, vectorMs } = await fill(index, storeCount, chunks)
  const plain = ({ text }: Question) => text
  const misspelt = ({ text }: Question) => text.replace(/(\w{3})(\w)(\w+)\?$/, '$1$3$2?')
  const lexical = await timesOf(index, questions, plain, false, searches)
  const hybrid = await timesOf(index, questions, plain, true, searches)
  const corrected = await timesOf(index, questions, misspelt, false, Math.min(searches, 200))
  const removeAt = performance.now()
  for (let entry = 1; entry <= 20; entry++) await index.remove({ store: (entry % storeCount) + 1, entry })
  const removeMs = (performance.now() - removeAt) / 20
  await index.close()
  const mebibytes = statSync(file).size / 2 ** 20
  rmSync(folder, { recursive: true })
  const p = (times: readonly number[], part: number, what: string, most?: number): Figure => ({
    name: `${name}: ${what}, p${part * 100}, ms`,
    ours: quantile(times, part),
    digits: 1,
    ...(most !== undefined && { target: below(most) }),
  })
  return [
    { name: `${name}: chunks taken in per second, words`, ours: (chunks * 1000) / wordMs },
    { name: `${name}: chunks taken in per second, vectors`, ours: (chunks * 1000) / vectorMs },
    p(lexical, 0.5, 'lexical search', limits?.lexical),
    p(lexical, 0.95, 'lexical search'),
    p(hybrid, 0.5, 'hybrid search', limits?.hybrid),
    p(hybrid, 0.95, 'hybrid search'),
    p(corrected, 0.5, 'lexical search with a slip of the pen'),
    p(corrected, 0.95, 'lexical search with a slip of the pen'),
    { name: `${name}: removal of a file of ${chunksPerFile} chunks, ms`, ours: removeMs, digits: 1 },
    { name: `${name}: file, MiB`, ours: mebibytes },
  ]
}

const figures = [
  ...(await measure(`${stores} stores`, stores, { lexical: 10, hybrid: 25 })),
  ...(await measure('one store', 1)),
]
process.stdout.write(`${markdownTable(figures)}\n`)
if (figures.some(isMissed)) process.exitCode = 1
