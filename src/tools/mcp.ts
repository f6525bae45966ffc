import { createHash } from 'node:crypto'
import type { CallToolResult, Tool } from '@modelcontextprotocol/sdk/types.js'
import type { Logger } from 'pino'
import { ConfigError } from '../config.ts'
import { type ArgumentCheck, createArgumentCheck } from './arguments.ts'
import { createCustomTool } from './custom.ts'
import { readMcpConfig } from './mcp-config.ts'
import { createMcpServer, type McpServer } from './mcp-server.ts'
import type { ServerTool } from './registry.ts'

export interface McpOptions {
  /** The configuration file, from `folder`. */
  path: string
  folder: string
  /** For the `${VARIABLE}`s of the file. */
  env: Readonly<Record<string, string | undefined>>
  logger: Logger
  startMs?: number
}

export interface McpTools {
  tools: ServerTool[]
  close(): Promise<void>
}

/** Connects to the MCP servers of the file, all at once. Throws a ConfigError that says what is wrong with which. */
export async function connectMcp({ path, folder, env, logger, startMs = 20_000 }: McpOptions): Promise<McpTools> {
  const addresses = await readMcpConfig(path, folder, env)
  const servers: McpServer[] = []
  const close = async () => {
    await Promise.all(servers.map((server) => server.close()))
  }
  const starting = [...addresses].map(async ([name, address]) => {
    const server = createMcpServer({ name, address, logger, startMs })
    servers.push(server)
    const tools = await server.tools().catch((error: Error) => {
      const cause = { cause: error }
      throw new ConfigError(`MCP_CONFIG names '${path}', but its server '${name}' fails: ${error.message}`, cause)
    })
    logger.info({ mcp: name, tools: tools.length }, 'MCP')
    return Promise.all(tools.map((tool) => toolOf(server, name, tool, address.timeoutMs, logger)))
  })
  try {
    return { tools: (await Promise.all(starting)).flat(), close }
  } catch (error) {
    await close()
    throw error
  }
}

async function toolOf(
  server: McpServer,
  serverName: string,
  { name, title, description, inputSchema, annotations }: Tool,
  timeoutMs: number | undefined,
  logger: Logger,
): Promise<ServerTool> {
  const type = typeFor(serverName, name)
  const check = await createArgumentCheck(inputSchema).catch((error: Error): Promise<ArgumentCheck> => {
    logger.warn({ tool: type, flaw: error.message }, 'the arguments of a tool are not validated: no good schema')
    return createArgumentCheck({})
  })
  const tool = {
    name: type,
    description: description || title || annotations?.title || name,
    parameters: inputSchema,
    timeoutMs,
    async call(args: Record<string, unknown>, { signal }: { signal: AbortSignal }) {
      const result = await server.call(name, args, signal)
      const text = textOf(result)
      if (result.isError) throw new Error(text)
      return text
    },
  }
  return createCustomTool(tool, check, logger)
}

const maxLength = 64

/** Names of functions are letters, digits, `_` and `-`, and no longer than this. What is cut stays distinct by a hash. */
function typeFor(server: string, tool: string): string {
  const name = `${server}__${tool}`.replace(/[^a-zA-Z0-9_-]/g, '_')
  if (name.length <= maxLength) return name
  const hash = createHash('sha256').update(`${server}__${tool}`).digest('hex').slice(0, 8)
  return `${name.slice(0, maxLength - 9)}_${hash}`
}

/** What a model can read of a result. */
function textOf({ content, structuredContent }: CallToolResult): string {
  if (content.length === 0 && structuredContent) return JSON.stringify(structuredContent)
  return content.map(blockText).join('\n')
}

function blockText(block: CallToolResult['content'][number]): string {
  switch (block.type) {
    case 'text':
      return block.text
    case 'resource_link':
      return `[resource ${block.uri}: ${block.description || block.title || block.name}]`
    case 'resource': {
      const { resource } = block
      if ('text' in resource) return resource.text
      return `[resource ${resource.uri} of type ${resource.mimeType ?? 'application/octet-stream'}: not a text]`
    }
    default:
      return `[${block.type} of type ${block.mimeType}: not a text]`
  }
}
