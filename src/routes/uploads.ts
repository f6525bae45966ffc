import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { invalidRequest } from '../errors.ts'
import type { FileService } from '../files/file-service.ts'
import { readForm, useForms } from '../http/form.ts'
import { Id } from '../schemas/common.ts'
import { CompleteUpload, CreateUpload } from '../schemas/files.ts'
import { answered } from './files.ts'

const UploadParams = Type.Object({ upload_id: Id('upload') })

export const uploadRoutes: FastifyPluginAsyncTypebox<{ files: FileService }> = async (app, { files }) => {
  useForms(app)

  app.post('/uploads', { schema: { body: CreateUpload } }, ({ body }) => files.createUpload(body))

  app.post('/uploads/:upload_id/parts', { schema: { params: UploadParams } }, async (request) => {
    const { upload_id } = request.params
    // A part that has come stays with its upload, which forgets it when it ends.
    const form = await readForm(
      request,
      'data',
      (bytes) => files.addPart(upload_id, bytes),
      async () => {},
    )
    if (form.file) return form.file.taken
    throw invalidRequest("Missing required parameter: 'data'.", { param: 'data', code: 'missing_required_parameter' })
  })

  app.post(
    '/uploads/:upload_id/complete',
    { schema: { params: UploadParams, body: CompleteUpload } },
    async ({ params, body }) => {
      const { file, ...upload } = await files.complete(params.upload_id, body)
      return { ...upload, file: answered(file) }
    },
  )

  app.post('/uploads/:upload_id/cancel', { schema: { params: UploadParams } }, ({ params }) =>
    files.cancel(params.upload_id),
  )
}
