import type { FastifyPluginAsync } from 'fastify'
import type { Store } from '../store/store.ts'

/** For orchestrators: no key, no log line. */
export const healthRoutes: FastifyPluginAsync<{ store: Store }> = async (app, { store }) => {
  app.get('/healthz', async () => ({ status: 'ok' }))

  app.get('/readyz', async (request, reply) => {
    try {
      await store.ping()
      return { status: 'ok' }
    } catch (error) {
      request.log.error(error, 'the database does not answer')
      return reply.status(503).send({ status: 'unavailable' })
    }
  })
}
