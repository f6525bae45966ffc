export type ExtractionErrorCode = 'unsupported_file' | 'invalid_file' | 'server_error'

/** Why a file has no text; `code` and `message` are what clients read as `last_error`. */
export class ExtractionError extends Error {
  readonly code: ExtractionErrorCode

  constructor(code: ExtractionErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

export const unsupported = (options?: ErrorOptions) =>
  new ExtractionError('unsupported_file', 'The file type is not supported.', options)

/** `reason` completes "because it is …". */
export const unparsable = (reason?: 'too large' | 'empty' | 'encrypted', options?: ErrorOptions) =>
  new ExtractionError(
    'invalid_file',
    reason ? `The file could not be parsed because it is ${reason}.` : 'The file could not be parsed.',
    options,
  )

export const internalError = (options?: ErrorOptions) =>
  new ExtractionError('server_error', 'An internal error occurred.', options)
