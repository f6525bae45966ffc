import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Clock, seconds } from '../clock.ts'
import { notFound } from '../errors.ts'
import { listOf, pageQuery } from '../http/pages.ts'
import { newId } from '../ids.ts'
import { existingAssistant } from '../runs/existing.ts'
import { checkFormat } from '../runs/new-run.ts'
import { type Assistant, CreateAssistant, ModifyAssistant } from '../schemas/assistants.ts'
import { ListQuery } from '../schemas/common.ts'
import { AssistantParams } from '../schemas/params.ts'
import { completeTools, merged } from '../schemas/tools.ts'
import type { Store } from '../store/store.ts'
import type { Resources } from '../vector-stores/resources.ts'

const defaults = {
  name: null,
  description: null,
  instructions: null,
  top_p: 1,
  temperature: 1,
  reasoning_effort: null,
  metadata: {},
  response_format: 'auto',
} satisfies Partial<Assistant>

interface Options {
  store: Store
  resources: Resources
  /** The tools of the operator's. */
  customTypes: ReadonlySet<string>
  clock: Clock
}

type Settings = Pick<Assistant, keyof typeof defaults>

/** The settings that a body names; a null stands for the default. */
function settingsIn(body: Partial<ModifyAssistant>): Partial<Settings> {
  const named = (Object.keys(defaults) as (keyof Settings)[]).filter((key) => body[key] !== undefined)
  return Object.fromEntries(named.map((key) => [key, body[key] ?? defaults[key]]))
}

export const assistantRoutes: FastifyPluginAsyncTypebox<Options> = async (
  app,
  { store, resources, customTypes, clock },
) => {
  app.post('/assistants', { schema: { body: CreateAssistant } }, async ({ body }): Promise<Assistant> => {
    const tools = completeTools(body.tools ?? [], customTypes)
    const assistant: Assistant = {
      id: newId('asst_'),
      object: 'assistant',
      created_at: seconds(clock),
      model: body.model,
      tools,
      tool_resources: {},
      ...defaults,
      ...settingsIn(body),
    }
    checkFormat(assistant.response_format, tools)
    assistant.tool_resources = await resources.ofAssistant(body.tool_resources, tools)
    await store.assistants.insert(assistant)
    return assistant
  })

  app.get('/assistants', { schema: { querystring: ListQuery } }, async ({ query }) =>
    listOf('assistant', await store.assistants.page(pageQuery(query))),
  )

  app.get('/assistants/:assistant_id', { schema: { params: AssistantParams } }, ({ params }) =>
    existingAssistant(store, params.assistant_id),
  )

  app.post(
    '/assistants/:assistant_id',
    { schema: { params: AssistantParams, body: ModifyAssistant } },
    async ({ params: { assistant_id: id }, body }) => {
      const before = await existingAssistant(store, id)
      const tools = body.tools === undefined ? before.tools : completeTools(body.tools ?? [], customTypes)
      const settings = settingsIn(body)
      checkFormat(settings.response_format ?? before.response_format, tools)
      const assistant = await store.assistants.update(id, {
        ...(body.model !== undefined && { model: body.model }),
        ...settings,
        tools,
        tool_resources: await resources.ofAssistant(
          merged(before.tool_resources, body.tool_resources),
          tools,
          before.tool_resources,
        ),
      })
      if (!assistant) throw notFound('assistant', id)
      return assistant
    },
  )

  app.delete('/assistants/:assistant_id', { schema: { params: AssistantParams } }, async ({ params }) => {
    const { assistant_id: id } = params
    if (!(await store.assistants.delete(id))) throw notFound('assistant', id)
    return { id, object: 'assistant.deleted', deleted: true }
  })
}
