import type { Model } from '../schemas/models.ts'
import { demoModel } from './routing.ts'

/** The models that a run can ask for. */
export interface ModelCatalog {
  /** The backend's models and the demo model; only the latter while the backend cannot be asked. */
  list(): Promise<Model[]>
}

const demo: Model = { id: demoModel, object: 'model', created: 1_767_225_600, owned_by: 'kumos-assistants-api' }

export function createCatalog(
  ofBackend: (() => Promise<Model[]>) | undefined,
  onError: (error: unknown) => void,
): ModelCatalog {
  return {
    async list() {
      try {
        const models = (await ofBackend?.()) ?? []
        return [...models.filter(({ id }) => id !== demo.id), demo]
      } catch (error) {
        onError(error)
        return [demo]
      }
    },
  }
}
