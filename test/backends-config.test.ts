import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readBackends } from '../src/completer/backends-config.ts'
import { createRules } from '../src/completer/rules.ts'
import { readConfig } from '../src/config.ts'
import { aFolder, startApp } from './harness/app.ts'
import { variable } from './harness/mcp.ts'

const baseURL = 'http://127.0.0.1:1/v1'

/** What a file says, as it is or as JSON. */
function read(file: unknown, env: Record<string, string> = {}) {
  const path = join(aFolder(), 'backends.json')
  writeFileSync(path, typeof file === 'string' ? file : JSON.stringify(file))
  return { path, backends: readBackends(readConfig({ BACKENDS_CONFIG: path, ...env }), '/', env) }
}

/** The sentence with which a configuration is refused, without its beginning. */
async function refusalOf(file: unknown, env: Record<string, string> = {}): Promise<string> {
  const { path, backends } = read(file, env)
  const error = await backends.then(
    () => new Error('It is accepted.'),
    (refused: Error) => refused,
  )
  expect(error.constructor.name).toBe('ConfigError')
  const beginning = `BACKENDS_CONFIG names '${path}', but `
  expect(error.message.slice(0, beginning.length)).toBe(beginning)
  return error.message.slice(beginning.length)
}

const withBackend = (entry: unknown) => ({ backends: { local: entry }, models: [] })
const withRule = (rule: unknown) => ({
  backends: { local: { baseURL } },
  models: [{ match: '*', backend: 'local' }, rule],
})
const wholeFrom = (from: number, to: number) => `a whole number from ${from} to ${to}`
const seconds = 'a number of seconds, a day at most'
const aKey = variable('A_KEY')

describe('a file of backends is refused in a sentence', () => {
  test.for<[unknown, string]>([
    ['{', 'that is no object.'],
    ['[]', 'that is no object.'],
    [{}, 'that is wrong: its `backends` must be an object.'],
    [{ backends: {} }, 'that is wrong: its `models` must be a list.'],
    [{ backends: [], models: [] }, 'that is wrong: its `backends` must be an object.'],
    [{ backends: {}, models: {} }, 'that is wrong: its `models` must be a list.'],
    [{ backends: {}, models: [], rules: [] }, 'that has an unknown key `rules`.'],
  ])('%j', async ([file, flaw]) => {
    expect(await refusalOf(file)).toBe(flaw)
  })

  test.for<[unknown, string]>([
    ['http://a', 'is no object.'],
    [{}, 'is wrong: its `baseURL` must be an http:// or https:// URL.'],
    [{ baseURL: '127.0.0.1/v1' }, 'is wrong: its `baseURL` must be an http:// or https:// URL.'],
    [{ baseURL: 7 }, 'is wrong: its `baseURL` must be an http:// or https:// URL.'],
    [{ baseURL, key: 'a' }, 'has an unknown key `key`.'],
    [{ baseURL, apiKey: '' }, 'is wrong: its `apiKey` must be a text.'],
    [{ baseURL, headers: ['a'] }, 'is wrong: its `headers` must be an object of texts.'],
    [{ baseURL, headers: { a: 1 } }, 'is wrong: its `headers.a` must be a text.'],
    [{ baseURL, headers: { 'x team': 'a' } }, 'is wrong: its `headers.x team` must be a header as HTTP can have it.'],
    [{ baseURL, headers: { a: 'x\ny' } }, 'is wrong: its `headers.a` must be a header as HTTP can have it.'],
    [{ baseURL, apiKey: 'sk-€' }, 'is wrong: its `apiKey` fits into no header of HTTP.'],
    [{ baseURL, concurrency: 0 }, `is wrong: its \`concurrency\` must be ${wholeFrom(1, 10_000)}.`],
    [{ baseURL, retries: 11 }, `is wrong: its \`retries\` must be ${wholeFrom(0, 10)}.`],
    [{ baseURL, firstByteSeconds: 0 }, `is wrong: its \`firstByteSeconds\` must be ${seconds}.`],
    [{ baseURL, idleSeconds: '60' }, `is wrong: its \`idleSeconds\` must be ${seconds}.`],
    [{ baseURL, clientKeys: 'yes' }, 'is wrong: its `clientKeys` must be true or false.'],
    [{ baseURL, apiKey: aKey }, 'needs the variable A_KEY, which is not set.'],
    [{ baseURL, headers: { 'api-key': aKey } }, 'needs the variable A_KEY, which is not set.'],
    [
      { baseURL, apiKey: 'a', clientKeys: true },
      'has both `apiKey` and `clientKeys`, but calls are made with one key.',
    ],
  ])('that has a backend %j', async ([entry, flaw]) => {
    expect(await refusalOf(withBackend(entry))).toBe(`its backend 'local' ${flaw}`)
  })

  const backend = 'local'
  test.for<[unknown, string]>([
    ['gpt-4o', 'its rule 2 is no object.'],
    [{ backend }, 'its rule 2 is wrong: its `match` must be a name, a beginning with * after it, or *.'],
    [
      { match: '*-mini', backend },
      'its rule 2 is wrong: its `match` must be a name, a beginning with * after it, or *.',
    ],
    [{ match: 'a' }, 'its rule 2 is wrong: its `backend` must be a name.'],
    [{ match: 'a', backend, to: 'b' }, 'its rule 2 has an unknown key `to`.'],
    [{ match: 'a', backend, window: 8 }, `its rule 2 is wrong: its \`window\` must be ${wholeFrom(256, 100_000_000)}.`],
    [{ match: 'a', backend, can: { fly: true } }, 'its rule 2 has an unknown key `can.fly`.'],
    [{ match: 'a', backend, can: { tools: 'no' } }, 'its rule 2 is wrong: its `can.tools` must be true or false.'],
    [
      { match: 'a', backend, can: { maxTokens: 7 } },
      'its rule 2 is wrong: its `can.maxTokens` must be "max_completion_tokens", "max_tokens" or "none".',
    ],
    [
      { match: 'a', backend, can: { refusedKeywords: [7] } },
      'its rule 2 is wrong: its `can.refusedKeywords.0` must be a text.',
    ],
    [{ match: 'a', backend: 'b' }, "its rule for 'a' names a backend 'b' that is not there."],
    [{ match: 'demo', backend }, "its rule for 'demo' is for the built-in model."],
    [{ match: '*', backend }, "its rule for '*' is there twice."],
  ])('that has a rule %j', async ([rule, flaw]) => {
    expect(await refusalOf(withRule(rule))).toBe(flaw)
  })

  test('that is not there', async () => {
    const config = readConfig({ BACKENDS_CONFIG: './none.json' })
    await expect(readBackends(config, aFolder(), {})).rejects.toThrow(
      /^BACKENDS_CONFIG names '\.\/none\.json', which cannot be read: ENOENT/,
    )
  })

  test('beside MODELS', async () => {
    await expect(read(withBackend({ baseURL }), { MODELS: 'a=b' }).backends).rejects.toThrow(
      'MODELS is for a single backend; with BACKENDS_CONFIG, its file has the rules for models.',
    )
  })
})

