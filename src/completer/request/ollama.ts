import type OpenAI from 'openai'
import { BoundedMap, mostModels } from '../../bounded-map.ts'
import { isCount, isRecord } from '../answer/raw.ts'
import type { Abilities } from './abilities.ts'
import { askBeside, staleMs } from './beside.ts'

/** The least that Ollama runs models with, if nobody has told it otherwise. */
const leastWindow = 4096

/**
 * What Ollama says of its models beside its OpenAI-compatible API, where it passes over in silence what it or a model cannot
 * do: prompts that are too long lose their beginning, and pictures are left out. Rejects never.
 */
export class OllamaModels {
  readonly #client: OpenAI
  readonly #shown = new BoundedMap<string, { at: number; details: Promise<Record<string, unknown>> }>(mostModels)

  constructor(client: OpenAI) {
    this.#client = client
  }

  /** There is no `tool_choice`; the rest the model says itself, if it is not of an old version. */
  async abilities(model: string): Promise<Partial<Abilities>> {
    const { capabilities } = await this.#details(model)
    const can = (name: string) => !Array.isArray(capabilities) || capabilities.includes(name)
    return {
      toolChoice: false,
      ...(!can('tools') && { tools: false }),
      ...(!can('vision') && { images: false }),
      ...(!can('thinking') && { reasoningEffort: false }),
    }
  }

  /** What the model is run with. If it is not loaded yet, what it was made for, or the least that it may be. */
  async window(model: string): Promise<number | undefined> {
    const [details, running] = await Promise.all([this.#details(model), this.#running(model)])
    if (running) return running
    const [, written] = /^num_ctx\s+(\d+)/m.exec(String(details.parameters)) ?? []
    const made = Number(written)
    return isCount(made) ? made : leastWindow
  }

  async #running(model: string): Promise<number | undefined> {
    const { models } = await askBeside(this.#client, 'api/ps')
    const loaded = Array.isArray(models) ? models.filter(isRecord) : []
    const found = loaded.find(({ name }) => name === model || name === `${model}:latest`)
    return isCount(found?.context_length) ? found.context_length : undefined
  }

  #details(model: string): Promise<Record<string, unknown>> {
    const known = this.#shown.get(model)
    if (known && Date.now() - known.at < staleMs) return known.details
    const details = askBeside(this.#client, 'api/show', { model })
    this.#shown.set(model, { at: Date.now(), details })
    return details
  }
}
