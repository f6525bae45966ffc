import { markOf, withoutLookalikes } from '../retrieval/cite.ts'

export interface Passage {
  file_name: string
  text: string
}

/** What the model reads of search `n`: each passage whole, under the mark by which it is to be cited. */
export function formatResults(n: number, results: readonly Passage[]): string {
  const [first] = results
  if (!first) return 'The search found nothing in the files. Tell the user so; do not cite anything.'
  const instruction =
    'Passages of the files, each under its mark. End each sentence that uses a passage with the mark of that passage, ' +
    `copied exactly, for example: The sky is blue${markOf(n, 0, first.file_name)}. Cite only marks that stand here.`
  const blocks = results.map(({ file_name, text }, m) => `${markOf(n, m, file_name)}\n${withoutLookalikes(text)}`)
  return [instruction, ...blocks].join('\n\n')
}
