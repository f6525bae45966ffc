import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Clock, seconds } from '../clock.ts'
import { notFound } from '../errors.ts'
import { listOf, pageQuery } from '../http/pages.ts'
import { existingThread } from '../runs/existing.ts'
import { newThread } from '../runs/new-run.ts'
import type { RunService } from '../runs/run-service.ts'
import { ListQuery } from '../schemas/common.ts'
import { ThreadParams } from '../schemas/params.ts'
import { CreateThread, ModifyThread } from '../schemas/threads.ts'
import { merged } from '../schemas/tools.ts'
import type { Store } from '../store/store.ts'
import type { Resources } from '../vector-stores/resources.ts'

interface Options {
  store: Store
  runs: RunService
  resources: Resources
  clock: Clock
}

export const threadRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { store, runs, resources, clock }) => {
  app.post('/threads', { schema: { body: CreateThread } }, async ({ body }) => {
    const { thread, messages } = newThread(body, seconds(clock))
    thread.tool_resources = await resources.ofNewThread(body.tool_resources, messages)
    await store.threads.insert(thread, messages)
    return thread
  })

  // differs: the hosted service cannot list threads.
  app.get('/threads', { schema: { querystring: ListQuery } }, async ({ query }) =>
    listOf('thread', await store.threads.page(pageQuery(query))),
  )

  app.get('/threads/:thread_id', { schema: { params: ThreadParams } }, ({ params }) =>
    existingThread(store, params.thread_id),
  )

  app.post(
    '/threads/:thread_id',
    { schema: { params: ThreadParams, body: ModifyThread } },
    async ({ params: { thread_id: id }, body }) => {
      const before = await existingThread(store, id)
      const thread = await store.threads.update(id, {
        ...(body.metadata !== undefined && { metadata: body.metadata ?? {} }),
        tool_resources: await resources.ofThread(
          merged(before.tool_resources, body.tool_resources),
          before.tool_resources,
        ),
      })
      if (!thread) throw notFound('thread', id)
      return thread
    },
  )

  app.delete('/threads/:thread_id', { schema: { params: ThreadParams } }, async ({ params: { thread_id: id } }) => {
    if (!(await runs.deleteThread(id))) throw notFound('thread', id)
    return { id, object: 'thread.deleted', deleted: true }
  })
}
