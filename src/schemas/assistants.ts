import { type Static, Type } from '@sinclair/typebox'
import { Closed, Defaulted, Metadata, Nullable, Seconds } from './common.ts'
import {
  CreateToolResources,
  ModifyToolResources,
  OptionalReasoningEffort,
  ReasoningEffort,
  ResponseFormat,
  Tool,
  ToolParam,
  ToolResources,
} from './tools.ts'

export const Assistant = Type.Object({
  id: Type.String(),
  object: Type.Literal('assistant'),
  created_at: Seconds,
  name: Nullable(Type.String()),
  description: Nullable(Type.String()),
  model: Type.String(),
  instructions: Nullable(Type.String()),
  tools: Type.Array(Tool),
  top_p: Type.Number(),
  temperature: Type.Number(),
  reasoning_effort: OptionalReasoningEffort,
  tool_resources: ToolResources,
  metadata: Metadata,
  response_format: ResponseFormat,
})
export type Assistant = Static<typeof Assistant>

const Settings = {
  name: Defaulted(Type.String({ maxLength: 256 })),
  description: Defaulted(Type.String({ maxLength: 512 })),
  instructions: Defaulted(Type.String({ maxLength: 256_000 })),
  tools: Defaulted(Type.Array(ToolParam, { maxItems: 128 })),
  top_p: Defaulted(Type.Number({ minimum: 0, maximum: 1 })),
  temperature: Defaulted(Type.Number({ minimum: 0, maximum: 2 })),
  reasoning_effort: Defaulted(ReasoningEffort),
  metadata: Defaulted(Metadata),
  response_format: Defaulted(ResponseFormat),
}

const Model = Type.String({ minLength: 1, maxLength: 256 })

export const CreateAssistant = Closed({ model: Model, ...Settings, tool_resources: Defaulted(CreateToolResources) })
export type CreateAssistant = Static<typeof CreateAssistant>

export const ModifyAssistant = Closed({
  model: Type.Optional(Model),
  ...Settings,
  tool_resources: Defaulted(ModifyToolResources),
})
export type ModifyAssistant = Static<typeof ModifyAssistant>
