import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../src/config.ts'

/** The sentence that a configuration is refused with. */
function flawOf(env: Record<string, string>): string {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  throw new Error(`${JSON.stringify(env)} is accepted`)
}

test('nothing needs to be configured', () => {
  expect(readConfig({})).toEqual({
    PORT: 3000,
    HOST: '127.0.0.1',
    DATABASE_URL: 'sqlite:./assistants.db',
    DATA_DIR: './data',
    SQLITE_SYNCHRONOUS: 'NORMAL',
    OPENAI_BASE_URL: undefined,
    OPENAI_API_KEY: undefined,
    MODELS: [],
    BACKENDS_CONFIG: undefined,
    EMBEDDING_MODEL: undefined,
    BACKEND_CONCURRENCY: undefined,
    API_KEYS: [],
    TOOLS: [],
    MCP_CONFIG: undefined,
    CODE_INTERPRETER: 'auto',
    CODE_INTERPRETER_WHEELS: undefined,
    CODE_INTERPRETER_PYTHON: '/usr/bin/python3',
    CODE_INTERPRETER_TIMEOUT_SECONDS: 60,
    CODE_INTERPRETER_MEMORY_MIB: 768,
    CODE_INTERPRETER_SESSIONS: 20,
    CODE_INTERPRETER_IDLE_SECONDS: 3600,
    LOG_LEVEL: 'info',
    RUN_EXPIRY_SECONDS: 600,
    RUN_LEASE_SECONDS: 15,
    RUN_TOOL_ROUNDS: 100,
    RUN_CONCURRENCY: 128,
    INGESTION_CONCURRENCY: 2,
    BACKEND_RETRIES: 2,
    SHUTDOWN_SECONDS: 8,
  })
})

test('what is not ours is passed over, and an empty value is none', () => {
  const empty = Object.fromEntries(Object.keys(readConfig({})).map((name) => [name, '']))
  expect(readConfig({ PATH: '/bin', API_KEY: 'x', port: '1', ...empty })).toEqual(readConfig({}))
  expect(readConfig({ PORT: '  ', LOG_LEVEL: ' debug ' })).toEqual({ ...readConfig({}), LOG_LEVEL: 'debug' })
})

const whole = (from: number, to: number) => `a whole number from ${from} to ${to}`

