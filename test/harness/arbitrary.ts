import type { TSchema } from '@sinclair/typebox'
import fc from 'fast-check'

/** Texts that a schema's pattern asks for. Braces stand for ids that exist, see `fill`. */
const texts: Record<string, fc.Arbitrary<string>> = {
  '^asst': fc.constantFrom('{asst}', '{asst}', '{asst}', 'asst_x'),
  '^file': fc.constantFrom('{file}', '{file}', '{file}', '{file}', 'file-a', 'file_b'),
  '^vs': fc.constantFrom('{vs}', '{vs}', '{vs}', 'vs_a'),
  '^part': fc.constantFrom('{part}', '{part}', '{part}', 'part_x'),
  '^[0-9a-fA-F]{32}$': fc.constantFrom('0cc175b9c0f1b6a831c399e269772661', '0'.repeat(32)),
  '^(https?://|data:image/)': fc.constantFrom('https://example.com/a.png', 'data:image/png;base64,AAAA'),
  '^[a-zA-Z0-9_-]+$': fc.stringMatching(/^[a-zA-Z0-9_-]{1,64}$/),
}
const named: Record<string, fc.Arbitrary<unknown>> = {
  model: fc.constantFrom('demo', 'demo', 'demo', 'other'),
  tool_call_id: fc.constantFrom('{call}', '{call}', 'call_x'),
}
const anyText = (maxLength = 40) => fc.string({ unit: 'binary', maxLength: Math.min(maxLength, 40) })

/** Values that a schema accepts. */
export function valid(schema: TSchema): fc.Arbitrary<unknown> {
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map(valid))
  if (schema.const !== undefined) return fc.constant(schema.const)
  switch (schema.type) {
    case 'object':
      return validObject(schema)
    case 'array':
      return fc.array(valid(schema.items), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3),
      })
    case 'string':
      return texts[schema.pattern] ?? anyText(schema.maxLength)
    case 'integer':
      return fc.integer({ min: schema.minimum ?? -10, max: schema.maximum ?? 1e6 })
    case 'number':
      return fc.double({ min: schema.minimum ?? -10, max: schema.maximum ?? 1e6, noNaN: true })
    case 'boolean':
      return fc.boolean()
    default:
      return fc.constant(null)
  }
}

function validObject(schema: TSchema): fc.Arbitrary<unknown> {
  const [pairs] = Object.values<TSchema>(schema.patternProperties ?? {})
  if (pairs) return fc.dictionary(anyText(), valid(pairs), { maxKeys: 4 })
  if (schema.additionalProperties === true)
    return fc.dictionary(anyText(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
  const properties = Object.entries<TSchema>(schema.properties)
  const model = Object.fromEntries(properties.map(([key, property]) => [key, named[key] ?? valid(property)]))
  return fc.record(model, { requiredKeys: schema.required ?? [] })
}

const nested = (levels: number) => Array.from({ length: levels }).reduce<unknown>((inner) => [inner], 1)

/** Values that fit nowhere, or only just. */
const nasty = fc.oneof(
  { weight: 10, arbitrary: fc.constantFrom<unknown>(null, true, false, '', 'x', [], {}, [null], [[]], 0, -1, 0.5) },
  {
    weight: 5,
    arbitrary: fc.constantFrom<unknown>(
      1e308,
      -0,
      2 ** 53,
      -(2 ** 63),
      5e-324,
      'NaN',
      '\ud800',
      'a\u0000b',
      '\udfff\ud800',
    ),
  },
  { weight: 5, arbitrary: anyText() },
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(nested(100), nested(200), Array(300).fill({}), { type: 'function' }),
  },
  { weight: 1, arbitrary: fc.constantFrom(257, 513, 256_001, 1_048_577).map((length) => '€'.repeat(length)) },
)
const nastyKey = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  '',
  'file_ids',
  'k'.repeat(65),
  '\ud800',
  'type',
)

type Container = Record<string, unknown>
const isContainer = (value: unknown): value is Container => typeof value === 'object' && value !== null
const containersIn = (value: unknown): Container[] =>
  isContainer(value) ? [value, ...Object.values(value).flatMap(containersIn)] : []

const ordinary = { writable: true, enumerable: true, configurable: true }

interface Mutation {
  at: number
  key: number
  how: 'replace' | 'remove' | 'add'
  name: string
  value: unknown
}
const mutation: fc.Arbitrary<Mutation> = fc.record({
  at: fc.nat(),
  key: fc.nat(),
  how: fc.constantFrom('replace', 'replace', 'remove', 'add'),
  name: nastyKey,
  value: nasty,
})

