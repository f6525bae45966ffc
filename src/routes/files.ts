import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { invalidRequest } from '../errors.ts'
import type { FileService, Received } from '../files/file-service.ts'
import { explain } from '../http/explain.ts'
import { type Form, readForm, useForms } from '../http/form.ts'
import { listOf } from '../http/pages.ts'
import { Id } from '../schemas/common.ts'
import { type File, FileForm, FileListQuery, uploadPurposes } from '../schemas/files.ts'
import type { Store } from '../store/store.ts'

const FileParams = Type.Object({ file_id: Id('file') })

/** The published schema has no null here: what a file does not have is left out. */
export function answered({ expires_at, status_details, ...file }: File) {
  return {
    ...file,
    ...(expires_at !== null && { expires_at }),
    ...(status_details !== null && { status_details }),
  }
}

export const fileRoutes: FastifyPluginAsyncTypebox<{ store: Store; files: FileService }> = async (
  app,
  { store, files },
) => {
  useForms(app)

  app.post('/files', async (request) => {
    const form = await readForm(
      request,
      'file',
      (bytes) => files.receive(bytes),
      (received) => received.drop(),
    )
    const received = form.file?.taken
    try {
      const { name, taken } = checkedFile(form)
      return answered(await taken.keep(checkedFields(form.fields), name))
    } catch (error) {
      await received?.drop()
      throw error
    }
  })

  app.get('/files', { schema: { querystring: FileListQuery } }, async ({ query }) => {
    const { limit = 10_000, order = 'desc', ...rest } = query
    const page = await store.files.page({ ...rest, limit, order })
    const { data, ...envelope } = listOf('file', page)
    return { ...envelope, data: data.map(answered) }
  })

  app.get('/files/:file_id', { schema: { params: FileParams } }, async ({ params }) =>
    answered(await files.get(params.file_id)),
  )

  app.delete('/files/:file_id', { schema: { params: FileParams } }, async ({ params: { file_id: id } }) => {
    await files.delete(id)
    return { object: 'file', deleted: true, id }
  })

  // differs: files of every purpose can be downloaded; the hosted service kept those of some purposes to itself.
  app.get('/files/:file_id/content', { schema: { params: FileParams } }, async ({ params }, reply) => {
    const { file, bytes } = await files.content(params.file_id)
    return reply
      .type('application/octet-stream')
      .header('content-length', file.bytes)
      .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(file.filename)}`)
      .send(Readable.from(bytes))
  })
}

function checkedFile(form: Form<Received>) {
  if (form.file) return form.file
  throw invalidRequest("Missing required parameter: 'file'.", { param: 'file', code: 'missing_required_parameter' })
}

function checkedFields(fields: Record<string, unknown>): FileForm {
  const { purpose, expires_after } = fields as { purpose?: unknown; expires_after?: { seconds?: unknown } }
  const form = {
    ...fields,
    ...(expires_after && { expires_after: { ...expires_after, seconds: Number(expires_after.seconds) } }),
  }
  if (typeof purpose === 'string' && !(uploadPurposes as readonly string[]).includes(purpose)) {
    const listed = uploadPurposes.map((one) => `'${one}'`).join(', ')
    throw invalidRequest(`'${purpose}' is not one of [${listed}] - 'purpose'`, { param: 'purpose' })
  }
  const wrong = explain(FileForm, form)
  if (wrong) throw wrong
  return form as FileForm
}
