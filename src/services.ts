import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { createFolderBlobs } from './blobs.ts'
import { type Clock, seconds } from './clock.ts'
import type { IdleMs } from './completer/answer/idle.ts'
import { type Backends, singleBackend } from './completer/backends-config.ts'
import { createCatalog, type ModelCatalog } from './completer/catalog.ts'
import type { Completer } from './completer/completer.ts'
import type { Embedder } from './completer/embeddings.ts'
import { loadCounter } from './completer/encodings.ts'
import { createLazyBackend } from './completer/lazy-backend.ts'
import { createRoutes, createRoutingCompleter, type FindRoute } from './completer/routing.ts'
import { isExact } from './completer/rules.ts'
import type { Config } from './config.ts'
import { ApiError } from './errors.ts'
import { createBus, type EventBus } from './events/bus.ts'
import { createFileService, type FileService } from './files/file-service.ts'
import { createOutputs } from './files/outputs.ts'
import { createPictureReader } from './files/pictures.ts'
import type { Ingestor } from './retrieval/ingest.ts'
import { createRetrievalServices } from './retrieval-services.ts'
import { ClientKeys } from './runs/client-keys.ts'
import { createRecorder } from './runs/commit.ts'
import { createExecutor, type Executor } from './runs/executor.ts'
import { createFollower, type Follower } from './runs/follow.ts'
import { isTerminal } from './runs/lifecycle.ts'
import { createRunService, type RunService } from './runs/run-service.ts'
import { createSpecialists } from './runs/specialists.ts'
import { createTokens } from './runs/tokens.ts'
import { type CodeSandbox, createCodeSandbox } from './sandbox-services.ts'
import { createSqliteStore } from './store/sqlite/sqlite-store.ts'
import type { RunState, Store } from './store/store.ts'
import { createCodeInterpreter } from './tools/code-interpreter.ts'
import { createCreateSpecialist } from './tools/create-specialist.ts'
import { customTypesOf } from './tools/custom.ts'
import { createFileSearch } from './tools/file-search.ts'
import { createRegistry, type ServerTool } from './tools/registry.ts'
import { createResources, type Resources } from './vector-stores/resources.ts'
import { createVectorStoreService, type VectorStoreService } from './vector-stores/vector-store-service.ts'

export interface Services {
  config: Config
  logger: Logger
  clock: Clock
  store: Store
  bus: EventBus
  catalog: ModelCatalog
  executor: Executor
  runs: RunService
  follower: Follower
  files: FileService
  vectorStores: VectorStoreService
  resources: Resources
  ingestor: Ingestor
  codeSandbox: CodeSandbox
  customTypes: ReadonlySet<string>
  /** What works beside the server; the store goes last. */
  close(): Promise<void>
}

interface Overrides {
  /** Tools of the operator's, beside the built-in ones. */
  tools?: readonly ServerTool[]
  /** What BACKENDS_CONFIG has; without it, the single backend of the configuration. */
  backends?: Backends
  clock?: Clock
  /** The wait before the first retry of a model call. */
  backoffMs?: number
  /** How long a backend is left alone at first when it fails. */
  shutMs?: number
  idleMs?: IdleMs
  leaseMs?: number
  beatMs?: number
}

