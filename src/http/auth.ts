import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'

const noKey =
  "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."

/** Every route of `app` wants a bearer key: one of `keys`, or any at all if there are none (development mode). */
export function useAuth(app: FastifyInstance, keys: readonly string[]) {
  const known = keys.map(digest)

  app.addHook('onRequest', (request, _reply, done) => {
    const key = /^Bearer\s+(\S+)\s*$/i.exec(request.headers.authorization ?? '')?.[1]
    if (key === undefined) throw new ApiError(401, noKey)
    if (known.length === 0) return done()
    const sent = digest(key)
    // All are compared, so that the time taken tells nothing.
    if (known.filter((one) => timingSafeEqual(one, sent)).length === 0) {
      throw new ApiError(401, `Incorrect API key provided: ${masked(key)}.`, { code: 'invalid_api_key' })
    }
    done()
  })
}

const digest = (key: string) => createHash('sha256').update(key).digest()

const masked = (key: string) => (key.length < 12 ? '***' : `${key.slice(0, 5)}***${key.slice(-4)}`)
