import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import OpenAI from 'openai'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { readBackends } from '../../src/completer/backends-config.ts'
import { readConfig } from '../../src/config.ts'
import { createServices, type Services } from '../../src/services.ts'
import { loadTools } from '../../src/tools/custom.ts'
import type { McpOptions } from '../../src/tools/mcp.ts'
import { ScriptedBackend } from './backend.ts'
import { checkAnswer } from './openapi.ts'
import { snapshotFolder } from './sandbox.ts'

const root = join(import.meta.dirname, '../..')

export interface Harness {
  app: FastifyInstance
  services: Services
  backend: ScriptedBackend
  client: OpenAI
  /** Sends a request as it is; `body` that is no string goes as JSON. */
  send(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  /** Where the bytes of files are, and what they say. */
  folder: string
  /** Moves the server's clock. */
  time: { now: number }
  /** Ends the server before the test ends, so that another can begin in its folder. */
  close(): Promise<void>
}

interface Options {
  env?: Record<string, string>
  /** False: runs advance only by `services.executor.tick()`. */
  started?: boolean
  /** True: files are read by themselves; else only by `services.ingestor.tick()`. */
  ingesting?: boolean
  leaseMs?: number
  /** How long the server waits for its backend, where that matters. */
  patience?: Pick<NonNullable<Parameters<typeof createServices>[2]>, 'backoffMs' | 'shutMs' | 'idleMs'>
  /** The file of BACKENDS_CONFIG, for the scripted backend at this address. */
  backends?: (url: string) => object
  /** Gets what is logged from warnings on. */
  lines?: object[]
  /** Modules of tools, as TOOLS would name them. */
  tools?: readonly string[]
  /** MCP servers, as the file of MCP_CONFIG would name them. */
  mcp?: Omit<McpOptions, 'folder' | 'logger' | 'env'> & Partial<McpOptions>
  /** Until it is closed, and not to the end of the test. */
  lasts?: boolean
  /** Files and a database that stay, where another server may go on with them; without it, all is new. */
  folder?: string
}

/** A folder for servers, which is removed with the test. */
export function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'assistants-files-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

/** The server without a socket, on an empty database in memory, with a scripted model behind it. Ends with the test. */
export async function startApp(options: Options = {}): Promise<Harness> {
  const {
    env = {},
    started = true,
    ingesting = false,
    leaseMs,
    patience,
    tools = [],
    mcp,
    folder = aFolder(),
  } = options
  const backend = await new ScriptedBackend().start()
  const file = join(folder, 'backends.json')
  if (options.backends) writeFileSync(file, JSON.stringify(options.backends(backend.url)))
  const config = readConfig({
    DATABASE_URL: options.folder ? `sqlite:${join(folder, 'assistants.db')}` : 'sqlite::memory:',
    OPENAI_BASE_URL: backend.url,
    OPENAI_API_KEY: 'sk-backend',
    DATA_DIR: folder,
    CODE_INTERPRETER: 'off',
    ...(options.backends && { BACKENDS_CONFIG: file }),
    ...env,
  })
  // Making it takes seconds, so all tests share one.
  if (config.CODE_INTERPRETER !== 'off') shareSnapshot(folder)
  const time = { now: 1_790_000_000_000 }
  const backends = await readBackends(config, root, env)
  const overrides = {
    backends,
    clock: () => time.now,
    backoffMs: 1,
    shutMs: 1,
    beatMs: 20,
    ...patience,
    ...(leaseMs !== undefined && { leaseMs }),
  }
  const { lines } = options
  const logger = lines
    ? pino({ level: 'warn' }, { write: (line) => void lines.push(JSON.parse(line)) })
    : pino({ level: process.env.TEST_LOG ?? 'silent' })
  const loaded = await loadTools(tools, root, logger)
  if (mcp) {
    const { connectMcp } = await import('../../src/tools/mcp.ts')
    const connected = await connectMcp({ folder: root, env: {}, logger, ...mcp })
    onTestFinished(connected.close)
    loaded.push(...connected.tools)
  }
  const services = createServices(config, logger, { ...overrides, tools: loaded })
  const app = buildApp(services)
  await app.ready()
  if (started) services.executor.start()
  if (ingesting) services.ingestor.start()
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= (async () => {
      await services.executor.stop(0)
      services.bus.close()
      await app.close()
      await services.close()
      await backend.stop()
    })()
    return closing
  }
  if (!options.lasts) onTestFinished(close)
  const send: Harness['send'] = (method, url, body, headers = {}) =>
    fetchOver(app)(`http://inject${url}`, {
      method,
      headers: {
        authorization: 'Bearer sk-test-001',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  const client = new OpenAI({
    apiKey: 'sk-test-001',
    baseURL: 'http://inject/v1',
    maxRetries: 0,
    fetch: fetchOver(app),
  })
  return { app, services, backend, client, send, folder, time, close }
}

/** Lets a server that keeps its data there start its sandboxes from the snapshot that all tests share. */
export function shareSnapshot(folder: string) {
  mkdirSync(snapshotFolder, { recursive: true })
  const path = join(folder, 'sandbox')
  if (!existsSync(path)) symlinkSync(snapshotFolder, path)
}

/** `fetch` that hands requests to Fastify directly; answers stream as they would over a socket. */
function fetchOver(app: FastifyInstance): typeof fetch {
  return async (input, init = {}) => {
    const { pathname, search } = new URL(String(input))
    const method = (init.method ?? 'GET').toUpperCase()
    const form = init.body instanceof FormData ? new Response(init.body) : undefined
    const formHeaders = form && { 'content-type': form.headers.get('content-type') ?? '' }
    const payload = form ? Buffer.from(await form.arrayBuffer()) : (init.body as string | undefined)
    const answer = await app.inject({
      method: method as 'GET',
      url: pathname + search,
      headers: { ...Object.fromEntries(new Headers(init.headers)), ...formHeaders },
      ...(payload !== undefined && { payload }),
      ...(init.signal && { signal: init.signal }),
      payloadAsStream: true,
    })
    const headers = new Headers()
    for (const [name, value] of Object.entries(answer.headers))
      if (value !== undefined) headers.set(name, String(value))
    const response = new Response(Readable.toWeb(answer.stream()) as ReadableStream, {
      status: answer.statusCode,
      headers,
    })
    if (!headers.get('content-type')?.startsWith('application/json')) return response
    const text = await response.text()
    checkAnswer(method, pathname, answer.statusCode, JSON.parse(text))
    return new Response(text, { status: answer.statusCode, headers })
  }
}
