import { APIError } from 'openai'
import { BoundedMap, mostModels } from '../../bounded-map.ts'
import { isCount, isRecord } from '../answer/raw.ts'
import { hostedWindow } from './abilities.ts'
import { patienceMs, staleMs } from './beside.ts'

/** While nobody waits. */
const refreshMs = 10_000
/** After it has failed: the backend may have been started later. */
const retryMs = 30_000

/** How many tokens the models of one backend take, prompt and answer together. */
export class Windows {
  readonly #list: (timeoutMs: number) => Promise<unknown[]>
  readonly #isOpenAI: boolean
  #listed = new Map<string, number>()
  /** Of the only model there is: a server of one model answers to any name. */
  #only: number | undefined
  #owners: ReadonlySet<unknown> = new Set()
  readonly #refused = new BoundedMap<string, number>(mostModels)
  #first: Promise<void> | undefined
  #askedAt = 0

  /** `list`: the models as the backend lists them. */
  constructor(list: (timeoutMs: number) => Promise<unknown[]>, baseURL: string) {
    this.#list = list
    this.#isOpenAI = /(?:^|\.)openai\.(?:com|azure\.com)$/.test(URL.parse(baseURL)?.hostname ?? '')
  }

  /** `said`: by the operator, who knows best; but for a backend that has refused as much. Rejects never. */
  async of(model: string, said?: number): Promise<number | undefined> {
    const refused = this.#refused.get(model)
    const known = said ?? (await this.#listedFor(model)) ?? (this.#isOpenAI ? hostedWindow(model) : undefined)
    return known !== undefined && refused !== undefined ? Math.min(known, refused) : (refused ?? known)
  }

  /** Whom the backend says that its models are owned by, which tells some servers. Rejects never. */
  async owners(): Promise<ReadonlySet<unknown>> {
    await this.#seen()
    return this.#owners
  }

  /** Keeps it until the next start. */
  learn(model: string, window: number) {
    this.#refused.set(model, window)
  }

  /** Takes a list that was asked for anyway. */
  see(entries: readonly unknown[]) {
    this.#listed = new Map()
    for (const entry of entries) {
      const window = windowIn(entry)
      if (isRecord(entry) && window !== undefined) this.#listed.set(String(entry.id), window)
    }
    this.#only = entries.length === 1 ? windowIn(entries[0]) : undefined
    this.#owners = new Set(entries.map((entry) => isRecord(entry) && entry.owned_by))
    this.#askedAt = Date.now()
  }

  async #listedFor(model: string): Promise<number | undefined> {
    await this.#seen()
    return this.#listed.get(model) ?? this.#only
  }

  async #seen() {
    if (this.#first && Date.now() - this.#askedAt > staleMs) void this.#ask(refreshMs)
    // Over once and for all, so that a backend that does not answer delays no more than the first runs.
    this.#first ??= this.#ask(patienceMs)
    await this.#first
  }

  async #ask(timeoutMs: number) {
    this.#askedAt = Date.now()
    try {
      this.see(await this.#list(timeoutMs))
    } catch {
      // Then it is not known, and asked for again before long. Whoever asks for the list itself hears of it.
      this.#askedAt = Date.now() - staleMs + retryMs
    }
  }
}

/**
 * The window in an entry of a list: of LM Studio as the model is loaded, vLLM, llama.cpp as it runs, OpenRouter's
 * provider and OpenRouter itself, Groq, Mistral. What a model was trained for (`n_ctx_train`) is not what it is run with.
 */
function windowIn(entry: unknown): number | undefined {
  if (!isRecord(entry)) return undefined
  const inner = (key: string) => (isRecord(entry[key]) ? entry[key] : {})
  const told = [
    entry.loaded_context_length,
    entry.max_model_len,
    inner('meta').n_ctx,
    inner('top_provider').context_length,
    entry.context_length,
    entry.context_window,
    entry.max_context_length,
  ]
  return told.find(isCount)
}

const count = '([\\d,_]+)'
/**
 * Of OpenAI, vLLM, OpenRouter and DeepSeek; xAI and LM Studio; llama.cpp; LM Studio; Anthropic; Gemini; Mistral; SGLang;
 * OpenAI since GPT-5; TGI; llama-cpp-python.
 */
const tooLong: readonly RegExp[] = [
  `maximum (?:context|prompt|model) length (?:is|of)(?: only)? ${count}`,
  `context length (?:is|of)(?: only)? ${count}`,
  `available context size \\(${count} tokens`,
  `n_keep: ?\\d+ ?>= ?n_ctx: ?${count}`,
  `prompt is too long: \\d+ tokens > ${count} maximum`,
  `input token count[^.]{0,30}exceeds the maximum number of tokens allowed \\(${count}`,
  `too large for model with ${count} maximum context length`,
  `longer than the model's context length \\(${count} tokens`,
  `tokens exceed the configured limit of ${count} tokens`,
  `must (?:be <=|have less than) ${count}(?: tokens)?\\. Given`,
  `exceed context window of ${count}`,
].map((pattern) => new RegExp(pattern, 'i'))
const tooLongSomehow =
  /(?:prompt|input|messages?) (?:is|are) too long|context[ _]length[ _]exceeded|exceeds? the (?:available |model's )?context (?:size|length|window)|greater than the context length/i

/** What an error says about a prompt that was too long; `tokens`: the window. Undefined if it is about anything else. */
export function refusedLength(error: unknown): { tokens: number | undefined } | undefined {
  if (!(error instanceof APIError) || ![400, 413, 422, 500].includes(Number(error.status))) return undefined
  const { message } = error
  const body: unknown = error.error
  const n_ctx = isRecord(body) && typeof body.n_ctx === 'number' ? body.n_ctx : undefined
  for (const pattern of tooLong) {
    const tokens = Number(pattern.exec(message)?.[1]?.replace(/[,_]/g, ''))
    if (tokens > 0) return { tokens }
  }
  const isNamed = error.code === 'context_length_exceeded' || error.type === 'exceed_context_size_error'
  return isNamed || tooLongSomehow.test(message) ? { tokens: n_ctx } : undefined
}
