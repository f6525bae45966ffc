import { onTestFinished } from 'vitest'
import { ScriptedBackend } from './backend.ts'

/** Another backend, beside that of the harness. */
export async function secondBackend(...models: string[]): Promise<ScriptedBackend> {
  const backend = await new ScriptedBackend().start()
  backend.models = {
    object: 'list',
    data: models.map((id) => ({ id, object: 'model', created: 2, owned_by: 'other' })),
  }
  onTestFinished(() => backend.stop())
  return backend
}
