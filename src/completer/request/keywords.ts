import type { ChatCompletionFunctionTool } from 'openai/resources/chat/completions'
import { isRecord } from '../answer/raw.ts'

/** Where a schema has schemas by names of its own, which are no keywords. */
const named = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']
/** Where it has values. */
const values = ['enum', 'const', 'default', 'examples', 'required']

/** A tool without keywords that the model's backend refuses: of the JSON Schema of its parameters, or `strict`. */
export function withoutKeywords(
  tool: ChatCompletionFunctionTool,
  refused: readonly string[],
): ChatCompletionFunctionTool {
  const { parameters, ...rest } = tool.function
  const kept = Object.fromEntries(Object.entries(rest).filter(([key]) => !refused.includes(key)))
  return {
    ...tool,
    function: {
      name: tool.function.name,
      ...kept,
      ...(parameters && { parameters: schemaWithout(parameters, refused) }),
    },
  }
}

/** A JSON Schema without these keywords. */
export function schemaWithout<T>(schema: T, refused: readonly string[]): T
export function schemaWithout(schema: unknown, refused: readonly string[]): unknown {
  if (Array.isArray(schema)) return schema.map((one) => schemaWithout(one, refused))
  if (!isRecord(schema)) return schema
  const kept = Object.entries(schema).filter(([key]) => !refused.includes(key))
  return Object.fromEntries(kept.map(([key, value]) => [key, inner(key, value, refused)]))
}

function inner(key: string, value: unknown, refused: readonly string[]): unknown {
  if (values.includes(key)) return value
  if (!named.includes(key) || !isRecord(value)) return schemaWithout(value, refused)
  return Object.fromEntries(Object.entries(value).map(([name, schema]) => [name, schemaWithout(schema, refused)]))
}
