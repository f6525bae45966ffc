import type { SourceOf } from '../retrieval/cite.ts'
import type { Passage, Retriever } from '../retrieval/retriever.ts'
import { callsOf, type FileSearchCall, type RunStep } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { isFileSearch } from '../schemas/tools.ts'
import type { ServerTool, Waiting } from './registry.ts'
import { formatResults } from './search-results.ts'

const defaultResults = 20
/** The hosted service gave a search 16,000 tokens; a token is about four characters. */
const maxCharacters = 64_000
/** How long a run waits for the files of its thread. */
const processingMs = 60_000
/** The hosted service began to count searches here. */
const firstSearch = 4

export interface FileSearchOptions {
  retriever: Retriever
  /** The stores that a run searches: its assistant's and its thread's. */
  storesOf(run: Run): Promise<{ assistant: readonly string[]; thread: readonly string[] }>
  touch(vector_store_ids: readonly string[]): Promise<void>
  /** Resolves when no file of the store is in progress, or when the signal aborts. */
  settled(vector_store_id: string, signal: AbortSignal, aside: Waiting['aside']): Promise<void>
  onError(error: unknown, run_id: string): void
}

export function createFileSearch(options: FileSearchOptions): ServerTool<FileSearchCall> {
  const { retriever, storesOf, touch, settled, onError } = options

  async function search(run: Run, queries: readonly string[], signal: AbortSignal) {
    const { max_num_results = defaultResults, ranking_options } = settingsOf(run)
    const { assistant, thread } = await storesOf(run)
    const vector_store_ids = [...new Set([...assistant, ...thread])]
    await touch(vector_store_ids)
    const passages = await retriever.search(
      { vector_store_ids, queries, limit: max_num_results, score_threshold: ranking_options.score_threshold },
      signal,
    )
    return withinBudget(passages)
  }

  return {
    type: 'file_search',

    describe: async () => ({
      type: 'function',
      function: {
        name: 'file_search',
        description:
          'Searches the files that the user has uploaded, by words and by meaning. Use it whenever the answer may be in them.',
        parameters: {
          type: 'object',
          properties: {
            query: { type: 'string', description: 'What to look for, in a few words.' },
            queries: { type: 'array', items: { type: 'string' }, description: 'More things to look for at once.' },
          },
          required: ['query'],
        },
      },
    }),

    begin: (run, id) => ({
      id,
      type: 'file_search',
      file_search: { ranking_options: shownRanking(run), results: [] },
      model_call: { arguments: '', output: null },
    }),

    async ready(run, { signal, aside }) {
      const { thread } = await storesOf(run)
      const patience = AbortSignal.any([signal, AbortSignal.timeout(processingMs)])
      for (const id of thread) await settled(id, patience, aside)
      signal.throwIfAborted()
    },

    async answer(call, { run, earlier, signal }) {
      const written = call.model_call?.arguments ?? ''
      const answered = (output: string, results: FileSearchCall['file_search']['results'] = []): FileSearchCall => ({
        ...call,
        file_search: { ...call.file_search, results },
        model_call: { arguments: written, output },
      })
      const queries = queriesIn(written)
      if (!queries) return answered('The call was not understood. Call file_search with {"query": "what to look for"}.')
      try {
        const results = resultsOf(await search(run, queries, signal))
        return answered(formatResults(firstSearch + earlier, results.map(readable)), results)
      } catch (error) {
        signal.throwIfAborted()
        onError(error, run.id)
        return answered('The search failed. Answer without the files, and say that they could not be searched.')
      }
    },
  }
}

function settingsOf(run: Run) {
  const tool = run.tools.find(isFileSearch)
  if (!tool) throw new Error('The run has no file_search.')
  return tool.file_search
}

function shownRanking(run: Run) {
  const { ranker, score_threshold } = settingsOf(run).ranking_options
  return { ranker, score_threshold }
}

/** Models write a query, several, or now and then just the words. */
function queriesIn(written: string): string[] | undefined {
  let args: unknown
  try {
    args = JSON.parse(written)
  } catch {
    return undefined
  }
  if (typeof args === 'string') return args.trim() ? [args] : undefined
  const { query, queries } = (args ?? {}) as { query?: unknown; queries?: unknown }
  const given = [query, ...(Array.isArray(queries) ? queries : [queries])]
  const texts = given.filter((one): one is string => typeof one === 'string' && one.trim() !== '')
  return texts.length > 0 ? [...new Set(texts)].slice(0, 10) : undefined
}

function withinBudget(passages: readonly Passage[]): Passage[] {
  let left = maxCharacters
  // The best passage is given even if it alone is more than all may be.
  return passages.filter(({ text }, index) => {
    left -= text.length
    return index === 0 || left >= 0
  })
}

type Result = NonNullable<FileSearchCall['file_search']['results']>[number]

const resultsOf = (passages: readonly Passage[]): Result[] =>
  passages.map(({ file_id, filename, score, attributes, text }) => ({
    file_id,
    file_name: filename,
    score,
    attributes,
    content: [{ type: 'text', text }],
  }))

const readable = ({ file_name, content }: Result) => ({ file_name, text: content?.[0]?.text ?? '' })

/** What the marks of a run stand for: its searches, counted in their order, and their results. */
export function sourcesOf(steps: readonly RunStep[]): SourceOf {
  const searches = steps.flatMap(callsOf).filter((call) => call.type === 'file_search')
  return (n, m) => searches[n - firstSearch]?.file_search.results?.[m]
}
