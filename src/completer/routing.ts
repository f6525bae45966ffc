import { BoundedMap, mostModels } from '../bounded-map.ts'
import { type Completer, CompletionError, type CompletionRequest, keyHeader, type Models } from './completer.ts'
import type { Gate } from './gate.ts'
import type { Backend } from './openai.ts'
import { createRules, type Rule } from './rules.ts'

export const demoModel = 'demo'

/** A backend, which is connected when there is something to ask. */
export interface LazyBackend {
  name: string
  /** Each run brings a key of its client's. */
  clientKeys: boolean
  /** What calls to it have to pass. */
  gate: Gate
  connected(): Promise<Backend>
}

/** Where requests for a model go. */
export interface Route {
  rule: Rule
  backend: LazyBackend
  /** The backend's own name of the model. */
  model: string
}

/** Undefined for models that nobody serves, and for the demo model. */
export type FindRoute = (model: string) => Route | undefined

export function createRoutes(rules: readonly Rule[], backends: readonly LazyBackend[]): FindRoute {
  const find = createRules(rules)
  const byName = new Map(backends.map((backend) => [backend.name, backend]))
  const routes = new BoundedMap<string, Route | undefined>(mostModels)

  function routeOf(model: string): Route | undefined {
    const rule = model === demoModel ? undefined : find(model)
    const backend = rule && byName.get(rule.backend)
    return backend && { rule, backend, model: rule.model ?? model }
  }

  return (model) => {
    if (!routes.has(model)) routes.set(model, routeOf(model))
    return routes.get(model)
  }
}

/** The demo model by its name; everything else goes where the rules send it. */
export function createRoutingCompleter(demo: Completer, find: FindRoute, backends: readonly LazyBackend[]): Models {
  return {
    gates: backends.map(({ gate }) => gate),

    nameOf: (model) => find(model)?.model ?? model,

    gateOf: (model) => find(model)?.backend.gate,

    async windowOf(model) {
      if (model === demoModel) return demo.windowOf(model)
      const route = find(model)
      return route && (await route.backend.connected()).windowOf(route.model, route.rule.window)
    },

    async *complete(request, signal, place) {
      if (request.model === demoModel) {
        yield* demo.complete(request, signal)
        return
      }
      const route = find(request.model)
      if (!route) throw new CompletionError('server_error', noRoute(request.model, backends.length > 0))
      const { backend, model, rule } = route
      const client_key = keyFor(backend, request)
      const { complete } = await backend.connected()
      yield* complete({ ...request, model, asked: request.model, can: rule.can, client_key }, signal, place)
    },
  }
}

function keyFor({ name, clientKeys }: LazyBackend, { client_key }: CompletionRequest): string | undefined {
  if (!clientKeys) return undefined
  if (client_key) return client_key
  throw new CompletionError(
    'server_error',
    `The model backend '${name}' is called with the key that a client sends in the header ${keyHeader} when it starts a ` +
      'run or submits its tool outputs. None came with this run, or the server has restarted since: keys are not stored.',
  )
}

function noRoute(model: string, hasBackends: boolean): string {
  return hasBackends
    ? `No backend is configured for the model '${model}'. Use a model that GET /v1/models lists, ` +
        'or add a rule for it to the file of BACKENDS_CONFIG and restart the server.'
    : `No model backend is configured, so the model '${model}' cannot answer. ` +
        `Set OPENAI_BASE_URL (and OPENAI_API_KEY) and restart the server, or use the model '${demoModel}'.`
}
