import { type Static, Type } from '@sinclair/typebox'
import { Closed, Defaulted, Id, Nullable, OneOf, OpenObject } from './common.ts'
import { StoreHelper } from './vector-stores.ts'

const Ranker = OneOf('auto', 'default_2024_08_21')
const CodeInterpreterTool = Closed({ type: Type.Literal('code_interpreter') })
const FileSearchTypeOnly = Closed({ type: Type.Literal('file_search') })

/** A tool as a client may send it. */
export const ToolParam = Type.Union([
  CodeInterpreterTool,
  Closed({
    type: Type.Literal('file_search'),
    file_search: Type.Optional(
      Closed({
        max_num_results: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
        ranking_options: Defaulted(
          Closed({ ranker: Type.Optional(Ranker), score_threshold: Type.Number({ minimum: 0, maximum: 1 }) }),
        ),
      }),
    ),
  }),
  Closed({
    type: Type.Literal('function'),
    function: Closed({
      name: Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9_-]+$' }),
      description: Defaulted(Type.String()),
      parameters: Defaulted(OpenObject),
      strict: Defaulted(Type.Boolean()),
    }),
  }),
])
export type ToolParam = Static<typeof ToolParam>

/** A tool as it is stored and answered: defaults are filled in, as the hosted service does. */
export const Tool = Type.Union([
  Type.Object({ type: Type.Literal('code_interpreter') }),
  Type.Object({
    type: Type.Literal('file_search'),
    file_search: Type.Object({
      max_num_results: Type.Optional(Type.Integer()),
      ranking_options: Type.Object({
        ranker: Ranker,
        score_threshold: Type.Number(),
        hybrid_search: Type.Null(),
      }),
    }),
  }),
  Type.Object({
    type: Type.Literal('function'),
    function: Type.Object({
      name: Type.String(),
      description: Type.Optional(Type.String()),
      parameters: OpenObject,
      strict: Type.Boolean(),
    }),
  }),
])
export type Tool = Static<typeof Tool>

export const AttachmentTool = Type.Union([CodeInterpreterTool, FileSearchTypeOnly])

const CodeInterpreterFiles = Closed({ file_ids: Type.Optional(Type.Array(Id('file'), { maxItems: 20 })) })
const VectorStoreIds = Type.Optional(Type.Array(Id('vs'), { maxItems: 1 }))

/** Tool resources of a create call, with the helper that makes a vector store. */
export const CreateToolResources = Closed({
  code_interpreter: Defaulted(CodeInterpreterFiles),
  file_search: Defaulted(
    Closed({
      vector_store_ids: VectorStoreIds,
      vector_stores: Type.Optional(Type.Array(StoreHelper, { maxItems: 1 })),
    }),
  ),
})
export type CreateToolResources = Static<typeof CreateToolResources>

/** Tool resources of a modify call: without the helper. */
export const ModifyToolResources = Closed({
  code_interpreter: Defaulted(CodeInterpreterFiles),
  file_search: Defaulted(Closed({ vector_store_ids: VectorStoreIds })),
})
export type ModifyToolResources = Static<typeof ModifyToolResources>

export const ToolResources = Type.Object({
  code_interpreter: Type.Optional(Type.Object({ file_ids: Type.Array(Type.String()) })),
  file_search: Type.Optional(Type.Object({ vector_store_ids: Type.Array(Type.String()) })),
})
export type ToolResources = Static<typeof ToolResources>

export const ResponseFormat = Type.Union([
  Type.Literal('auto'),
  Closed({ type: Type.Literal('text') }),
  Closed({ type: Type.Literal('json_object') }),
  Closed({
    type: Type.Literal('json_schema'),
    json_schema: Closed({
      name: Type.String({ minLength: 1, maxLength: 64, pattern: '^[a-zA-Z0-9_-]+$' }),
      description: Type.Optional(Type.String()),
      schema: Type.Optional(OpenObject),
      strict: Defaulted(Type.Boolean()),
    }),
  }),
])
export type ResponseFormat = Static<typeof ResponseFormat>

export const ToolChoice = Type.Union([
  OneOf('none', 'auto', 'required'),
  Closed({ type: Type.Literal('code_interpreter') }),
  Closed({ type: Type.Literal('file_search') }),
  Closed({ type: Type.Literal('function'), function: Closed({ name: Type.String() }) }),
])
export type ToolChoice = Static<typeof ToolChoice>

export const ReasoningEffort = OneOf('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')
export const OptionalReasoningEffort = Nullable(ReasoningEffort)

/** Fills in what the hosted service fills in: function parameters and `strict`, file_search ranking options. */
export function completeTools(tools: readonly ToolParam[]): Tool[] {
  return tools.map((tool): Tool => {
    if (tool.type === 'code_interpreter') return tool
    if (tool.type === 'file_search') {
      const { max_num_results, ranking_options } = tool.file_search ?? {}
      return {
        type: 'file_search',
        file_search: {
          ...(max_num_results !== undefined && { max_num_results }),
          ranking_options: {
            ranker: ranking_options?.ranker ?? 'default_2024_08_21',
            score_threshold: ranking_options?.score_threshold ?? 0,
            hybrid_search: null,
          },
        },
      }
    }
    const { name, description, parameters, strict } = tool.function
    return {
      type: 'function',
      function: {
        name,
        ...(typeof description === 'string' && { description }),
        parameters: parameters ?? { type: 'object', properties: {} },
        strict: strict ?? false,
      },
    }
  })
}

/** What a modify call leaves of the resources: tool by tool it replaces what it names, and null gives up all. */
export const merged = (
  before: ToolResources,
  given: ModifyToolResources | null | undefined,
): ModifyToolResources | null => (given === null ? null : { ...before, ...given })

/** The resources as answered: given ones, and an empty entry for each enabled tool that has none. */
export function completeResources(
  given: CreateToolResources | null | undefined,
  tools: readonly Tool[],
): ToolResources {
  const enabled = new Set(tools.map((tool) => tool.type))
  const resources: ToolResources = {}
  if (given?.code_interpreter || enabled.has('code_interpreter')) {
    resources.code_interpreter = { file_ids: given?.code_interpreter?.file_ids ?? [] }
  }
  if (given?.file_search || enabled.has('file_search')) {
    resources.file_search = { vector_store_ids: given?.file_search?.vector_store_ids ?? [] }
  }
  return resources
}
