import { Kind, type TObject, type TSchema } from '@sinclair/typebox'
import { type ApiError, invalidRequest } from '../errors.ts'

/**
 * The first thing wrong with a value, as the hosted API says it: required keys, then unknown keys, then field by
 * field. `path` names the value: `tools[0].function.name`. Undefined if the value is right.
 */
export function explain(schema: TSchema, value: unknown, path = ''): ApiError | undefined {
  if (schema.anyOf) return explainUnion(schema.anyOf, value, path)
  if (schema.const !== undefined) return value === schema.const ? undefined : notAmong([schema.const], value, path)
  if (!hasType(schema, value)) return wrongType([schema], value, path)
  switch (schema.type) {
    case 'object':
      return explainObject(schema as TObject, value as Record<string, unknown>, path)
    case 'array':
      return explainArray(schema, value as unknown[], path)
    case 'string':
      return explainString(schema, value as string, path)
    case 'integer':
    case 'number':
      return explainNumber(schema, value as number, path)
    default:
      return undefined
  }
}

function explainObject(schema: TSchema, value: Record<string, unknown>, path: string): ApiError | undefined {
  const at = (key: string) => (path === '' ? key : `${path}.${key}`)
  const properties: Record<string, TSchema> = schema.properties ?? {}
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key))
      return problem(`Missing required parameter: '${at(key)}'.`, at(key), 'missing_required_parameter')
  }
  const [pattern, valueSchema] = Object.entries<TSchema>(schema.patternProperties ?? {})[0] ?? []
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(properties, key) || schema.additionalProperties !== false) continue
    if (!pattern) return problem(`Unknown parameter: '${at(key)}'.`, at(key), 'unknown_parameter')
    if (!new RegExp(pattern).test(key)) {
      const name = `${key.slice(0, 3)}...${key.slice(-3)}`
      const rule = `Expected a string with maximum length 64, but got a string with length ${key.length} instead`
      const message = `Invalid property name in '${path}': '${name}' is too long. ${rule}.`
      return problem(message, at(key), 'property_name_above_max_length')
    }
  }
  const count = Object.keys(value).length
  if (count > (schema.maxProperties ?? Number.POSITIVE_INFINITY)) {
    const rule = `Expected an object with at most ${schema.maxProperties} properties, but got an object with ${count} properties instead`
    return problem(`Invalid '${path}': too many properties. ${rule}.`, path, 'object_above_max_properties')
  }
  for (const [key, item] of Object.entries(value)) {
    const own = Object.hasOwn(properties, key) ? properties[key] : valueSchema
    const found = own && explain(own, item, at(key))
    if (found) return found
  }
  return undefined
}

function explainArray(schema: TSchema, value: unknown[], path: string): ApiError | undefined {
  const { maxItems = Number.POSITIVE_INFINITY, minItems = 0, items } = schema
  if (value.length > maxItems) {
    const rule = `Expected an array with maximum length ${maxItems}, but got an array with length ${value.length} instead`
    return problem(`Invalid '${path}': array too long. ${rule}.`, path, 'array_above_max_length')
  }
  if (value.length < minItems) {
    const rule = `Expected an array with minimum length ${minItems}, but got an empty array instead`
    return problem(`Invalid '${path}': empty array. ${rule}.`, path, 'empty_array')
  }
  for (const [index, item] of value.entries()) {
    const found = explain(items, item, `${path}[${index}]`)
    if (found) return found
  }
  return undefined
}

function explainString(schema: TSchema, value: string, path: string): ApiError | undefined {
  const { maxLength = Number.POSITIVE_INFINITY, minLength = 0, pattern, prefix } = schema
  if (value.length > maxLength) {
    const rule = `Expected a string with maximum length ${maxLength}, but got a string with length ${value.length} instead`
    return problem(`Invalid '${path}': string too long. ${rule}.`, path, 'string_above_max_length')
  }
  if (value.length < minLength) {
    const rule = `Expected a string with minimum length ${minLength}, but got an empty string instead`
    return problem(`Invalid '${path}': empty string. ${rule}.`, path, 'empty_string')
  }
  if (!pattern || new RegExp(pattern).test(value)) return undefined
  if (prefix) {
    return problem(
      `Invalid '${path}': '${shown(value)}'. Expected an ID that begins with '${prefix}'.`,
      path,
      'invalid_value',
    )
  }
  const rule = `Expected a string that matches the pattern '${pattern}'`
  return problem(`Invalid '${path}': string does not match pattern. ${rule}.`, path, 'invalid_value')
}

