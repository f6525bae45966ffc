import { readFileSync } from 'node:fs'
import { Ajv, type AnySchema, type ValidateFunction } from 'ajv'
import { builtInTools } from '../../src/schemas/tools.ts'

/**
 * Checks answers against the published OpenAPI document of the Assistants API, if OPENAPI_SPEC names a file with it.
 * The document is not part of this repository; without it nothing is checked here.
 */
interface Operation {
  responses: Record<string, { content?: { 'application/json'?: { schema: AnySchema } } }>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, Record<string, unknown>> }
}

const file = process.env.OPENAPI_SPEC
const document: Document | undefined = file ? JSON.parse(readFileSync(file, 'utf8')) : undefined

const ajv = new Ajv({ strict: false, validateFormats: false, discriminator: false })
const validated = new Set<string>()
const compiled = new Map<string, ValidateFunction>()

/** OpenAPI 3.0's `nullable`, which the document uses beside 3.1's types, in the words of JSON Schema. */
function withoutNullable(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutNullable)
  if (typeof schema !== 'object' || schema === null) return schema
  const { nullable, ...rest } = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, withoutNullable(value)]),
  )
  const { allOf } = rest as { allOf?: { nullable?: boolean }[] }
  const isNullable = nullable === true || (schema as { allOf?: unknown[] }).allOf?.some(isOnlyNullable)
  if (allOf) rest.allOf = allOf.filter((one) => Object.keys(one).length > 0)
  return isNullable && Object.keys(rest).length > 0 ? { anyOf: [rest, { type: 'null' }] } : rest
}

const isOnlyNullable = (schema: unknown) => JSON.stringify(schema) === '{"nullable":true}'

if (document) {
  // The live service sent null where neither assistant nor run have instructions; the document says string.
  const run = document.components.schemas.RunObject as { properties: Record<string, unknown> }
  run.properties.instructions = { type: ['string', 'null'] }
  // A run may have as many tools as an assistant.
  Object.assign(run.properties.tools as object, { maxItems: 128 })
  // What a specialist has left of a budget may be less than a client may ask for.
  for (const limit of ['max_completion_tokens', 'max_prompt_tokens'])
    delete (run.properties[limit] as { minimum?: number }).minimum
  // A vector store without a name had null for it in every recording of the live service; the document says string.
  const vectorStore = document.components.schemas.VectorStoreObject as { properties: Record<string, unknown> }
  vectorStore.properties.name = { type: ['string', 'null'] }
  // Files may be uploaded for `evals`, but what the document answers then is forgotten in it.
  const openAiFile = document.components.schemas.OpenAIFile as { properties: { purpose: { enum: string[] } } }
  openAiFile.properties.purpose.enum.push('evals')
  // The ids of an empty list are null in every recording of the live service; the document says string.
  for (const [name, { properties }] of Object.entries(document.components.schemas)) {
    if (!/^List\w+Response$/.test(name)) continue
    Object.assign(properties as object, {
      first_id: { type: ['string', 'null'] },
      last_id: { type: ['string', 'null'] },
    })
  }
  ajv.addSchema(withoutNullable(document) as AnySchema, 'spec')
}

const escapePointer = (text: string) => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))

/** Tools that an operator adds are none of the document's. */
const withoutCustomTools = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, item) =>
      key === 'tools' && Array.isArray(item) ? item.filter(({ type }) => builtInTools.includes(type)) : item,
    ),
  )

function check(pointer: string, sent: unknown, what: string) {
  const value = withoutCustomTools(sent)
  const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `spec#/${pointer}` })
  compiled.set(pointer, validate)
  if (validate(value)) return
  throw new Error(`${what} breaks the published schema: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`)
}

export function checkAnswer(method: string, path: string, status: number, body: unknown) {
  if (!document) return
  if (status >= 400) return check('components/schemas/ErrorResponse', body, `${status} to ${method} ${path}`)
  const template = Object.keys(document.paths).find(
    (one) => matches(one, path) && method.toLowerCase() in (document.paths[one] ?? {}),
  )
  if (!template) return
  const pointer = `paths/${escapePointer(template)}/${method.toLowerCase()}/responses/200/content/application~1json/schema`
  check(pointer, body, `${method} ${path}`)
  validated.add(`${method.toLowerCase()} ${template}`)
}

/** The operations of the document of which no answer has been checked in this file's tests; none without a document. */
export const unvalidated = () =>
  Object.entries(document?.paths ?? {})
    .flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method} ${path}`))
    .filter((operation) => !validated.has(operation))

function matches(template: string, path: string): boolean {
  const wanted = template.split('/')
  const given = path.replace(/^\/v1/, '').split('/')
  const isStatic = Object.keys(document?.paths ?? {}).includes(path.replace(/^\/v1/, ''))
  if (isStatic) return template === path.replace(/^\/v1/, '')
  return wanted.length === given.length && wanted.every((part, index) => part.startsWith('{') || part === given[index])
}

export function checkEvent(event: string, data: unknown) {
  if (document) check('components/schemas/AssistantStreamEvent', { event, data }, `event ${event}`)
}