/** The composition root: nothing else knows which implementations there are. The executor is not started. */
export function createServices(config: Config, logger: Logger, overrides: Overrides = {}): Services {
  const {
    tools = [],
    backends: { backends: settings, rules } = singleBackend(config),
    clock = Date.now,
    leaseMs = config.RUN_LEASE_SECONDS * 1000,
    beatMs = Math.min(1000, leaseMs / 3),
  } = overrides
  const { backoffMs = 500, shutMs = 1000, idleMs } = overrides
  const patience = { backoffMs, shutMs, idleMs }
  const store = openStore(config, clock)
  const bus = createBus()
  const recorder = createRecorder(store, bus)

  const backends = settings.map((one) =>
    createLazyBackend(one, {
      ...{ ...patience, logger, onFree: () => executor.wake() },
      // A backend that is silent must not have all hands.
      concurrency: Math.max(1, Math.floor(config.RUN_CONCURRENCY / settings.length)),
    }),
  )
  const find = createRoutes(rules, backends)
  const completer = createRoutingCompleter(demo, find, backends)
  const catalog = createCatalog({
    ...{ backends, rules, find },
    onError: (error, backend) => logger.warn({ err: error, backend }, 'a backend does not list its models'),
  })

  const keys = new ClientKeys(clock)
  const blobs = createFolderBlobs(config.DATA_DIR)
  const retrieval = createRetrievalServices({
    ...{ config, logger, store, blobs, clock, leaseMs, beatMs },
    embedder: embedderOf(config, find),
  })
  const { index, ingestor, retriever } = retrieval
  const fileSearch = createFileSearch({
    retriever,
    settled: ingestor.settled,
    touch: (ids) => store.vectorStores.touch(ids, seconds(clock)),
    storesOf: async ({ thread_id, tool_resources }) => ({
      assistant: tool_resources.file_search?.vector_store_ids ?? [],
      thread: (await store.threads.get(thread_id))?.tool_resources.file_search?.vector_store_ids ?? [],
    }),
    onError: (error, run_id) => logger.error({ err: error, run_id }, 'a search of a run failed'),
  })

  const codeSandbox = createCodeSandbox(config, logger)
  const codeInterpreter = createCodeInterpreter({
    sandbox: codeSandbox.ready,
    packages: () => codeSandbox.packages(),
    filesOf: async ({ thread_id, tool_resources }) => {
      const thread = await store.threads.get(thread_id)
      const ids = [tool_resources, thread?.tool_resources].flatMap((one) => one?.code_interpreter?.file_ids ?? [])
      const files = await Promise.all([...new Set(ids)].map((id) => store.files.get(id)))
      return files.filter((file) => file !== undefined)
    },
    open: blobs.get,
    onError: (error, run_id) => logger.error({ err: error, run_id }, 'code of a run could not be run'),
  })

  const createSpecialist = createCreateSpecialist(
    createSpecialists({
      ...{ store, recorder, bus, keys, clock },
      wake: () => executor.wake(),
      async cancel(run) {
        await runs.cancel(run.thread_id, run.id).catch((error) => {
          // It is over, or somebody else has cancelled it.
          if (!(error instanceof ApiError)) throw error
        })
        // Its parent may have asked it to cancel already, by coming to its own end.
        executor.interrupt(run.id, 'cancelled')
      },
      async submit(run, body) {
        await runs.submit(run.thread_id, run.id, body, AbortSignal.abort()).catch((error) => {
          // Somebody else has answered.
          if (!(error instanceof ApiError)) throw error
        })
      },
    }),
  )
  const ours = [createSpecialist, ...tools]

  const executor = createExecutor({
    store,
    recorder,
    completer,
    tools: createRegistry([fileSearch, codeInterpreter, ...ours]),
    pictureOf: createPictureReader(store, blobs),
    keyOf: (run_id) => keys.of(run_id),
    makeFile: createOutputs(blobs, clock),
    tokensOf: createTokens(loadCounter),
    clock,
    maxRounds: config.RUN_TOOL_ROUNDS,
    concurrency: config.RUN_CONCURRENCY,
    leaseMs,
    beatMs,
    onError: (error, run_id) => logger.error({ err: error, run_id }, 'a run met a failure of ours'),
    onRest(state) {
      if (isTerminal(state.run.status)) keys.forget(state.run.id)
      logRun(logger, state)
    },
  })
  const resources = createResources(store, ingestor, clock)
  const customTypes = customTypesOf(ours)
  const runSettings = { expirySeconds: config.RUN_EXPIRY_SECONDS, customTypes }
  const runs = createRunService({
    ...{ store, recorder, bus, executor, resources, keys, clock, settings: runSettings },
    onThreadDeleted: (thread_id) => codeSandbox.endSession(thread_id),
  })
  const vectorStores = createVectorStoreService({ store, index, ingestor, retriever, clock })
  return {
    ...{ config, logger, clock, store, bus, catalog, executor, runs, vectorStores, resources, ingestor, customTypes },
    codeSandbox,
    follower: createFollower(store, bus, executor),
    files: createFileService(store, blobs, ingestor, clock),
    async close() {
      await Promise.all([retrieval.close(), codeSandbox.close()])
      await store.close()
    },
  }
}

/** Loaded when it is first asked: most servers have a backend. */
const demo: Completer = {
  windowOf: async () => undefined,
  async *complete(request, signal) {
    const { createDemoCompleter } = await import('./completer/demo-model/demo-model.ts')
    yield* createDemoCompleter().complete(request, signal)
  },
}

/** The rule of that very name may have another one for it; `*` and its like mean models that chat. */
function embedderOf({ EMBEDDING_MODEL: name }: Config, find: FindRoute) {
  const route = name ? find(name) : undefined
  if (!name || !route) return undefined
  const model = isExact(route.rule) ? route.model : name
  let embedder: Promise<Embedder> | undefined
  return () => {
    embedder ??= route.backend.connected().then((backend) => backend.embedder(model))
    return embedder
  }
}

/** What an operator needs to know of a run, without a word of what was said in it. */
function logRun(logger: Logger, { run, spent }: RunState) {
  const { id, thread_id, model, status, last_error } = run
  const line = { run_id: id, thread_id, model, status, tokens: spent.total_tokens }
  if (last_error) logger.warn({ ...line, last_error }, 'run')
  else logger.info(line, 'run')
}

function openStore(config: Config, clock: Clock): Store {
  const file = config.DATABASE_URL.slice('sqlite:'.length)
  if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true })
  return createSqliteStore({ file, synchronous: config.SQLITE_SYNCHRONOUS }, clock)
}
