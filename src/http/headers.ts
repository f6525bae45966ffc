import type { FastifyInstance } from 'fastify'

/** What every answer carries, and the one line that the log gets of each. */
export function useHeaders(app: FastifyInstance) {
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers({ 'x-request-id': request.id, 'openai-version': '2020-10-01' })
    done()
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    reply.header('openai-processing-ms', String(Math.round(reply.elapsedTime)))
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, url } = request
    const ms = Math.round(reply.elapsedTime)
    request.log.info({ method, url: url.split('?', 1)[0], status: reply.statusCode, ms }, 'request')
    done()
  })
}
