import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { buildApp } from '../../src/app.ts'
import { readConfig } from '../../src/config.ts'
import { createServices } from '../../src/services.ts'
import type { Harness } from './app.ts'
import { ScriptedBackend } from './backend.ts'
import { checkAnswer } from './openapi.ts'
import { snapshotFolder } from './sandbox.ts'

/** Lets a server that keeps its data there start its sandboxes from the snapshot that all tests share. */
export function shareSnapshot(folder: string) {
  mkdirSync(snapshotFolder, { recursive: true })
  const path = join(folder, 'sandbox')
  if (!existsSync(path)) symlinkSync(snapshotFolder, path)
}

/**
 * What `startApp` gives, but over a true socket, and one for all tests of a file: a sandbox takes seconds until it has
 * been tested. Each test begins with a backend that has no turns and has heard nothing.
 */
export function sharedApp(env: Record<string, string>): Harness {
  const h = {} as Harness
  beforeAll(async () => void Object.assign(h, await start(env)))
  beforeEach(() => {
    h.backend.turns = []
    h.backend.requests.length = 0
  })
  afterAll(() => h.close())
  return h
}

async function start(env: Record<string, string>): Promise<Harness> {
  const folder = mkdtempSync(join(tmpdir(), 'assistants-files-'))
  shareSnapshot(folder)
  const backend = await new ScriptedBackend().start()
  const config = readConfig({
    DATABASE_URL: 'sqlite::memory:',
    OPENAI_BASE_URL: backend.url,
    DATA_DIR: folder,
    ...env,
  })
  const time = { now: 1_790_000_000_000 }
  const logger = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const services = createServices(config, logger, { clock: () => time.now, backoffMs: 1, beatMs: 20 })
  const app = buildApp(services)
  await app.listen({ port: 0, host: '127.0.0.1' })
  services.executor.start()
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

  const send: Harness['send'] = (method, path, body, headers = {}) =>
    checkedFetch(`${url}${path}`, {
      method,
      headers: {
        authorization: 'Bearer sk-test-001',
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
  const client = new OpenAI({ apiKey: 'sk-test-001', baseURL: `${url}/v1`, maxRetries: 0, fetch: checkedFetch })
  async function close() {
    await services.executor.stop(0)
    services.bus.close()
    app.server.closeAllConnections()
    await app.close()
    await services.close()
    await backend.stop()
    rmSync(folder, { recursive: true })
  }
  return { app, services, backend, client, send, folder, time, close }
}

const checkedFetch: typeof fetch = async (input, init = {}) => {
  const answer = await fetch(input, init)
  if (answer.headers.get('content-type')?.startsWith('application/json')) {
    const body: unknown = await answer.clone().json()
    checkAnswer((init.method ?? 'GET').toUpperCase(), new URL(String(input)).pathname, answer.status, body)
  }
  return answer
}
