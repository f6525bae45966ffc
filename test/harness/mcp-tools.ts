import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  CallToolRequestSchema,
  type CallToolResult,
  EmptyResultSchema,
  ListToolsRequestSchema,
  type Tool,
} from '@modelcontextprotocol/sdk/types.js'

/** What a server does, told to the test that it serves. */
export type Report = (event: string, detail?: unknown) => void

const anything = { type: 'object' as const }
const pair = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object' as const,
  properties: { pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }], items: false } },
  required: ['pair'],
}

/** Told in pages of three. */
export const mcpTools: Tool[] = [
  {
    name: 'echo',
    description: 'Says it again',
    inputSchema: { type: 'object', properties: { text: { type: 'string', format: 'uri' } }, required: ['text'] },
  },
  { name: 'fail', description: 'Fails', inputSchema: anything },
  { name: 'refuse', description: 'Answers with an error', inputSchema: anything },
  { name: 'much', description: 'Fails at length', inputSchema: anything },
  { name: 'wait', description: 'Waits', inputSchema: anything },
  { name: 'die', description: 'Ends its server', inputSchema: anything },
  { name: 'show', title: 'Shows all kinds', inputSchema: anything },
  { name: 'structured', annotations: { title: 'Structured' }, inputSchema: anything },
  { name: 'pair', inputSchema: pair },
  { name: 'unsound', inputSchema: { type: 'object', properties: { text: { type: 'nonsense' } } } },
  { name: 'surroundings', inputSchema: anything },
  { name: 'über/lang '.repeat(8), inputSchema: anything },
]

const text = (told: string): CallToolResult => ({ content: [{ type: 'text', text: told }] })

const shown: CallToolResult['content'] = [
  { type: 'text', text: 'Two\nlines' },
  { type: 'image', data: 'AAAA', mimeType: 'image/png' },
  { type: 'audio', data: 'AAAA', mimeType: 'audio/wav' },
  { type: 'resource', resource: { uri: 'file:///a.txt', text: 'What a.txt says' } },
  { type: 'resource', resource: { uri: 'file:///b.bin', blob: 'AAAA', mimeType: 'application/zip' } },
  { type: 'resource', resource: { uri: 'file:///c.bin', blob: 'AAAA' } },
  { type: 'resource_link', uri: 'file:///d.txt', name: 'd', description: 'The fourth' },
  { type: 'resource_link', uri: 'file:///e.txt', name: 'e' },
]

/** An MCP server with those tools. `surroundings` is what the tool of that name tells. */
export async function serveTools(transport: Transport, report: Report, surroundings: (headers?: object) => unknown) {
  const server = new Server({ name: 'tried', version: '1.0.0' }, { capabilities: { tools: {} } })
  server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
    const from = Number(params?.cursor ?? 0)
    const tools = mcpTools.slice(from, from + 3)
    return { tools, ...(from + 3 < mcpTools.length && { nextCursor: String(from + 3) }) }
  })
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, { signal, requestInfo, sendRequest }) => {
    report('called', params.name)
    switch (params.name) {
      case 'echo':
        return text(String(params.arguments?.text))
      case 'fail':
        return { ...text('the weather is bad'), isError: true }
      case 'much':
        return { ...text('x'.repeat(200_000)), isError: true }
      case 'wait':
        // Over HTTP, the answer has begun to be read when this comes back.
        await sendRequest({ method: 'ping' }, EmptyResultSchema)
        report('waiting')
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        report('cancelled', signal.reason)
        return text('too late')
      case 'die':
        return process.exit(1)
      case 'show':
        return { content: shown }
      case 'structured':
        return { content: [], structuredContent: { degrees: 21 } }
      case 'refuse':
        throw new Error('not today')
      case 'surroundings':
        return text(JSON.stringify(surroundings(requestInfo?.headers)))
      default:
        return text(`${params.name} with ${JSON.stringify(params.arguments)}`)
    }
  })
  transport.onmessage = (message) => report('received', 'method' in message ? message.method : undefined)
  await server.connect(transport)
}
