import { type TSchema, Type } from '@sinclair/typebox'
import { Closed, OneOf } from './common.ts'

type Scalar = string | number | boolean

/** Which files of a store a search looks at, by their attributes. */
export type Filter =
  | { type: 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte'; key: string; value: Scalar }
  | { type: 'in' | 'nin'; key: string; value: (string | number)[] }
  | { type: 'and' | 'or'; filters: Filter[] }

const key = Type.String({ maxLength: 64 })
const comparisons = [
  Closed({
    type: OneOf('eq', 'ne', 'gt', 'gte', 'lt', 'lte'),
    key,
    value: Type.Union([Type.String(), Type.Number(), Type.Boolean()]),
  }),
  Closed({
    type: OneOf('in', 'nin'),
    key,
    value: Type.Array(Type.Union([Type.String(), Type.Number()]), { maxItems: 1000 }),
  }),
]

/** Nested as deep as anybody needs: a schema without an end could be followed until the stack is full. */
function nested(depth: number): TSchema {
  if (depth === 0) return Type.Union(comparisons)
  const filters = Type.Array(nested(depth - 1), { minItems: 1, maxItems: 1000 })
  return Type.Union([...comparisons, Closed({ type: OneOf('and', 'or'), filters })])
}

export const Filter = Type.Unsafe<Filter>(nested(8))
