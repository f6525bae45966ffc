import { type Completer, CompletionError } from './completer.ts'

export const demoModel = 'demo'

/** The demo model by its name; everything else goes to the backend, if there is one. */
export function createRoutingCompleter(demo: Completer, backend: (() => Promise<Completer>) | undefined): Completer {
  return {
    async windowOf(model) {
      return model === demoModel ? demo.windowOf(model) : (await backend?.())?.windowOf(model)
    },

    async *complete(request, signal) {
      if (request.model === demoModel) yield* demo.complete(request, signal)
      else if (backend) yield* (await backend()).complete(request, signal)
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
