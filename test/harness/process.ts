import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { onTestFinished } from 'vitest'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** The server as users run it, in a process of its own. Ends with the test at the latest. */
export interface ServerProcess {
  url: string
  client: OpenAI
  /** All that it has written so far, to both its outputs. */
  readonly output: string
  /** Resolves when the output matches. */
  said(pattern: RegExp): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM; the exit code, null if a signal ended it. */
  stop(): Promise<number | null>
}

interface Options {
  env?: Record<string, string>
  /** Where it runs and keeps its database; a new directory without it. */
  dir?: string
}

/** A directory that is removed with the test. */
export function aDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'server-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' ? (address?.port ?? 0) : 0
}

/** Resolves when the server listens and `/healthz` answers. */
export async function startProcess({ env = {}, dir = aDirectory() }: Options = {}): Promise<ServerProcess> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  // Nothing of the caller's environment, so that no variable and no `.env` of a developer gets in.
  const child = spawn(process.execPath, [main], {
    cwd: dir,
    env: { PORT: String(port), CODE_INTERPRETER: 'off', ...env },
  })
  const exited = once(child, 'exit')
  let output = ''
  let heard = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      heard.resolve()
      heard = Promise.withResolvers()
    })
  }
  async function said(pattern: RegExp) {
    while (!pattern.test(output)) {
      const ended = await Promise.race([heard.promise, exited.then(() => true)])
      if (ended && !pattern.test(output)) throw new Error(`The server ended without saying ${pattern}:\n${output}`)
    }
  }
  async function end(signal: 'SIGKILL' | 'SIGTERM') {
    child.kill(signal)
    const [code] = await exited
    return code as number | null
  }
  onTestFinished(async () => {
    await end('SIGKILL')
  })
  await said(/listening on/)
  const healthy = await fetch(`${url}/healthz`)
  if (!healthy.ok) throw new Error(`/healthz answered ${healthy.status}`)
  return {
    url,
    client: new OpenAI({ apiKey: 'sk-test-001', baseURL: `${url}/v1`, maxRetries: 0 }),
    get output() {
      return output
    },
    said,
    async kill() {
      await end('SIGKILL')
    },
    stop: () => end('SIGTERM'),
  }
}
