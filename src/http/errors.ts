import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ApiError, serverErrorMessage } from '../errors.ts'

const envelope = ({ message, type, param, code }: Pick<ApiError, 'message' | 'type' | 'param' | 'code'>) => ({
  error: { message, type, param, code },
})

/** The one place where an error becomes an answer. */
export function useErrors(app: FastifyInstance) {
  app.setErrorHandler<FastifyError | ApiError>((error, request, reply) => answer(error, request, reply))
  app.setNotFoundHandler((request, reply) => answer(unknownUrl(request), request, reply))
}

const unknownUrl = ({ method, url }: Pick<FastifyRequest, 'method' | 'url'>) =>
  new ApiError(404, `Invalid URL (${method} ${url.split('?', 1)[0]})`)

export function answer(error: unknown, request: FastifyRequest, reply: FastifyReply) {
  // The router's own refusals come before any hook.
  reply.header('x-request-id', request.id)
  const known = error instanceof ApiError ? error : fromFramework(error as FastifyError, request)
  if (known) return reply.status(known.status).send(envelope(known))
  request.log.error(error, 'a request failed')
  return reply.status(500).send(envelope(new ApiError(500, serverErrorMessage, { type: 'server_error' })))
}

/** The caller's faults that Fastify finds before any of our code runs. */
function fromFramework({ code, statusCode, message }: FastifyError, request: FastifyRequest): ApiError | undefined {
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE': {
      const sent = request.headers['content-type']
      return new ApiError(
        415,
        `Unsupported content type: '${sent}'. This API method only accepts 'application/json' requests. Please try again with the header 'Content-Type: application/json'.`,
        { code: 'unsupported_content_type' },
      )
    }
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ApiError(413, 'The request body is too large.', { code: 'request_too_large' })
    case 'FST_ERR_BAD_URL':
      return unknownUrl(request)
    default:
      return statusCode && statusCode >= 400 && statusCode < 500 ? new ApiError(statusCode, message) : undefined
  }
}

/** What Node's HTTP parser refuses never becomes a request; it gets the envelope all the same. */
export function badRequestBytes(error: NodeJS.ErrnoException): string {
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request'
  const body = JSON.stringify(envelope(new ApiError(400, 'The request is not valid HTTP.')))
  return `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`
}
