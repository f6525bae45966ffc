import { type TSchema, Type } from '@sinclair/typebox'
import { Closed, OneOf } from './common.ts'

type Scalar = string | number | boolean
type Attributes = Readonly<Record<string, Scalar>>

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

/** How many comparisons a filter has. */
export const sizeOf = (filter: Filter): number =>
  'filters' in filter ? filter.filters.reduce((sum, one) => sum + sizeOf(one), 0) : 1

/**
 * Whether a file with these attributes passes. One without the key, or with a value of another type, passes `ne` and
 * `nin` and nothing else. Strings compare by their UTF-16 units.
 */
export function passes(filter: Filter, attributes: Attributes): boolean {
  switch (filter.type) {
    case 'and':
      return filter.filters.every((one) => passes(one, attributes))
    case 'or':
      return filter.filters.some((one) => passes(one, attributes))
    case 'in':
      return isAmong(filter, attributes)
    case 'nin':
      return !isAmong(filter, attributes)
    case 'ne':
      return !compares({ ...filter, type: 'eq' }, attributes)
    default:
      return compares(filter, attributes)
  }
}

const attributeOf = (attributes: Attributes, key: string) =>
  Object.hasOwn(attributes, key) ? attributes[key] : undefined

function isAmong({ key, value }: { key: string; value: (string | number)[] }, attributes: Attributes): boolean {
  const own = attributeOf(attributes, key)
  return own !== undefined && (value as Scalar[]).includes(own)
}

function compares({ type, key, value }: { type: string; key: string; value: Scalar }, attributes: Attributes): boolean {
  const own = attributeOf(attributes, key)
  if (own === undefined || typeof own !== typeof value) return false
  switch (type) {
    case 'eq':
      return own === value
    case 'gt':
      return own > value
    case 'gte':
      return own >= value
    case 'lt':
      return own < value
    default:
      return own <= value
  }
}
