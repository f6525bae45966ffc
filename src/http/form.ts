import type { Readable } from 'node:stream'
import multipart from '@fastify/multipart'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ApiError, invalidRequest } from '../errors.ts'

/** Lets the routes of `app`, and only these, take forms. */
export function useForms(app: FastifyInstance) {
  // Sizes are limited where the bytes go; clients send names in UTF-8.
  const limits = { fileSize: Number.POSITIVE_INFINITY, files: 1, fields: 16, fieldSize: 16_384, headerPairs: 64 }
  app.register(multipart, { limits, ...{ defParamCharset: 'utf8' } })
}

export interface Form<T> {
  /** `a[b]` and `a[c]` are one field `a`, an object. Numbers are still text. */
  fields: Record<string, unknown>
  file: { name: string; taken: T } | undefined
}

/**
 * Reads a form whose file is in the field `name`; the fields may come before it or after it. `take` gets the bytes as
 * they come. When the form turns out to be broken after that, `drop` gets what `take` made of them.
 */
export async function readForm<T>(
  request: FastifyRequest,
  name: string,
  take: (bytes: AsyncIterable<Uint8Array>) => Promise<T>,
  drop: (taken: T) => Promise<void>,
): Promise<Form<T>> {
  if (!request.isMultipart()) {
    throw new ApiError(415, "This API method only accepts 'multipart/form-data' requests.", {
      code: 'unsupported_content_type',
    })
  }
  const form: Form<T> = { fields: {}, file: undefined }
  let taking: Readable | undefined
  try {
    for await (const part of request.parts()) {
      if (part.type === 'field') setField(form.fields, part.fieldname, part.value)
      else if (part.fieldname !== name || form.file) throw unknown(part.fieldname)
      else {
        taking = part.file
        form.file = { name: part.filename ?? '', taken: await take(part.file) }
        taking = undefined
      }
    }
    return form
  } catch (error) {
    if (form.file) await drop(form.file.taken)
    // What fails while bytes are taken is ours, unless it is the bytes that do not come.
    const isOurs = taking !== undefined && !taking.errored
    throw isOurs || error instanceof ApiError || isFastifys(error) ? error : unreadable(error)
  }
}

const isFastifys = (error: unknown) => typeof (error as { statusCode?: unknown }).statusCode === 'number'

const unreadable = (error: unknown) =>
  Object.assign(invalidRequest('The form could not be read: it is broken, or breaks off.'), { cause: error })

function setField(fields: Record<string, unknown>, key: string, value: unknown) {
  const [, outer, inner] = /^(\w+)\[(\w+)\]$/.exec(key) ?? []
  if (outer === undefined || inner === undefined) {
    fields[key] = value
    return
  }
  const object = fields[outer] ?? {}
  if (typeof object !== 'object') throw unknown(key)
  fields[outer] = { ...object, [inner]: value }
}

const unknown = (key: string) =>
  invalidRequest(`Unknown parameter: '${key}'.`, { param: key, code: 'unknown_parameter' })
