import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { type Clock, seconds } from '../clock.ts'
import { listOf, pageQuery } from '../http/pages.ts'
import { ListQuery } from '../schemas/common.ts'
import { FileBatchParams, VectorStoreFileParams, VectorStoreParams } from '../schemas/params.ts'
import {
  CreateFileBatch,
  CreateVectorStore,
  CreateVectorStoreFile,
  FilesOfStoreQuery,
  ModifyVectorStore,
  ModifyVectorStoreFile,
  SearchVectorStore,
  type VectorStore,
  type VectorStoreFile,
} from '../schemas/vector-stores.ts'
import type { Store } from '../store/store.ts'
import type { VectorStoreService } from '../vector-stores/vector-store-service.ts'

interface Options {
  store: Store
  vectorStores: VectorStoreService
  clock: Clock
}

/** The published schema has no null here: a store without an expiry has no key for it. */
function answered({ expires_after, ...store }: VectorStore) {
  return { ...store, ...(expires_after && { expires_after }) }
}

// Node's poll helpers would wait 5 seconds without it.
const pollAfterMs = '300'

function pollable<T extends { status: string }>(reply: FastifyReply, object: T): T {
  if (object.status === 'in_progress') reply.header('openai-poll-after-ms', pollAfterMs)
  return object
}

const page = <T>(object: string, data: T[], rest: object = {}) => ({
  object,
  ...rest,
  data,
  has_more: false,
  next_page: null,
})

const textPart = (text: string) => ({ type: 'text' as const, text })

export const vectorStoreRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { store, vectorStores, clock }) => {
  app.post('/vector_stores', { schema: { body: CreateVectorStore } }, async ({ body }, reply) =>
    pollable(reply, answered(await vectorStores.create(body))),
  )

  app.get('/vector_stores', { schema: { querystring: ListQuery } }, async ({ query }) => {
    const { data, ...envelope } = listOf(
      'vector store',
      await store.vectorStores.page(pageQuery(query), seconds(clock)),
    )
    return { ...envelope, data: data.map(answered) }
  })

  const url = '/vector_stores/:vector_store_id'

  app.get(url, { schema: { params: VectorStoreParams } }, async ({ params }, reply) =>
    pollable(reply, answered(await vectorStores.get(params.vector_store_id))),
  )

  app.post(url, { schema: { params: VectorStoreParams, body: ModifyVectorStore } }, async ({ params, body }) =>
    answered(await vectorStores.modify(params.vector_store_id, body)),
  )

  app.delete(url, { schema: { params: VectorStoreParams } }, async ({ params: { vector_store_id: id } }) => {
    await vectorStores.delete(id)
    return { id, object: 'vector_store.deleted', deleted: true }
  })

  app.post(
    `${url}/search`,
    { schema: { params: VectorStoreParams, body: SearchVectorStore } },
    async ({ params, body }) => {
      const { queries, passages } = await vectorStores.search(params.vector_store_id, body)
      const data = passages.map(({ text, ...passage }) => ({ ...passage, content: [textPart(text)] }))
      return page('vector_store.search_results.page', data, { search_query: queries })
    },
  )
}

export const vectorStoreFileRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { store, vectorStores }) => {
  const files = '/vector_stores/:vector_store_id/files'
  const file = `${files}/:file_id`

  app.post(
    files,
    { schema: { params: VectorStoreParams, body: CreateVectorStoreFile } },
    async ({ params, body }, reply) => pollable(reply, await vectorStores.attach(params.vector_store_id, body)),
  )

  app.get(
    files,
    { schema: { params: VectorStoreParams, querystring: FilesOfStoreQuery } },
    async ({ params: { vector_store_id }, query }) => {
      await vectorStores.get(vector_store_id)
      return listOf('file', await store.vectorStoreFiles.page({ vector_store_id }, pageQuery(query)))
    },
  )

  app.get(file, { schema: { params: VectorStoreFileParams } }, async ({ params, headers }, reply) => {
    const found = await vectorStores.file(params.vector_store_id, params.file_id)
    return pollable(reply, isNodesPoll(headers) ? endedForNode(found) : found)
  })

  app.post(
    file,
    { schema: { params: VectorStoreFileParams, body: ModifyVectorStoreFile } },
    async ({ params: { vector_store_id, file_id }, body: { attributes } }) => {
      const before = await vectorStores.file(vector_store_id, file_id)
      const patch = { attributes: attributes ?? {} }
      return (await store.vectorStoreFiles.update(vector_store_id, file_id, patch)) ?? before
    },
  )

  app.delete(file, { schema: { params: VectorStoreFileParams } }, async ({ params: { vector_store_id, file_id } }) => {
    await vectorStores.detach(vector_store_id, file_id)
    return { id: file_id, object: 'vector_store.file.deleted', deleted: true }
  })

  app.get(`${file}/content`, { schema: { params: VectorStoreFileParams } }, async ({ params }) =>
    page(
      'vector_store.file_content.page',
      (await vectorStores.content(params.vector_store_id, params.file_id)).map(textPart),
    ),
  )
}

const isNodesPoll = (headers: IncomingHttpHeaders) =>
  headers['x-stainless-poll-helper'] === 'true' && headers['x-stainless-lang'] === 'js'

// differs: the poll helper of Node's SDK knows no `cancelled`: it would ask again at once, for ever.
const endedForNode = (file: VectorStoreFile): VectorStoreFile =>
  file.status === 'cancelled'
    ? { ...file, status: 'failed', last_error: { code: 'server_error', message: 'The file was cancelled.' } }
    : file

export const fileBatchRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { store, vectorStores }) => {
  const batches = '/vector_stores/:vector_store_id/file_batches'
  const batch = `${batches}/:batch_id`

  app.post(batches, { schema: { params: VectorStoreParams, body: CreateFileBatch } }, async ({ params, body }, reply) =>
    pollable(reply, await vectorStores.createBatch(params.vector_store_id, body)),
  )

  app.get(batch, { schema: { params: FileBatchParams } }, async ({ params }, reply) =>
    pollable(reply, await vectorStores.batch(params.vector_store_id, params.batch_id)),
  )

  app.post(`${batch}/cancel`, { schema: { params: FileBatchParams } }, ({ params }) =>
    vectorStores.cancelBatch(params.vector_store_id, params.batch_id),
  )

  app.get(
    `${batch}/files`,
    { schema: { params: FileBatchParams, querystring: FilesOfStoreQuery } },
    async ({ params: { vector_store_id, batch_id }, query }) => {
      await vectorStores.batch(vector_store_id, batch_id)
      return listOf('file', await store.vectorStoreFiles.page({ batch_id }, pageQuery(query)))
    },
  )
}
