import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Clock, seconds } from '../clock.ts'
import { invalidRequest, notFound } from '../errors.ts'
import { listOf, pageQuery } from '../http/pages.ts'
import { existingThread } from '../runs/existing.ts'
import { newMessage } from '../runs/new-run.ts'
import { CreateMessage, MessageListQuery, ModifyMessage } from '../schemas/messages.ts'
import { MessageParams, ThreadParams } from '../schemas/params.ts'
import type { Store } from '../store/store.ts'
import type { Resources } from '../vector-stores/resources.ts'

interface Options {
  store: Store
  resources: Resources
  clock: Clock
}

export const messageRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { store, resources, clock }) => {
  async function missing(thread_id: string, id: string) {
    await existingThread(store, thread_id)
    return notFound('message', id)
  }

  app.post(
    '/threads/:thread_id/messages',
    { schema: { params: ThreadParams, body: CreateMessage } },
    async ({ params: { thread_id }, body }) => {
      const message = newMessage(body, thread_id, seconds(clock))
      // A run that begins with the message finds its files; a thread that refuses the message gets none of them.
      if (message.attachments.length > 0 && !(await store.runs.active(thread_id))) {
        await resources.attach(thread_id, [message])
      }
      const refusal = await store.messages.insert(message)
      if (!refusal) return message
      if (refusal.refused === 'no_thread') throw notFound('thread', thread_id)
      // Clients find the run's id in this text.
      throw invalidRequest(`Can't add messages to ${thread_id} while a run ${refusal.run_id} is active.`)
    },
  )

  app.get(
    '/threads/:thread_id/messages',
    { schema: { params: ThreadParams, querystring: MessageListQuery } },
    async ({ params: { thread_id }, query }) => {
      await existingThread(store, thread_id)
      return listOf('message', await store.messages.page(thread_id, pageQuery(query)))
    },
  )

  const url = '/threads/:thread_id/messages/:message_id'

  app.get(url, { schema: { params: MessageParams } }, async ({ params: { thread_id, message_id } }) => {
    const message = await store.messages.get(thread_id, message_id)
    if (!message) throw await missing(thread_id, message_id)
    return message
  })

  app.post(
    url,
    { schema: { params: MessageParams, body: ModifyMessage } },
    async ({ params: { thread_id, message_id }, body: { metadata } }) => {
      const message =
        metadata === undefined
          ? await store.messages.get(thread_id, message_id)
          : await store.messages.update(thread_id, message_id, { metadata: metadata ?? {} })
      if (!message) throw await missing(thread_id, message_id)
      return message
    },
  )

  app.delete(url, { schema: { params: MessageParams } }, async ({ params: { thread_id, message_id: id } }) => {
    if (!(await store.messages.delete(thread_id, id))) throw await missing(thread_id, id)
    return { id, object: 'thread.message.deleted', deleted: true }
  })
}
