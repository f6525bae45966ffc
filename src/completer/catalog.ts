import type OpenAI from 'openai'
import type { Model } from '../schemas/models.ts'
import { demoModel } from './routing.ts'

/** The models that a run can ask for. */
export interface ModelCatalog {
  /** The backend's models and the demo model; only the latter while the backend cannot be asked. */
  list(): Promise<Model[]>
}

const demo: Model = { id: demoModel, object: 'model', created: 1_767_225_600, owned_by: 'kumos-assistants-api' }

export function createCatalog(backend: OpenAI | undefined, onError: (error: unknown) => void): ModelCatalog {
  return {
    async list() {
      if (!backend) return [demo]
      try {
        const { data } = await backend.models.list({ timeout: 10_000 })
        // Some backends add keys of their own, or leave out `created`.
        const models = data.map(({ id, created = 0, owned_by = 'backend' }) => ({
          id,
          object: 'model' as const,
          created,
          owned_by,
        }))
        return [...models.filter(({ id }) => id !== demo.id), demo]
      } catch (error) {
        onError(error)
        return [demo]
      }
    },
  }
}
