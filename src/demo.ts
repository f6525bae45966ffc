/** Stories of what assistants can do, told by the official SDK against a server that this program starts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { pino } from 'pino'
import { readConfig } from './config.ts'
import { tellOfCode } from './demo/code.ts'
import { tellOfCustomTool } from './demo/custom-tool.ts'
import { tellOfFunction } from './demo/function-call.ts'
import { tellOfSearch } from './demo/search.ts'
import { tellOfSpecialist } from './demo/specialist.ts'
import { say } from './demo/telling.ts'
import { serve } from './server.ts'
import { createServices } from './services.ts'
import { loadTools } from './tools/custom.ts'

const stories = {
  'A function of yours': tellOfFunction,
  'A search in documents': tellOfSearch,
  'Code that reads and writes files': tellOfCode,
  'A task for a specialist': tellOfSpecialist,
  'A tool of your own on the server': tellOfCustomTool,
}

const folder = mkdtempSync(join(tmpdir(), 'assistants-demo-'))
const config = readConfig({
  PORT: '0',
  DATABASE_URL: `sqlite:${join(folder, 'demo.db')}`,
  DATA_DIR: join(folder, 'data'),
  TOOLS: './demo/convert-units.ts',
})
const logger = pino({ level: 'warn' })
const tools = await loadTools(config.TOOLS, import.meta.dirname, logger)
const server = await serve(createServices(config, logger, { tools }))

try {
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'sk-test-001' })
  for (const [title, tell] of Object.entries(stories)) {
    say(`\n== ${title} ==\n\n`)
    await tell(openai)
  }
} finally {
  await server.close()
  rmSync(folder, { recursive: true })
}
