import type { Model } from '../schemas/models.ts'
import { demoModel, type FindRoute, type LazyBackend } from './routing.ts'
import { isExact, type Rule } from './rules.ts'

/** The models that a run can ask for. */
export interface ModelCatalog {
  /**
   * What the backends list and can be reached by its own name, the names of rules, and the demo model. A backend that
   * cannot be asked is left out.
   */
  list(): Promise<Model[]>
  /** Also what is not listed, but stands for a model that is there. */
  find(id: string): Promise<Model | undefined>
}

interface Options {
  backends: readonly LazyBackend[]
  rules: readonly Rule[]
  find: FindRoute
  /** Hears of backends that do not list their models. */
  onError(error: unknown, backend: string): void
}

const demo: Model = { id: demoModel, object: 'model', created: 1_767_225_600, owned_by: 'kumos-assistants-api' }

export function createCatalog({ backends, rules, find, onError }: Options): ModelCatalog {
  async function listOf({ name, connected }: LazyBackend): Promise<Model[]> {
    try {
      const models = await (await connected()).models()
      return models.filter(({ id }) => {
        const route = find(id)
        return route?.backend.name === name && route.model === id
      })
    } catch (error) {
      onError(error, name)
      return []
    }
  }

  const mapped = (id: string, rule: Rule): Model => ({ id, object: 'model', created: 0, owned_by: rule.backend })

  async function list() {
    const listed = (await Promise.all(backends.map(listOf))).flat()
    const ids = new Set(listed.map(({ id }) => id))
    const named = rules.filter((rule) => isExact(rule) && !ids.has(rule.match)).map((rule) => mapped(rule.match, rule))
    return [...listed, ...named, demo]
  }

  return {
    list,
    async find(id) {
      const rule = find(id)?.rule
      return rule?.model ? mapped(id, rule) : (await list()).find((one) => one.id === id)
    },
  }
}
