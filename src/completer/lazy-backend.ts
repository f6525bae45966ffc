import type { Logger } from 'pino'
import type { IdleMs } from './answer/idle.ts'
import type { BackendSettings } from './backends-config.ts'
import { createGate, type Gate } from './gate.ts'
import type { Backend } from './openai.ts'
import type { LazyBackend } from './routing.ts'

interface Options {
  logger: Logger
  /** Calls at the same time, unless its settings say otherwise. */
  concurrency: number
  /** The wait before the first retry of a call. */
  backoffMs: number
  /** How long it is left alone at first when it fails. */
  shutMs: number
  /** Where its settings do not say otherwise. */
  idleMs: IdleMs | undefined
  /** Hears that it has places again. */
  onFree(): void
}

/** The openai package takes time and memory to load: not before there is something to ask. */
export function createLazyBackend(settings: BackendSettings, options: Options): LazyBackend {
  const { name, clientKeys } = settings
  let backend: Promise<Backend> | undefined
  return {
    name,
    clientKeys,
    gate: gateOf(settings, options),
    connected() {
      backend ??= connectTo(settings, options)
      return backend
    },
  }
}

function gateOf({ name: backend, concurrency }: BackendSettings, options: Options): Gate {
  const { logger, shutMs, onFree } = options
  return createGate({
    concurrency: concurrency ?? options.concurrency,
    ...{ shutMs, onFree },
    onShut(ms, why) {
      const line = { backend, wait_ms: Math.round(ms) }
      if (why === 'failing') logger.warn(line, 'a model backend fails; runs wait before it is asked again')
      else logger.info(line, 'a model backend asks to wait; runs wait before it is asked again')
    },
    onRecovered: () => logger.info({ backend }, 'a model backend answers again'),
  })
}

async function connectTo(settings: BackendSettings, { backoffMs, idleMs, logger }: Options): Promise<Backend> {
  const { name, baseURL, apiKey, headers, retries, keyIn, urlIn } = settings
  const { connect } = await import('./openai.ts')
  return connect({
    // Local backends want no key, but the SDK wants one.
    ...{ baseURL, apiKey: apiKey ?? 'none', headers, maxRetries: retries, backoffMs, keyIn, urlIn },
    idleMs: { ...idleMs, ...settings.idleMs },
    onLearned: (model, lesson) =>
      logger.warn(
        { backend: name, model, can: lesson },
        'a backend refuses what it was asked, so it is asked otherwise',
      ),
  })
}
