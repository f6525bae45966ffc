import { type Static, Type } from '@sinclair/typebox'

export const Model = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer(),
  owned_by: Type.String(),
})
export type Model = Static<typeof Model>
