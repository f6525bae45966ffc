import { type Static, Type } from '@sinclair/typebox'
import { invalidRequest } from '../errors.ts'
import { Closed, Defaulted, Id, Nullable, OneOf, OpenObject } from './common.ts'
import { StoreHelper } from './vector-stores.ts'

const Ranker = OneOf('auto', 'default_2024_08_21')
const CodeInterpreterTool = Closed({ type: Type.Literal('code_interpreter') })
const FileSearchTypeOnly = Closed({ type: Type.Literal('file_search') })

export const builtInTools: readonly string[] = ['code_interpreter', 'file_search', 'function']

declare const custom: unique symbol
/** The name of a tool of the operator's; a type of its own, so that the others can be told apart by theirs. */
export type CustomType = string & { readonly [custom]: true }
// differs: the hosted service knew no tools but its own.
const CustomTool = Closed({
  type: Type.Unsafe<CustomType>(Type.String({ pattern: `^(?!(?:${builtInTools.join('|')})$)[a-zA-Z0-9_-]{1,64}$` })),
})

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
  CustomTool,
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
  CustomTool,
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

/**
 * Fills in what the hosted service fills in: function parameters and `strict`, file_search ranking options. Throws an
 * ApiError for a tool that is neither built in nor one of the operator's.
 */
export function completeTools(tools: readonly ToolParam[], customTypes: ReadonlySet<string>): Tool[] {
  return tools.map((tool, index): Tool => {
    if (isFileSearch(tool)) {
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
    if (isFunction(tool)) {
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
    }
    if (isCustom(tool) && !customTypes.has(tool.type)) {
      throw unknownTool(tool.type, [...builtInTools, ...customTypes], `tools[${index}].type`)
    }
    return tool
  })
}

// A comparison of `type` does not tell the types apart for TypeScript, since a custom one may be any text.
export const isFunction = <T extends { type: string }>(tool: T): tool is Extract<T, { type: 'function' }> =>
  tool.type === 'function'
export const isFileSearch = <T extends { type: string }>(tool: T): tool is Extract<T, { type: 'file_search' }> =>
  tool.type === 'file_search'
export const isCustom = <T extends { type: string }>(tool: T): tool is Extract<T, { type: CustomType }> =>
  !builtInTools.includes(tool.type)

function unknownTool(type: string, known: readonly string[], param: string) {
  const listed = `${known
    .slice(0, -1)
    .map((name) => `'${name}'`)
    .join(', ')}, and '${known.at(-1)}'`
  const message = `Invalid value: '${type}'. Supported values are: ${listed}.`
  return invalidRequest(message, { param, code: 'invalid_value' })
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
