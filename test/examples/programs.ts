import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'
import { ScriptedBackend, type Turn } from '../harness/backend.ts'
import { startProcess } from '../harness/process.ts'
import { refuseAs } from '../harness/refusals.ts'

/** The server as a process of its own, with a scripted model behind it. */
export async function startServer(
  env: Record<string, string> = {},
): Promise<{ backend: ScriptedBackend; url: string }> {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const { url } = await startProcess({ env: { OPENAI_BASE_URL: backend.url, OPENAI_API_KEY: 'sk-backend', ...env } })
  return { backend, url: `${url}/v1` }
}

/** The turns of a backend that has one model, and refuses every other. */
export const onlyModel = (name: string, turns: readonly Turn[]): Turn[] =>
  turns.map(
    (turn) => (exchange) =>
      exchange.body.model === name
        ? turn(exchange)
        : refuseAs(404, { error: { message: `model "${exchange.body.model}" not found`, type: 'api_error' } })(
            exchange,
          ),
  )

/** What the program prints. Throws if it fails, or if it complains. */
export async function outputOf(command: string, args: string[], url: string): Promise<string> {
  const env = { PATH: process.env.PATH, OPENAI_BASE_URL: url, OPENAI_API_KEY: 'sk-test-001', NO_COLOR: '1' }
  const program = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const printed = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    program[name].setEncoding('utf8').on('data', (text) => {
      printed[name] += text
    })
  }
  const [code] = await once(program, 'close')
  if (code !== 0 || printed.stderr !== '') throw new Error(`${args.join(' ')} ended with ${code}: ${printed.stderr}`)
  return printed.stdout
}
