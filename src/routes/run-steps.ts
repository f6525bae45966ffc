import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { notFound } from '../errors.ts'
import { includesContent } from '../http/include.ts'
import { listOf, pageQuery } from '../http/pages.ts'
import { existingRun } from '../runs/existing.ts'
import { ListQuery } from '../schemas/common.ts'
import { RunParams, StepParams } from '../schemas/params.ts'
import { shownStep } from '../schemas/run-steps.ts'
import type { Store } from '../store/store.ts'

export const runStepRoutes: FastifyPluginAsyncTypebox<{ store: Store }> = async (app, { store }) => {
  app.get(
    '/threads/:thread_id/runs/:run_id/steps',
    { schema: { params: RunParams, querystring: ListQuery } },
    async ({ params, query, url }) => {
      const withContent = includesContent(url)
      await existingRun(store, params.thread_id, params.run_id)
      const { data, ...envelope } = listOf('run step', await store.steps.page(params.run_id, pageQuery(query)))
      return { ...envelope, data: data.map((step) => shownStep(step, withContent)) }
    },
  )

  app.get(
    '/threads/:thread_id/runs/:run_id/steps/:step_id',
    { schema: { params: StepParams } },
    async ({ params, url }) => {
      const withContent = includesContent(url)
      await existingRun(store, params.thread_id, params.run_id)
      const step = await store.steps.get(params.run_id, params.step_id)
      if (!step) throw notFound('run step', params.step_id)
      return shownStep(step, withContent)
    },
  )
}
