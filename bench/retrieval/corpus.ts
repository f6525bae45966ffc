import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chunksOf } from '../../src/retrieval/extraction/chunk.ts'

/*
 * What the questions are asked of: the documentation of the packages that have questions, whole, as npm installed it.
 * Long lists of links and the tables of contents are left in: a user's store has them too.
 */

const modules = fileURLToPath(new URL('../../node_modules/', import.meta.url))
const questionsFile = new URL('./questions.json', import.meta.url)
/** What `auto` chunking is. */
const sizes = { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 }

export interface Question {
  text: string
  /** The file that answers it. */
  file: string
}

export interface Document {
  file: string
  chunks: string[]
}

export function readQuestions(): Question[] {
  const byFile = JSON.parse(readFileSync(questionsFile, 'utf8')) as Record<string, string[]>
  return Object.entries(byFile).flatMap(([file, texts]) => texts.map((text) => ({ file, text })))
}

/** All Markdown of the packages, but their histories and licences. */
export function readDocuments(questions: readonly Question[]): Document[] {
  const packageOf = (file: string) => file.split('/', file.startsWith('@') ? 2 : 1).join('/')
  const packages = new Set(questions.map(({ file }) => packageOf(file)))
  const isAside =
    /changelog|\/history|licen[cs]e|security|contributing|code_of_conduct|agents|\/node_modules\/|\/src\/|\/vendor\//i
  return [...packages]
    .flatMap((name) => globSync(`${name}/**/*.{md,MD}`, { cwd: modules }))
    .filter((file) => !isAside.test(file))
    .sort()
    .map((file) => ({ file, chunks: [...chunksOf(readFileSync(join(modules, file), 'utf8'), sizes)] }))
}