function explainNumber(schema: TSchema, value: number, path: string): ApiError | undefined {
  const { maximum = Number.POSITIVE_INFINITY, minimum = Number.NEGATIVE_INFINITY } = schema
  const kind = schema.type === 'integer' ? 'integer' : 'decimal'
  if (value > maximum) {
    const rule = `Expected a value <= ${maximum}, but got ${value} instead`
    return problem(`Invalid '${path}': ${kind} above maximum value. ${rule}.`, path, `${kind}_above_max_value`)
  }
  if (value < minimum) {
    const rule = `Expected a value >= ${minimum}, but got ${value} instead`
    return problem(`Invalid '${path}': ${kind} below minimum value. ${rule}.`, path, `${kind}_below_min_value`)
  }
  return undefined
}

/** Of a union, what is wrong with the branch that was meant: the one of the value's type and, for objects, its `type`. */
function explainUnion(branches: TSchema[], value: unknown, path: string): ApiError | undefined {
  const flat = flattened(branches)
  const meant = flat.find((branch) => tagsOf(branch).includes((value as { type?: unknown } | null)?.type))
  if (meant) return explain(meant, value, path)
  if (branches.some((branch) => !explain(branch, value, path))) return undefined
  const fitting = flat.filter((branch) => hasType(branch, value))
  if (fitting.length === 0) return wrongType(flat, value, path)
  if (fitting.every((branch) => branch.const !== undefined)) {
    return notAmong(
      fitting.map((branch) => branch.const),
      value,
      path,
    )
  }
  const tags = fitting.map(tagsOf)
  if (tags.filter((some) => some.length > 0).length > 1) {
    const { type } = value as { type?: unknown }
    const at = path === '' ? 'type' : `${path}.type`
    if (type === undefined) return problem(`Missing required parameter: '${at}'.`, at, 'missing_required_parameter')
    return notAmong(tags.flat(), type, at)
  }
  return explain(fitting[0] as TSchema, value, path)
}

/** The values that an object's `type` may have, where they tell the branches of a union apart. */
function tagsOf({ properties }: TSchema): unknown[] {
  const type: TSchema | undefined = properties?.type
  if (type?.anyOf) return type.anyOf.map((one: TSchema) => one.const)
  return type?.const === undefined ? [] : [type.const]
}

const flattened = (branches: TSchema[]): TSchema[] =>
  branches.flatMap((branch) => (branch.anyOf ? flattened(branch.anyOf) : [branch]))

function notAmong(allowed: unknown[], value: unknown, path: string): ApiError {
  const listed = listOf(
    allowed.map((item) => `'${item}'`),
    'and',
  )
  if (typeof value !== 'string') {
    const expected =
      allowed.length === 1
        ? listed
        : `one of ${listOf(
            allowed.map((item) => `'${item}'`),
            'or',
          )}`
    return problem(
      `Invalid type for '${path}': expected ${expected}, but got ${typeWord(value)} instead.`,
      path,
      'invalid_type',
    )
  }
  const verb = allowed.length === 1 ? 'Supported value is' : 'Supported values are'
  return problem(`Invalid value: '${shown(value)}'. ${verb}: ${listed}.`, path, 'invalid_value')
}

function wrongType(schemas: TSchema[], value: unknown, path: string): ApiError {
  const words = [...new Set(schemas.filter((schema) => schema.type !== 'null').map(expectedWord))]
  const bare = words.map((word) => word.replace(/^an? /, ''))
  const expected = words.length === 1 ? words[0] : `one of a ${listOf(bare, 'or')}`
  const name = path === '' ? 'the request body' : `'${path}'`
  return problem(
    `Invalid type for ${name}: expected ${expected}, but got ${typeWord(value)} instead.`,
    path,
    'invalid_type',
  )
}

const problem = (message: string, path: string, code: string) =>
  invalidRequest(message, { ...(path && { param: path }), code })

const shown = (value: string) => (value.length > 200 ? `${value.slice(0, 200)}…` : value)

const listOf = (words: string[], conjunction: 'and' | 'or') => {
  if (words.length < 3) return words.join(` ${conjunction} `)
  return `${words.slice(0, -1).join(', ')}, ${conjunction} ${words.at(-1)}`
}

function expectedWord(schema: TSchema): string {
  if (schema.type === 'array')
    return schema.items?.type === 'object' || schema.items?.anyOf ? 'an array of objects' : 'an array'
  const words: Record<string, string> = {
    object: 'an object',
    string: 'a string',
    integer: 'an integer',
    number: 'a decimal number',
    boolean: 'a boolean',
  }
  return words[schema.type as string] ?? 'another value'
}

function typeWord(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal number'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function hasType(schema: TSchema, value: unknown): boolean {
  if (schema.anyOf) return schema.anyOf.some((branch: TSchema) => hasType(branch, value))
  switch (schema.type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    default:
      return schema.type === undefined ? schema[Kind] === 'Any' : typeof value === schema.type
  }
}
