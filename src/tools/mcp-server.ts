import { StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  type CallToolResult,
  CallToolResultSchema,
  ErrorCode,
  ListToolsResultSchema,
  McpError,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js'
import type { Logger } from 'pino'
import type { McpAddress } from './mcp-config.ts'
import { causeOf, connectTo, type McpConnection, untilAborted, wasNotTaken } from './mcp-connection.ts'

/** One MCP server. The connection is made when it is needed, and anew when it was lost. */
export interface McpServer {
  /** All its tools. Rejects with an Error that says why they cannot be had. */
  tools(): Promise<Tool[]>
  /** Rejects with what the model may be told. */
  call(name: string, args: Record<string, unknown>, signal: AbortSignal): Promise<CallToolResult>
  close(): Promise<void>
}

interface Options {
  name: string
  address: McpAddress
  logger: Logger
  /** How long it may take until a server is ready. */
  startMs: number
}

const maxReason = 500

export function createMcpServer({ name, address, logger, startMs }: Options): McpServer {
  const closing = new AbortController()
  let connecting: Promise<McpConnection> | undefined
  /** The end of what it has written to its stderr: if it does not start, that says why. */
  let said = ''

  const startSignal = () => AbortSignal.any([AbortSignal.timeout(startMs), closing.signal])

  function connected(signal = startSignal()): Promise<McpConnection> {
    if (connecting) return connecting
    signal.throwIfAborted()
    said = ''
    const onStderr = (text: string) => {
      said = (said + text).slice(-maxReason)
      logger.debug({ mcp: name, stderr: text.trimEnd() }, 'MCP')
    }
    const onError = (error: Error) => logger.debug({ mcp: name, err: error }, 'MCP')
    const forget = () => {
      if (connecting !== made) return false
      connecting = undefined
      return true
    }
    const onLost = () => {
      if (forget() && !closing.signal.aborted) {
        logger.warn({ mcp: name }, 'the connection to an MCP server is lost')
      }
    }
    const made = connectTo(address, { signal, onLost, onError, onStderr })
    made.catch(forget)
    connecting = made
    return made
  }

  async function reached(): Promise<McpConnection> {
    try {
      return await connected()
    } catch (error) {
      throw new Error(`the MCP server '${name}' cannot be reached`, { cause: error })
    }
  }

  return {
    async tools() {
      const signal = startSignal()
      try {
        const { client } = await connected(signal)
        return await untilAborted(signal, async (options) => {
          const tools: Tool[] = []
          let cursor: string | undefined
          do {
            const request = { method: 'tools/list' as const, params: { cursor } }
            const page = await client.request(request, ListToolsResultSchema, options)
            tools.push(...page.tools)
            cursor = page.nextCursor
          } while (cursor !== undefined)
          return tools
        })
      } catch (error) {
        const why = signal.aborted ? `it did not answer within ${startMs / 1000} s` : reasonOf(error)
        throw new Error(said ? `${why}; it wrote: ${said.trim()}` : why, { cause: error })
      }
    },
    async call(tool, args, signal) {
      const request = { method: 'tools/call' as const, params: { name: tool, arguments: args } }
      const made = ({ client }: McpConnection) =>
        untilAborted(signal, (options) => client.request(request, CallToolResultSchema, options))
      const connection = await reached()
      try {
        return await made(connection)
      } catch (error) {
        if (wasLost(error)) throw new Error(`the connection to the MCP server '${name}' was lost`, { cause: error })
        if (!wasNotTaken(error) || !(await connection.isLost())) throw error
        return await made(await reached())
      }
    },
    async close() {
      closing.abort(new Error('The server stops.'))
      const connection = await connecting?.catch(() => undefined)
      await connection?.close()
    },
  }
}

/** Whether the connection was lost when the call may have been taken: it is not made again. */
const wasLost = (error: unknown) =>
  error instanceof McpError
    ? error.code === ErrorCode.ConnectionClosed
    : error instanceof TypeError && causeOf(error) !== undefined && !wasNotTaken(error)

/** For the operator. */
function reasonOf(error: unknown): string {
  const cause = causeOf(error)
  const message = cause?.message || cause?.code || (error as Error).message
  const status = error instanceof StreamableHTTPError && error.code !== undefined ? `HTTP ${error.code}: ` : ''
  return message
    .replace(/^MCP error -?\d+: |^Streamable HTTP error: (Error POSTing to endpoint: )?/, status)
    .slice(0, maxReason)
}
