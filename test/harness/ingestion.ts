import type OpenAI from 'openai'
import { randomBy } from './random.ts'

/** Texts of a few chunks each, no two of which are alike. */
export function textsBy(seed: number, count: number): string[] {
  const random = randomBy(seed)
  const words = ['apples', 'pears', 'cellars', 'ladders', 'orchards', 'baskets', 'winters', 'markets']
  return Array.from({ length: count }, (_, n) => {
    const length = 50 + random.below(1500)
    return `File ${n}. ${Array.from({ length }, () => random.oneOf(words)).join(' ')}`
  })
}

/** Uploads them, some at a time, and answers their ids in the order of the texts. */
export async function uploadTexts(client: OpenAI, texts: readonly string[]): Promise<string[]> {
  const ids: string[] = []
  for (let at = 0; at < texts.length; at += 10) {
    const some = texts.slice(at, at + 10).map(async (text, n) => {
      const file = new File([text], `${at + n}.txt`)
      return (await client.files.create({ file, purpose: 'assistants' })).id
    })
    ids.push(...(await Promise.all(some)))
  }
  return ids
}

/** All that the content endpoint says of each file, in the order of the ids. */
export async function contentsOf(client: OpenAI, vector_store_id: string, file_ids: readonly string[]) {
  const contents: string[][] = []
  for (const id of file_ids) {
    const { data } = await client.vectorStores.files.content(id, { vector_store_id })
    contents.push(data.map(({ text }) => text ?? ''))
  }
  return contents
}
