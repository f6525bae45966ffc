import type { FastifyPluginAsync } from 'fastify'
import type { Store } from '../store/store.ts'

const quietly = { logLevel: 'warn' } as const

/** For orchestrators: no key, and no log line unless something is wrong. */
export const healthRoutes: FastifyPluginAsync<{ store: Store }> = async (app, { store }) => {
  app.get('/healthz', quietly, async () => ({ status: 'ok' }))

  app.get('/readyz', quietly, async (request, reply) => {
    try {
      await store.ping()
      return { status: 'ok' }
    } catch (error) {
      request.log.error(error, 'the database does not answer')
      return reply.status(503).send({ status: 'unavailable' })
    }
  })
}
