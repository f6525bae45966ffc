/** The caller's fault: answered with its status and the API's error envelope. Build it with the functions below. */
export class ApiError extends Error {
  readonly status: number
  readonly type: string
  readonly param: string | null
  readonly code: string | null

  constructor(status: number, message: string, where: { type?: string; param?: string; code?: string } = {}) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.type = where.type ?? 'invalid_request_error'
    this.param = where.param ?? null
    this.code = where.code ?? null
  }
}

/** 400: what was asked cannot be done as asked. `param` is a path such as `tools[0].function.name`. */
export const invalidRequest = (message: string, where: { param?: string; code?: string } = {}) =>
  new ApiError(400, message, where)

type Kind = 'vector store' | 'file batch' | 'file' | 'assistant' | 'thread' | 'message' | 'run' | 'run step'

/** 404: also for ids of another thread and for deleted objects. */
export const notFound = (kind: Kind, id: string) => new ApiError(404, `No ${kind} found with id '${id}'.`)

/** What a client may know of our own faults. */
export const serverErrorMessage =
  'The server had an error processing your request. Sorry about that! You can retry your request, or look for the request ID in the log of this server.'
