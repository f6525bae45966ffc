import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { keyHeader } from '../completer/completer.ts'
import { invalidRequest } from '../errors.ts'
import { listOf, pageQuery } from '../http/pages.ts'
import { sendEvents } from '../http/sse.ts'
import { existingRun, existingThread } from '../runs/existing.ts'
import { type Follower, untilRest } from '../runs/follow.ts'
import { isActive, isTerminal } from '../runs/lifecycle.ts'
import type { RunService, Started } from '../runs/run-service.ts'
import { ListQuery } from '../schemas/common.ts'
import { RunParams, ThreadParams } from '../schemas/params.ts'
import { CreateRun, CreateThreadAndRun, ModifyRun, type Run, SubmitToolOutputs } from '../schemas/runs.ts'
import type { Store } from '../store/store.ts'

interface Options {
  store: Store
  runs: RunService
  follower: Follower
}

// The SDKs' poll helpers go by this; Node's would wait 5 seconds without it.
const pollAfterMs = '300'

function pollable(reply: FastifyReply, run: Run): Run {
  if (isActive(run.status)) reply.header('openai-poll-after-ms', pollAfterMs)
  return run
}

/** The signal of a listener who has gone before anything came. */
const nobody = AbortSignal.abort()

/** What a client has sent as its own key for the backend. */
const keyIn = (headers: FastifyRequest['headers']) => headers[keyHeader]?.toString() || undefined

/** The run as JSON, or its events to its rest, as the body's `stream` wants it. */
async function answerWith(
  reply: FastifyReply,
  stream: boolean | null | undefined,
  start: (listening: AbortSignal) => Promise<Started>,
) {
  if (!stream) return pollable(reply, (await start(nobody)).run)
  await sendEvents(reply, async (listening) => untilRest((await start(listening)).events))
  return reply
}

export const runRoutes: FastifyPluginAsyncTypebox<Options> = async (app, { store, runs, follower }) => {
  app.post('/threads/runs', { schema: { body: CreateThreadAndRun } }, ({ body, headers }, reply) =>
    answerWith(reply, body.stream, (listening) => runs.startWithThread(body, listening, keyIn(headers))),
  )

  app.post(
    '/threads/:thread_id/runs',
    { schema: { params: ThreadParams, body: CreateRun } },
    ({ params: { thread_id }, body, headers }, reply) =>
      answerWith(reply, body.stream, (listening) => runs.start(thread_id, body, listening, keyIn(headers))),
  )

  app.get(
    '/threads/:thread_id/runs',
    { schema: { params: ThreadParams, querystring: ListQuery } },
    async ({ params: { thread_id }, query }) => {
      await existingThread(store, thread_id)
      return listOf('run', await store.runs.page(thread_id, pageQuery(query)))
    },
  )

  const url = '/threads/:thread_id/runs/:run_id'

  app.get(url, { schema: { params: RunParams } }, async ({ params }, reply) =>
    pollable(reply, await existingRun(store, params.thread_id, params.run_id)),
  )

  app.post(
    url,
    { schema: { params: RunParams, body: ModifyRun } },
    async ({ params: { thread_id, run_id }, body: { metadata } }) => {
      const run = await existingRun(store, thread_id, run_id)
      if (!isTerminal(run.status)) throw invalidRequest(`Cannot update run with status '${run.status}'.`)
      if (metadata === undefined) return run
      return (await store.runs.update(thread_id, run_id, { metadata: metadata ?? {} })) ?? run
    },
  )

  app.post(`${url}/cancel`, { schema: { params: RunParams } }, async ({ params: { thread_id, run_id } }, reply) =>
    pollable(reply, await runs.cancel(thread_id, run_id)),
  )

  app.post(
    `${url}/submit_tool_outputs`,
    { schema: { params: RunParams, body: SubmitToolOutputs } },
    ({ params: { thread_id, run_id }, body, headers }, reply) =>
      answerWith(reply, body.stream, (listening) => runs.submit(thread_id, run_id, body, listening, keyIn(headers))),
  )

  // differs: the hosted service cannot attach to runs that have begun.
  app.get(
    `${url}/stream`,
    { schema: { params: RunParams }, exposeHeadRoute: false },
    async ({ params: { thread_id, run_id } }, reply) => {
      await sendEvents(reply, (listening) => follower.run(thread_id, run_id, listening))
      return reply
    },
  )

  app.get(
    '/threads/:thread_id/runs/stream',
    { schema: { params: ThreadParams }, exposeHeadRoute: false },
    async ({ params }, reply) => {
      await sendEvents(reply, (listening) => follower.thread(params.thread_id, listening))
      return reply
    },
  )
}
