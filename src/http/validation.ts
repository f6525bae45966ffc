import type { TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import type { FastifyInstance, FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import { invalidRequest } from '../errors.ts'
import { explain } from './explain.ts'

/** Deeper bodies are refused: nothing in the API needs them, and they would exhaust the stack of whoever walks them. */
const maxDepth = 128

const notJson =
  "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid JSON.)"

/** Bodies are strict, paths and query strings lenient: unknown keys of a query are ignored, its numbers are read as such. */
const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  // By the first request: a start should take no longer for what nobody asks for.
  let compiled: TypeCheck<TSchema> | undefined
  return (sent: unknown) => {
    compiled ??= TypeCompiler.Compile(schema)
    const value = httpPart === 'querystring' ? readQuery(schema, sent as Record<string, unknown>) : (sent ?? {})
    if (compiled.Check(value)) return { value }
    return { error: explain(schema, value) ?? invalidRequest('The request is not valid.') }
  }
}

/** In place of the compilers that Fastify would load otherwise: Ajv, and a serializer that drops what it does not know. */
export const compilersFactory = {
  // Fastify's types know of Ajv alone.
  buildValidator: (() => compileValidator) as unknown as CompilersFactory['buildValidator'],
  buildSerializer: () => () => JSON.stringify,
}

type CompilersFactory = NonNullable<NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']>

/** Takes JSON bodies and no others; an empty one is none. */
export function useJson(app: FastifyInstance) {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      const body: unknown = text === '' ? undefined : parsed(text as string)
      if (isDeeperThan(maxDepth, body))
        done(invalidRequest(`The JSON body is nested more than ${maxDepth} levels deep.`))
      else done(null, body)
    } catch (error) {
      done(Object.assign(invalidRequest(notJson), { cause: error }))
    }
  })
}

/** A lone surrogate, which only an escape can bring, has no UTF-8 form: it would be answered otherwise than it is kept. */
function parsed(text: string): unknown {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return JSON.parse(text)
  return JSON.parse(text, (_key, value) => (typeof value === 'string' ? value.toWellFormed() : value))
}

function readQuery(schema: TSchema, sent: Record<string, unknown>): Record<string, unknown> {
  const read: Record<string, unknown> = {}
  for (const [key, property] of Object.entries<TSchema>(schema.properties)) {
    const raw = sent[key]
    // A repeated key: the last one counts.
    const value = Array.isArray(raw) ? raw.at(-1) : raw
    if (value === undefined || value === '') continue
    read[key] = property.type === 'integer' && /^-?\d{1,15}$/.test(String(value)) ? Number(value) : value
  }
  return read
}

function isDeeperThan(depth: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((item) => isDeeperThan(depth - 1, item))
}
