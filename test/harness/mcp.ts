import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { onTestFinished } from 'vitest'
import { aFolder } from './app.ts'
import { serveTools } from './mcp-tools.ts'

/** A file for MCP_CONFIG. */
export function mcpFile(mcpServers: unknown): string {
  const file = join(aFolder(), 'mcp.json')
  writeFileSync(file, typeof mcpServers === 'string' ? mcpServers : JSON.stringify({ mcpServers }))
  return file
}

/** As a file names a variable of the environment. */
export const variable = (name: string) => `$\{${name}}`

/** What MCP servers have told the test. */
class Reports {
  readonly all: { event: string; detail?: unknown }[] = []
  #heard = Promise.withResolvers<void>()

  add(event: string, detail?: unknown) {
    this.all.push({ event, detail })
    this.#heard.resolve()
    this.#heard = Promise.withResolvers()
  }

  /** The details of the first events of this name, once there are so many. */
  async of(event: string, count = 1): Promise<unknown[]> {
    for (;;) {
      const found = this.all.filter((one) => one.event === event)
      if (found.length >= count) return found.map(({ detail }) => detail)
      await this.#heard.promise
    }
  }
}

/** MCP servers over stdio tell what they do here. An event `ended` is added for each process that has ended. */
export async function anEar() {
  const reports = new Reports()
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    createInterface(socket).on('line', (line) => {
      const { event, detail } = JSON.parse(line)
      reports.add(event, detail)
    })
    // A process that is killed resets its connection.
    socket.on('error', () => {}).on('close', () => reports.add('ended'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const program = fileURLToPath(new URL('./mcp-program.ts', import.meta.url))
  const REPORT = String((server.address() as AddressInfo).port)
  /** As it stands in a configuration file. */
  const entry = (env: Record<string, string> = {}, more: { args?: string[]; timeoutMs?: number } = {}) => ({
    command: process.execPath,
    ...more,
    args: [program, ...(more.args ?? [])],
    env: { REPORT, ...env },
  })
  return { reports, entry }
}

/**
 * An MCP server over streamable HTTP, on a socket of its own. Unless it speaks by itself, it refuses the stream that the
 * client opens for that.
 */
export async function startMcpHttp({ speaks = true } = {}) {
  const reports = new Reports()
  let isSilent = false
  const sessions = new Map<string, StreamableHTTPServerTransport>()

  async function answer(request: IncomingMessage, response: ServerResponse) {
    reports.add(String(request.method), request.headers['mcp-session-id'])
    if (isSilent) return response
    if (!speaks && request.method === 'GET') return response.writeHead(405).end()
    const id = request.headers['mcp-session-id']
    const known = sessions.get(String(id))
    if (known) return known.handleRequest(request, response)
    if (id !== undefined) return response.writeHead(404).end('Session not found')
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => {
        sessions.set(session, transport)
      },
    })
    const report = (event: string, detail?: unknown) => reports.add(event, detail)
    await serveTools(transport, report, (headers) => headers)
    return transport.handleRequest(request, response)
  }

  let http = createHttpServer(answer).listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo

  /** As a process that is killed: connections break off, and sessions are forgotten. */
  async function stop() {
    sessions.clear()
    const closed = once(http, 'close')
    http.close()
    http.closeAllConnections()
    await closed
  }
  async function restart() {
    await stop()
    http = createHttpServer(answer).listen(port, '127.0.0.1')
    await once(http, 'listening')
  }
  /** It takes requests still, and answers none. */
  const fallSilent = () => {
    isSilent = true
  }
  onTestFinished(async () => {
    if (http.listening) await stop()
  })
  return { url: `http://127.0.0.1:${port}/mcp`, reports, stop, restart, fallSilent }
}
