import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'

const Whole = (range: { minimum: number; maximum: number; default: number }) => Type.Integer(range)
const Text = (fallback: string) => Type.String({ minLength: 1, default: fallback })

const Environment = Type.Object({
  PORT: Whole({ minimum: 0, maximum: 65_535, default: 3000 }),
  HOST: Text('127.0.0.1'),
  DATABASE_URL: Type.String({ pattern: '^sqlite:.', default: 'sqlite:./assistants.db', meaning: 'sqlite: and a path' }),
  DATA_DIR: Text('./data'),
  SQLITE_SYNCHRONOUS: Type.Union([Type.Literal('NORMAL'), Type.Literal('FULL')], { default: 'NORMAL' }),
  OPENAI_BASE_URL: Type.Optional(Type.String({ pattern: '^https?://.', meaning: 'an http:// or https:// URL' })),
  OPENAI_API_KEY: Type.Optional(Type.String()),
  MODELS: Type.Optional(Type.String()),
  BACKENDS_CONFIG: Type.Optional(Type.String()),
  EMBEDDING_MODEL: Type.Optional(Type.String()),
  API_KEYS: Type.Optional(Type.String()),
  TOOLS: Type.Optional(Type.String()),
  MCP_CONFIG: Type.Optional(Type.String()),
  CODE_INTERPRETER: Type.Union(
    (['auto', 'pyodide', 'bubblewrap', 'off'] as const).map((driver) => Type.Literal(driver)),
    { default: 'auto' },
  ),
  CODE_INTERPRETER_WHEELS: Type.Optional(Type.String()),
  CODE_INTERPRETER_PYTHON: Text('/usr/bin/python3'),
  CODE_INTERPRETER_TIMEOUT_SECONDS: Whole({ minimum: 1, maximum: 3600, default: 60 }),
  CODE_INTERPRETER_MEMORY_MIB: Whole({ minimum: 256, maximum: 65_536, default: 768 }),
  CODE_INTERPRETER_SESSIONS: Whole({ minimum: 1, maximum: 1000, default: 20 }),
  CODE_INTERPRETER_IDLE_SECONDS: Whole({ minimum: 1, maximum: 86_400, default: 3600 }),
  LOG_LEVEL: Type.Union(
    ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => Type.Literal(level)),
    { default: 'info' },
  ),
  RUN_EXPIRY_SECONDS: Whole({ minimum: 1, maximum: 86_400, default: 600 }),
  RUN_LEASE_SECONDS: Whole({ minimum: 1, maximum: 3600, default: 15 }),
  RUN_TOOL_ROUNDS: Whole({ minimum: 1, maximum: 10_000, default: 100 }),
  RUN_CONCURRENCY: Whole({ minimum: 1, maximum: 10_000, default: 128 }),
  INGESTION_CONCURRENCY: Whole({ minimum: 1, maximum: 64, default: 2 }),
  BACKEND_CONCURRENCY: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  BACKEND_RETRIES: Whole({ minimum: 0, maximum: 10, default: 2 }),
  SHUTDOWN_SECONDS: Whole({ minimum: 0, maximum: 600, default: 8 }),
})

export interface Config extends Omit<Static<typeof Environment>, 'API_KEYS' | 'TOOLS' | 'MODELS'> {
  /** Empty: development mode, in which any key is good. */
  API_KEYS: string[]
  /** Paths of modules. */
  TOOLS: string[]
  /** Names of models, each with what it is called at the backend. */
  MODELS: [string, string][]
}

/** What is wrong with the configuration, in a sentence that names the variable. */
export class ConfigError extends Error {}

/** Reads the variables that are ours. An empty value counts as none. Throws a ConfigError. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const raw: Record<string, unknown> = {}
  for (const [name, schema] of Object.entries(Environment.properties)) {
    const value = env[name]?.trim()
    raw[name] = value ? readValue(name, schema, value) : schema.default
  }
  const { API_KEYS, TOOLS, MODELS, ...values } = raw as Static<typeof Environment>
  const keys = listIn(API_KEYS)
  if (API_KEYS !== undefined && keys.length === 0)
    throw new ConfigError('API_KEYS names no key; leave it out or list keys with commas between them.')
  if (keys.length === 0 && !isLoopback(values.HOST)) {
    throw new ConfigError(
      `HOST is '${values.HOST}', which others can reach, but API_KEYS names no key: set API_KEYS, or leave HOST at 127.0.0.1.`,
    )
  }
  return { ...values, API_KEYS: keys, TOOLS: listIn(TOOLS), MODELS: listIn(MODELS).map(pairIn) }
}

/** What stands between commas. */
const listIn = (text = '') =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)

function pairIn(text: string): [string, string] {
  const [, name, model] = /^([^=\s]+)\s*=\s*(\S+)$/.exec(text) ?? []
  if (name && model) return [name, model]
  throw new ConfigError(`MODELS must be pairs such as gpt-4o=qwen3:4b with commas between them, not '${text}'.`)
}

function readValue(name: string, schema: TSchema, text: string): unknown {
  const value = schema.type === 'integer' && /^-?\d{1,9}$/.test(text) ? Number(text) : text
  if (!TypeCompiler.Compile(schema).Check(value))
    throw new ConfigError(`${name} must be ${meaningOf(schema)}, not '${text.replace(/\/\/[^@/]*@/, '//***@')}'.`)
  return value
}

function meaningOf(schema: TSchema): string {
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`
  if (schema.anyOf) return `one of ${schema.anyOf.map((one: TSchema) => one.const).join(', ')}`
  return schema.meaning ?? 'a text'
}

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
