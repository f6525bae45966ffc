import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { ModelCatalog } from '../completer/catalog.ts'
import { ApiError } from '../errors.ts'

export const modelRoutes: FastifyPluginAsyncTypebox<{ catalog: ModelCatalog }> = async (app, { catalog }) => {
  app.get('/models', async () => ({ object: 'list', data: await catalog.list() }))

  // A wildcard, since ids such as `org/model` have slashes.
  app.get('/models/*', { schema: { params: Type.Object({ '*': Type.String() }) } }, async ({ params }) => {
    const id = params['*']
    const model = await catalog.find(id)
    if (!model)
      throw new ApiError(404, `The model '${id}' does not exist.`, { param: 'model', code: 'model_not_found' })
    return model
  })
}
