import type OpenAI from 'openai'
import { isRecord } from '../answer/raw.ts'
import type { CompletionRequest } from '../completer.ts'
import type { Abilities } from './abilities.ts'
import { askBeside, staleMs } from './beside.ts'
import { OllamaModels } from './ollama.ts'

/**
 * What a server passes over without a word, so that no refusal teaches it; servers are known by whom they list their models
 * as owned by. llama.cpp takes any `tool_choice` but a text for `auto`, and leaves tools out of the prompt if the template of
 * the model has no place for them. For Ollama see there.
 */
export class Quirks {
  readonly #client: OpenAI
  readonly #owners: () => Promise<ReadonlySet<unknown>>
  readonly #ollama: OllamaModels
  #hasTools: Promise<boolean> | undefined
  #askedAt = 0

  constructor(client: OpenAI, owners: () => Promise<ReadonlySet<unknown>>) {
    this.#client = client
    this.#owners = owners
    this.#ollama = new OllamaModels(client)
  }

  /** Rejects never. */
  async of({ model, tools }: Pick<CompletionRequest, 'model' | 'tools'>): Promise<Partial<Abilities>> {
    const owners = await this.#owners()
    if (isOllama(owners)) return this.#ollama.abilities(model)
    if (!owners.has('llamacpp') || tools.length === 0) return {}
    return (await this.#templateHasTools()) ? { toolChoice: 'required' } : { tools: false }
  }

  /** Where the list of models does not tell. Rejects never. */
  async windowOf(model: string): Promise<number | undefined> {
    return isOllama(await this.#owners()) ? this.#ollama.window(model) : undefined
  }

  #templateHasTools(): Promise<boolean> {
    if (!this.#hasTools || Date.now() - this.#askedAt > staleMs) {
      this.#askedAt = Date.now()
      this.#hasTools = this.#askTemplate()
    }
    return this.#hasTools
  }

  /** True also if it is not known. */
  async #askTemplate(): Promise<boolean> {
    const { chat_template_caps: can } = await askBeside(this.#client, 'props')
    return !isRecord(can) || can.supports_tools !== false
  }
}

/** Its own models are; those that a user has named are owned by the user. */
const isOllama = (owners: ReadonlySet<unknown>) => owners.has('library')