function mutated(value: unknown, { at, key, how, name, value: other }: Mutation): unknown {
  const containers = containersIn(value)
  const container = containers[at % (containers.length || 1)]
  if (!container) return structuredClone(other)
  const keys = Object.keys(container)
  const own = keys[key % (keys.length || 1)]
  const added = how === 'add' || own === undefined
  if (how === 'remove' && !added) delete container[own]
  // An assignment to `__proto__` would make no key.
  else Object.defineProperty(container, added ? name : own, { value: structuredClone(other), ...ordinary })
  return value
}

const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`
const junk = [
  deep,
  `{"model":"demo","tools":[{"type":"function","function":{"name":"f","parameters":{"a":${deep}}}}]}`,

  '',
  ' ',
  '[',
  '['.repeat(100_000),
  '{"a":'.repeat(100_000),
  'null',
  '1e999',
  '\ufeff{}',
  '\u0000',
  '{"a":1,"a":2}',
]

/** Bodies: accepted ones, ones with a few values changed, ones that are hardly JSON or not at all. */
export const bodyOf = (schema: TSchema): fc.Arbitrary<string | Buffer> =>
  fc
    .tuple(
      valid(schema),
      fc.oneof(
        { weight: 2, arbitrary: fc.constant([]) },
        { weight: 3, arbitrary: fc.array(mutation, { maxLength: 3 }) },
      ),
      fc.oneof({ weight: 12, arbitrary: fc.constant('as it is') }, fc.constantFrom('cut', 'torn', 'bytes', 'junk')),
      fc.nat(),
      fc.constantFrom(...junk),
    )
    .map(([value, mutations, damage, at, other]) => {
      const text = JSON.stringify(mutations.reduce(mutated, structuredClone(value))) ?? ''
      const where = at % (text.length + 1)
      if (damage === 'cut') return text.slice(0, where)
      if (damage === 'torn') return text.slice(0, where) + other + text.slice(where)
      if (damage === 'bytes') return Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xc0, 0x80])])
      return damage === 'junk' ? other : text
    })

const aField = (name: string, values: fc.Arbitrary<string>) => values.map((value) => ({ name, value, file: '' }))
const aFile = (name: string) =>
  fc.record({
    name: fc.constant(name),
    file: fc.constantFrom(
      '; filename="a.txt"',
      '; filename="a.txt"',
      "; filename*=UTF-8''%E2%82%AC.md",
      '; filename="a.zip"',
    ),
    value: fc.oneof(fc.constantFrom('a', 'apples and pears', ''), anyText()),
  })
const field = fc.oneof(
  { weight: 6, arbitrary: aFile('file') },
  { weight: 6, arbitrary: aField('purpose', fc.constantFrom('assistants', 'assistants', 'vision', 'x')) },
  { weight: 1, arbitrary: aField('expires_after[seconds]', fc.constantFrom('3600', '1', 'x', '')) },
  { weight: 1, arbitrary: aField('expires_after[anchor]', fc.constantFrom('created_at', 'x')) },
  { weight: 1, arbitrary: aField('__proto__[a]', anyText()) },
  { weight: 1, arbitrary: aField('purpose[', anyText()) },
)

interface Field {
  name: string
  file: string
  value: string
}
const written = (fields: Field[]) =>
  `${fields.map(({ name, file, value }) => `--x\r\ncontent-disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`).join('')}--x--\r\n`

/** Forms with the boundary `x`: right ones for a file or a part, ones with other fields, and broken ones. */
export const formOf = (kind: 'file' | 'part'): fc.Arbitrary<string | Buffer> => {
  const given = { name: 'file', file: '; filename="a.txt"', value: 'apples' }
  const right: Field[] =
    kind === 'part'
      ? [{ ...given, name: 'data', value: 'a' }]
      : [given, { name: 'purpose', file: '', value: 'assistants' }]
  return fc
    .tuple(
      fc.oneof(
        { weight: 2, arbitrary: fc.constant(right) },
        { weight: 1, arbitrary: fc.array(field, { maxLength: 4 }) },
      ),
      fc.oneof({ weight: 9, arbitrary: fc.constant('as it is') }, fc.constantFrom('cut', 'bytes')),
      fc.nat(),
    )
    .map(([fields, damage, at]) => {
      const text = written(fields)
      if (damage === 'cut') return text.slice(0, at % (text.length + 1))
      return damage === 'bytes' ? Buffer.concat([Buffer.from(text), Buffer.from([0xff, 0xc0, 0x80])]) : text
    })
}
