import { type Static, Type } from '@sinclair/typebox'
import { Closed, Defaulted, Metadata, Seconds } from './common.ts'
import { CreateMessage } from './messages.ts'
import { CreateToolResources, ModifyToolResources, ToolResources } from './tools.ts'

export const Thread = Type.Object({
  id: Type.String(),
  object: Type.Literal('thread'),
  created_at: Seconds,
  metadata: Metadata,
  tool_resources: ToolResources,
})
export type Thread = Static<typeof Thread>

export const CreateThread = Closed({
  messages: Defaulted(Type.Array(CreateMessage)),
  tool_resources: Defaulted(CreateToolResources),
  metadata: Defaulted(Metadata),
})
export type CreateThread = Static<typeof CreateThread>

export const ModifyThread = Closed({
  tool_resources: Defaulted(ModifyToolResources),
  metadata: Defaulted(Metadata),
})
export type ModifyThread = Static<typeof ModifyThread>
