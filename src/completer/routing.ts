import { type Completer, CompletionError, type Models } from './completer.ts'
import type { Gate } from './gate.ts'

export const demoModel = 'demo'

/** A backend, once there is something to ask, and what stands before it. */
export interface GatedBackend<Connected extends Completer = Completer> {
  connected(): Promise<Connected>
  gate: Gate
}

/** The demo model by its name; everything else goes to the backend, if there is one. */
export function createRoutingCompleter(demo: Completer, backend: GatedBackend | undefined): Models {
  return {
    gates: backend ? [backend.gate] : [],

    gateOf: (model) => (model === demoModel ? undefined : backend?.gate),

    async windowOf(model) {
      return model === demoModel ? demo.windowOf(model) : (await backend?.connected())?.windowOf(model)
    },

    async *complete(request, signal, place) {
      if (request.model === demoModel) yield* demo.complete(request, signal)
      else if (backend) yield* (await backend.connected()).complete(request, signal, place)
      else {
        throw new CompletionError(
          'server_error',
          `No model backend is configured, so the model '${request.model}' cannot answer. ` +
            `Set OPENAI_BASE_URL (and OPENAI_API_KEY) and restart the server, or use the model '${demoModel}'.`,
        )
      }
    },
  }
}
