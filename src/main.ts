import { existsSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { pino } from 'pino'
import { readBackends } from './completer/backends-config.ts'
import { ConfigError, readConfig } from './config.ts'
import { serve } from './server.ts'
import { createServices } from './services.ts'
import { loadTools } from './tools/custom.ts'

if (existsSync('.env')) process.loadEnvFile('.env')

/** For people on a terminal; for machines otherwise, and then many lines with one write, four times a second. */
async function logTo(isTerminal: boolean) {
  if (!isTerminal) return pino.destination({ dest: 1, sync: false, minLength: 4096, periodicFlush: 250 })
  const { default: pretty } = await import('pino-pretty')
  return pretty({ ignore: 'pid,hostname,reqId', sync: true })
}

/** What is wrong with the configuration is said in a sentence, without a stack. */
async function orExit<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${error.message}\n`)
    process.exit(1)
  }
}

const config = await orExit(() => readConfig(process.env))
const logger = pino({ level: config.LOG_LEVEL }, await logTo(process.stdout.isTTY))

const folder = process.cwd()
const backends = await orExit(() => readBackends(config, folder, process.env))
const mcp = await orExit(async () => {
  if (!config.MCP_CONFIG) return undefined
  // The SDK takes a tenth of a second and 30 MiB.
  const { connectMcp } = await import('./tools/mcp.ts')
  return connectMcp({ path: config.MCP_CONFIG, folder, env: process.env, logger })
})
const services = await orExit(async () => {
  const tools = await loadTools(config.TOOLS, folder, logger)
  return createServices(config, logger, { backends, tools: [...tools, ...(mcp?.tools ?? [])] })
})
const server = await serve(services)
// V8's own value, which boot.js takes back while modules load: memory may grow with the work from here on.
setFlagsFromString('--semi-space-growth-factor=2')

if (config.API_KEYS.length === 0) {
  logger.warn('development mode: API_KEYS names no key, so any bearer key is good; only this machine can connect')
}
if (backends.backends.length === 0) {
  logger.warn("no model backend: neither OPENAI_BASE_URL nor BACKENDS_CONFIG is set, so only the model 'demo' answers")
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  // A second signal finds no listener and ends the process at once.
  process.once(signal, async () => {
    logger.info(`${signal}: taking no more requests, letting runs come to rest`)
    await server.close()
    await mcp?.close()
    logger.info('stopped')
  })
}
