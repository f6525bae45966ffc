import { Type } from '@sinclair/typebox'
import { type Config, ConfigError } from '../config.ts'
import { checked, type Environment, type Fail, failIn, filler, isHeader, readJson } from '../config-file.ts'
import { Abilities } from './request/abilities.ts'
import { demoModel } from './routing.ts'
import type { Rule } from './rules.ts'

const Name = Type.String({ minLength: 1, meaning: 'a name' })
const whole = (minimum: number, maximum: number) =>
  Type.Integer({ minimum, maximum, meaning: `a whole number from ${minimum} to ${maximum}` })
const seconds = Type.Number({ exclusiveMinimum: 0, maximum: 86_400, meaning: 'a number of seconds, a day at most' })

const BackendEntry = Type.Object(
  {
    baseURL: Type.String({ meaning: 'an http:// or https:// URL' }),
    apiKey: Type.Optional(Type.String({ minLength: 1, meaning: 'a text' })),
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String({ meaning: 'a text' }), { meaning: 'an object of texts' }),
    ),
    concurrency: Type.Optional(whole(1, 10_000)),
    retries: Type.Optional(whole(0, 10)),
    firstByteSeconds: Type.Optional(seconds),
    idleSeconds: Type.Optional(seconds),
    clientKeys: Type.Optional(Type.Boolean({ meaning: 'true or false' })),
  },
  { additionalProperties: false },
)
const RuleEntry = Type.Object(
  {
    match: Type.String({
      pattern: '^[^*\\s]*\\*?$',
      minLength: 1,
      meaning: 'a name, a beginning with * after it, or *',
    }),
    backend: Name,
    model: Type.Optional(Name),
    window: Type.Optional(whole(256, 100_000_000)),
    can: Type.Optional(Type.Partial(Abilities, { meaning: 'an object', additionalProperties: false })),
  },
  { additionalProperties: false },
)
const File = Type.Object(
  {
    backends: Type.Record(Type.String(), Type.Unknown(), { meaning: 'an object' }),
    models: Type.Array(Type.Unknown(), { meaning: 'a list' }),
  },
  { additionalProperties: false },
)

const variable = 'BACKENDS_CONFIG'

/** A model server, and how it is called. */
export interface BackendSettings {
  name: string
  baseURL: string | undefined
  apiKey: string | undefined
  headers: Record<string, string>
  /** Calls at the same time. */
  concurrency: number | undefined
  retries: number
  idleMs: { first?: number; between?: number }
  /** Each run brings a key of its client's. */
  clientKeys: boolean
  /** Where its key and its address stand, for those who have to correct them. */
  keyIn: string
  urlIn: string
}

export interface Backends {
  backends: readonly BackendSettings[]
  rules: readonly Rule[]
}

/** The backends of the configuration, none to several. Throws a ConfigError. */
export async function readBackends(config: Config, folder: string, env: Environment): Promise<Backends> {
  const { BACKENDS_CONFIG: path, MODELS } = config
  if (!path) return singleBackend(config)
  if (MODELS.length > 0) {
    throw new ConfigError('MODELS is for a single backend; with BACKENDS_CONFIG, its file has the rules for models.')
  }
  const failAt = failIn(variable, path)
  const file = checked(File, await readJson(variable, path, folder), failAt('that'))
  const backends = Object.entries(file.backends).map(([name, entry]) =>
    settingsIn(name, entry, config, env, failAt(`its backend '${name}'`)),
  )
  const names = new Set(backends.map(({ name }) => name))
  const matches = new Set<string>()
  const rules = file.models.map((entry, index) => {
    const rule = checked(RuleEntry, entry, failAt(`its rule ${index + 1}`))
    const fail = failAt(`its rule for '${rule.match}'`)
    if (!names.has(rule.backend)) fail(`names a backend '${rule.backend}' that is not there`)
    if (rule.match === demoModel) fail('is for the built-in model')
    if (matches.has(rule.match)) fail('is there twice')
    matches.add(rule.match)
    return rule
  })
  return { backends, rules }
}

/** Of OPENAI_BASE_URL and OPENAI_API_KEY. Throws a ConfigError. */
export function singleBackend(config: Config): Backends {
  const { OPENAI_BASE_URL: baseURL, OPENAI_API_KEY: apiKey, MODELS, BACKEND_RETRIES: retries } = config
  if (!baseURL && !apiKey) {
    if (MODELS.length === 0) return { backends: [], rules: [] }
    throw new ConfigError('MODELS names models, but there is no backend: set OPENAI_BASE_URL or OPENAI_API_KEY.')
  }
  const backend = 'default'
  const settings: BackendSettings = {
    ...{ name: backend, baseURL, apiKey, headers: {}, concurrency: config.BACKEND_CONCURRENCY, retries, idleMs: {} },
    ...{ clientKeys: false, keyIn: 'OPENAI_API_KEY', urlIn: 'OPENAI_BASE_URL' },
  }
  const rules = new Map<string, Rule>([['*', { match: '*', backend }]])
  for (const [match, model] of MODELS) {
    const flaw = flawOf(match) ?? (rules.get(match)?.model && `names '${match}' twice`)
    if (flaw) throw new ConfigError(`MODELS ${flaw}.`)
    rules.set(match, { match, backend, model })
  }
  return { backends: [settings], rules: [...rules.values()] }
}

function flawOf(match: string): string | undefined {
  if (match === demoModel) return `names '${match}', which is the built-in model`
  return /\*./.test(match) ? `has a * within '${match}'; it can only be at the end` : undefined
}

function settingsIn(name: string, entry: unknown, config: Config, env: Environment, fail: Fail): BackendSettings {
  if (name === '') fail('has no name')
  const { firstByteSeconds, idleSeconds, ...given } = checked(BackendEntry, entry, fail)
  const { fill, fillHeaders, fillUrl } = filler(env, fail)
  const { clientKeys = false } = given
  const apiKey = given.apiKey && fill(given.apiKey)
  if (apiKey && !isHeader('authorization', `Bearer ${apiKey}`))
    fail('is wrong: its `apiKey` fits into no header of HTTP')
  if (clientKeys && apiKey !== undefined) fail('has both `apiKey` and `clientKeys`, but calls are made with one key')
  return {
    name,
    baseURL: fillUrl(given.baseURL, 'baseURL'),
    apiKey,
    headers: fillHeaders(given.headers),
    concurrency: given.concurrency ?? config.BACKEND_CONCURRENCY,
    retries: given.retries ?? config.BACKEND_RETRIES,
    idleMs: {
      ...(firstByteSeconds !== undefined && { first: firstByteSeconds * 1000 }),
      ...(idleSeconds !== undefined && { between: idleSeconds * 1000 }),
    },
    clientKeys,
    keyIn: `\`apiKey\` of the backend '${name}' in BACKENDS_CONFIG`,
    urlIn: `\`baseURL\` of the backend '${name}' in BACKENDS_CONFIG`,
  }
}
