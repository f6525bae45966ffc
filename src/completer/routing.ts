import { type Completer, CompletionError } from './completer.ts'

export const demoModel = 'demo'

/** The demo model by its name; everything else goes to the backend, if there is one. */
export function createRoutingCompleter(demo: Completer, backend: Completer | undefined): Completer {
  return {
    complete(request, signal) {
      if (request.model === demoModel) return demo.complete(request, signal)
      if (backend) return backend.complete(request, signal)
      throw new CompletionError(
        'server_error',
        `No model backend is configured, so the model '${request.model}' cannot answer. ` +
          `Set OPENAI_BASE_URL (and OPENAI_API_KEY) and restart the server, or use the model '${demoModel}'.`,
      )
    },
  }
}
