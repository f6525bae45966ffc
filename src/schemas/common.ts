import { type Static, type TProperties, type TSchema, Type } from '@sinclair/typebox'

/** An object without further keys: the API refuses unknown parameters at any depth. */
export const Closed = <P extends TProperties>(properties: P) => Type.Object(properties, { additionalProperties: false })

/** An object whose keys are the caller's own, such as a JSON schema. */
export const OpenObject = Type.Unsafe<Record<string, unknown>>(Type.Object({}, { additionalProperties: true }))

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])

/** A parameter that may be left out or sent as null; both mean its default. */
export const Defaulted = <T extends TSchema>(schema: T) => Type.Optional(Nullable(schema))

export const OneOf = <const V extends readonly string[]>(...values: V) =>
  Type.Unsafe<V[number]>(Type.Union(values.map((value) => Type.Literal(value))))

/** An id, of which only the prefix is checked: `thread_`, `asst_`, `file-` … are otherwise opaque. */
export const Id = (prefix: string) => Type.String({ pattern: `^${prefix}`, prefix })

/** Unix time in whole seconds. */
export const Seconds = Type.Integer()

/** At most 16 pairs; keys of at most 64 characters, values strings of at most 512. */
export const Metadata = Type.Record(Type.String({ pattern: '^[^]{0,64}$' }), Type.String({ maxLength: 512 }), {
  maxProperties: 16,
  additionalProperties: false,
})
export type Metadata = Static<typeof Metadata>

/** Cursor pagination: `after` and `before` are ids of objects of the listed kind, exclusive. */
export const ListQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  order: Type.Optional(OneOf('asc', 'desc')),
  after: Type.Optional(Type.String()),
  before: Type.Optional(Type.String()),
})
export type ListQuery = Static<typeof ListQuery>