describe('each variable is read, and a bad value is refused in a sentence that names it', () => {
  test.for([
    ['PORT', 0, 65_535],
    ['RUN_EXPIRY_SECONDS', 1, 86_400],
    ['RUN_LEASE_SECONDS', 1, 3600],
    ['RUN_CONCURRENCY', 1, 10_000],
    ['INGESTION_CONCURRENCY', 1, 64],
    ['BACKEND_CONCURRENCY', 1, 10_000],
    ['BACKEND_RETRIES', 0, 10],
    ['SHUTDOWN_SECONDS', 0, 600],
  ] as const)('%s, from %i to %i', ([name, from, to]) => {
    for (const good of [from, to]) expect(readConfig({ [name]: String(good) })[name]).toBe(good)
    for (const bad of [from - 1, to + 1, 'many', '1.5', '1e1', '0x10', '1 2', '99999999999999999999']) {
      expect(flawOf({ [name]: String(bad) })).toBe(`${name} must be ${whole(from, to)}, not '${bad}'.`)
    }
  })

  test('HOST', () => {
    for (const HOST of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) expect(readConfig({ HOST }).HOST).toBe(HOST)
  })

  test('DATABASE_URL', () => {
    for (const DATABASE_URL of ['sqlite::memory:', 'sqlite:/data/a.db', 'sqlite:a b.db']) {
      expect(readConfig({ DATABASE_URL }).DATABASE_URL).toBe(DATABASE_URL)
    }
    for (const bad of ['sqlite:', './a.db', 'mysql://localhost/a', 'SQLITE:a.db']) {
      expect(flawOf({ DATABASE_URL: bad })).toBe(`DATABASE_URL must be sqlite: and a path, not '${bad}'.`)
    }
  })

  test('DATA_DIR', () => {
    expect(readConfig({ DATA_DIR: '/data' }).DATA_DIR).toBe('/data')
  })

  test('SQLITE_SYNCHRONOUS', () => {
    for (const good of ['NORMAL', 'FULL']) {
      expect(readConfig({ SQLITE_SYNCHRONOUS: good }).SQLITE_SYNCHRONOUS).toBe(good)
    }
    for (const bad of ['OFF', 'full']) {
      expect(flawOf({ SQLITE_SYNCHRONOUS: bad })).toBe(`SQLITE_SYNCHRONOUS must be one of NORMAL, FULL, not '${bad}'.`)
    }
  })

  test('OPENAI_BASE_URL and OPENAI_API_KEY', () => {
    for (const OPENAI_BASE_URL of ['http://127.0.0.1:8080/v1', 'https://example.com/v1/']) {
      expect(readConfig({ OPENAI_BASE_URL }).OPENAI_BASE_URL).toBe(OPENAI_BASE_URL)
    }
    for (const bad of ['example.com/v1', 'ftp://example.com', 'https://']) {
      expect(flawOf({ OPENAI_BASE_URL: bad })).toBe(`OPENAI_BASE_URL must be an http:// or https:// URL, not '${bad}'.`)
    }
    expect(readConfig({ OPENAI_API_KEY: 'sk-a,b' }).OPENAI_API_KEY).toBe('sk-a,b')
  })

  test('API_KEYS', () => {
    expect(readConfig({ API_KEYS: 'a' }).API_KEYS).toEqual(['a'])
    expect(readConfig({ API_KEYS: ' a, b ,,c,' }).API_KEYS).toEqual(['a', 'b', 'c'])
    for (const bad of [',', ' , ,']) {
      expect(flawOf({ API_KEYS: bad })).toBe(
        'API_KEYS names no key; leave it out or list keys with commas between them.',
      )
    }
  })

  test('MODELS', () => {
    expect(readConfig({ MODELS: 'gpt-4o=qwen3:4b, gpt-4* = org/other ,' }).MODELS).toEqual([
      ['gpt-4o', 'qwen3:4b'],
      ['gpt-4*', 'org/other'],
    ])
    for (const bad of ['gpt-4o', '=qwen3:4b', 'gpt-4o=', 'gpt 4=a', 'a=b c', 'a=b=c d']) {
      expect(flawOf({ MODELS: bad })).toBe(
        `MODELS must be pairs such as gpt-4o=qwen3:4b with commas between them, not '${bad}'.`,
      )
    }
  })

  test('LOG_LEVEL', () => {
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']
    for (const level of levels) expect(readConfig({ LOG_LEVEL: level }).LOG_LEVEL).toBe(level)
    expect(flawOf({ LOG_LEVEL: 'loud' })).toBe(`LOG_LEVEL must be one of ${levels.join(', ')}, not 'loud'.`)
  })
})

describe('an address that others can reach', () => {
  test.for(['0.0.0.0', '::', '192.168.1.2', 'example.com', '127.0.0.1.example.com', '128.0.0.1', '10.127.0.1'])(
    'needs keys: %s',
    (HOST) => {
      expect(flawOf({ HOST })).toBe(
        `HOST is '${HOST}', which others can reach, but API_KEYS names no key: set API_KEYS, or leave HOST at 127.0.0.1.`,
      )
      expect(readConfig({ HOST, API_KEYS: 'sk-test-001' })).toMatchObject({ HOST, API_KEYS: ['sk-test-001'] })
    },
  )
})

describe('.env.example', () => {
  const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8')
  // Commented out as well: these are what a reader would uncomment.
  const listed = [...text.matchAll(/^#?\s*([A-Z][A-Z_]*)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value])

  test('lists every variable once, and no other', () => {
    const names = listed.map(([name]) => name)
    expect(names.toSorted()).toEqual(Object.keys(readConfig({})).toSorted())
  })

  test('is a good configuration, line by line and as a whole', () => {
    for (const [name = '', value = ''] of listed) readConfig({ API_KEYS: 'sk-test-001', [name]: value })
    expect(readConfig(Object.fromEntries(listed)).PORT).toBeGreaterThan(0)
  })

  test('says what each variable is without being told, or gives an example', () => {
    const values = Object.fromEntries(listed)
    for (const [name, value] of Object.entries(readConfig({}))) {
      if (value === undefined || Array.isArray(value)) expect(text, name).toContain(`\n#${name}=`)
      else expect(values[name], name).toBe(String(value))
    }
  })
})
