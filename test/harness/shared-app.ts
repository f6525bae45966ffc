import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import { type Harness, startApp } from './app.ts'

/**
 * One server for all tests of a file: a sandbox takes seconds until it has been tested. Each test begins with a backend
 * that has no turns and has heard nothing.
 */
export function sharedApp(env: Record<string, string>): Harness {
  const h = {} as Harness
  const folder = mkdtempSync(join(tmpdir(), 'assistants-files-'))
  beforeAll(async () => {
    Object.assign(h, await startApp({ env: { DATABASE_URL: 'sqlite::memory:', ...env }, folder, lasts: true }))
  })
  beforeEach(() => {
    h.backend.turns = []
    h.backend.requests.length = 0
  })
  afterAll(async () => {
    await h.close()
    rmSync(folder, { recursive: true })
  })
  return h
}