test('a file is read with its variables filled in, and with what it leaves out', async () => {
  const full = {
    ...{ baseURL: `https://${variable('HOST_NAME')}/v1`, apiKey: aKey, headers: { 'x-team': `t-${aKey}` } },
    ...{ concurrency: 4, retries: 0, firstByteSeconds: 1.5, idleSeconds: 30 },
  }
  const file = { backends: { full, bare: { baseURL } }, models: [{ match: 'a*', backend: 'bare' }] }
  const env = { A_KEY: 'sk-1', HOST_NAME: 'example.com', BACKEND_RETRIES: '5', BACKEND_CONCURRENCY: '7' }
  expect(await read(file, env).backends).toMatchObject({
    backends: [
      {
        ...{ name: 'full', baseURL: 'https://example.com/v1', apiKey: 'sk-1', headers: { 'x-team': 't-sk-1' } },
        ...{ concurrency: 4, retries: 0, idleMs: { first: 1500, between: 30_000 }, clientKeys: false },
      },
      { name: 'bare', baseURL, apiKey: undefined, concurrency: 7, retries: 5, idleMs: {} },
    ],
    rules: file.models,
  })
})

describe('MODELS', () => {
  const refused = (env: Record<string, string>) => readBackends(readConfig(env), '/', {})

  test.for([
    [{ MODELS: 'a=b' }, 'MODELS names models, but there is no backend: set OPENAI_BASE_URL or OPENAI_API_KEY.'],
    [{ MODELS: 'a=b,a=c', OPENAI_BASE_URL: baseURL }, "MODELS names 'a' twice."],
    [{ MODELS: 'demo=c', OPENAI_BASE_URL: baseURL }, "MODELS names 'demo', which is the built-in model."],
    [{ MODELS: 'a*b=c', OPENAI_BASE_URL: baseURL }, "MODELS has a * within 'a*b'; it can only be at the end."],
  ] as [Record<string, string>, string][])('%j is refused', async ([env, sentence]) => {
    await expect(refused(env)).rejects.toThrow(sentence)
  })

  test('may have a name for all others', async () => {
    const { rules } = await refused({ MODELS: 'a=b,*=c', OPENAI_BASE_URL: baseURL })
    const find = createRules(rules)
    expect(['a', 'x'].map((name) => find(name)?.model)).toEqual(['b', 'c'])
  })
})

test('a name goes before a beginning, a longer one before a shorter, in whatever order they are', () => {
  const matches = ['*', 'gpt-4*', 'gpt-4o', 'gpt-4o*', 'gpt-4o-mini']
  for (const order of [matches, matches.toReversed()]) {
    const find = createRules(order.map((match) => ({ match, backend: 'local' })))
    const found = ['gpt-4o', 'gpt-4o-mini', 'gpt-4o-2024', 'gpt-4', 'gpt-4-turbo', 'gpt-5', ''].map(
      (name) => find(name)?.match,
    )
    expect(found).toEqual(['gpt-4o', 'gpt-4o-mini', 'gpt-4o*', 'gpt-4*', 'gpt-4*', '*', '*'])
  }
  expect(createRules([{ match: 'gpt-4*', backend: 'local' }])('o3')).toBeUndefined()
})

test("the README's example is a good file", async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
  const [, example = ''] = /```json\n(\{\s+"backends".*?)```/s.exec(readme) ?? []
  const { backends, rules } = await read(example, { GATEWAY_KEY: 'a', OPENAI_KEY: 'b' }).backends
  expect(backends.length).toBeGreaterThan(1)
  expect(rules.length).toBeGreaterThan(1)
})

test('a server with a bad file does not start', async () => {
  await expect(startApp({ backends: () => ({ backends: {} }) })).rejects.toThrow('must be a list')
})
