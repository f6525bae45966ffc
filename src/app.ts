import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { useAuth } from './http/auth.ts'
import { answer, badRequestBytes, useErrors } from './http/errors.ts'
import { useHeaders } from './http/headers.ts'
import { compilersFactory, useJson } from './http/validation.ts'
import { newRequestId } from './ids.ts'
import { assistantRoutes } from './routes/assistants.ts'
import { fileRoutes } from './routes/files.ts'
import { healthRoutes } from './routes/health.ts'
import { messageRoutes } from './routes/messages.ts'
import { modelRoutes } from './routes/models.ts'
import { runStepRoutes } from './routes/run-steps.ts'
import { runRoutes } from './routes/runs.ts'
import { threadRoutes } from './routes/threads.ts'
import { uploadRoutes } from './routes/uploads.ts'
import { fileBatchRoutes, vectorStoreFileRoutes, vectorStoreRoutes } from './routes/vector-stores.ts'
import type { Services } from './services.ts'

const bodyLimit = 32 * 1024 * 1024

/** The HTTP server, wired and not listening. Closing it closes no service. */
export function buildApp(services: Services): FastifyInstance {
  const { config, logger, clock, store, catalog, runs, follower, files, vectorStores, resources, customTypes } =
    services
  const app: FastifyInstance = Fastify({
    loggerInstance: logger as FastifyBaseLogger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: newRequestId,
    bodyLimit,
    schemaController: { compilersFactory },
    // What Node's HTTP parser refuses, and URLs that cannot be decoded, come before any route.
    clientErrorHandler(error, socket) {
      if (socket.writable) socket.end(badRequestBytes(error))
    },
    frameworkErrors: answer,
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 512 },
  })
  useErrors(app)
  useHeaders(app)
  useJson(app)

  app.register(healthRoutes, { store })
  app.register(
    async (v1) => {
      // differs: the `OpenAI-Beta` header is not asked for; old proxies drop it.
      useAuth(v1, config.API_KEYS)
      v1.register(assistantRoutes, { store, resources, customTypes, clock })
      v1.register(threadRoutes, { store, runs, resources, clock })
      v1.register(messageRoutes, { store, resources, clock })
      v1.register(runRoutes, { store, runs, follower })
      v1.register(runStepRoutes, { store })
      v1.register(fileRoutes, { store, files })
      v1.register(uploadRoutes, { files })
      for (const routes of [vectorStoreRoutes, vectorStoreFileRoutes, fileBatchRoutes]) {
        v1.register(routes, { store, vectorStores, clock })
      }
      v1.register(modelRoutes, { catalog })
    },
    { prefix: '/v1' },
  )
  return app
}
