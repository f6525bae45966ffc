import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { FetchLike, Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { Agent, fetch, type RequestInit as UndiciInit } from 'undici'
import type { McpAddress } from './mcp-config.ts'

/** A connection that is open, until `onLost` is called. */
export interface McpConnection {
  client: Client
  /** Asks the server whether it is there and knows us. If not, the connection is lost, and its calls are let go. */
  isLost(): Promise<boolean>
  close(): Promise<void>
}

export interface McpLink {
  /** Ends the attempt to connect. */
  signal: AbortSignal
  onLost(): void
  onError(error: Error): void
  onStderr(text: string): void
}

/**
 * Makes requests that may take as long as the signal lets them. The SDK never lets go of a signal, and would cancel what
 * was answered long ago: it gets one of its own.
 */
export async function untilAborted<T>(
  signal: AbortSignal,
  work: (options: { signal: AbortSignal; timeout: number }) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const own = new AbortController()
  const abort = () => own.abort(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await work({ signal: own.signal, timeout: 2 ** 31 - 1 })
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

export const connectTo = (address: McpAddress, link: McpLink): Promise<McpConnection> =>
  'command' in address ? startProgram(address, link) : connectRemote(address, link)

async function clientOver(transport: Transport, { signal, onLost, onError }: McpLink): Promise<Client> {
  const client = new Client({ name: 'kumos-assistants-api', version: '0.1.0' })
  client.onerror = onError
  await untilAborted(signal, (options) => client.connect(transport, options))
  client.onclose = onLost
  if (!client.transport) throw new Error('Connection closed')
  return client
}

async function startProgram(
  { command, args = [], env, cwd }: Extract<McpAddress, { command: string }>,
  link: McpLink,
): Promise<McpConnection> {
  const [program = command, ...rest] = [...(await findTether()), command, ...args]
  // Of our environment it gets PATH, HOME and the like.
  const transport = new StdioClientTransport({ command: program, args: rest, env, cwd, stderr: 'pipe' })
  transport.stderr?.on('data', (bytes: Buffer) => link.onStderr(bytes.toString()))
  const client = await clientOver(transport, link)
  return { client, isLost: async () => !client.transport, close: () => client.close() }
}

/**
 * What is put before a command to make the program end when we are killed; one that does not mind the end of its stdin
 * would stay. Nothing, where there is no util-linux.
 */
function findTether(): Promise<string[]> {
  tether ??= promisify(execFile)('setpriv', [...tethering.slice(1), 'true']).then(
    () => tethering,
    () => [],
  )
  return tether
}
const tethering = ['setpriv', '--pdeathsig', 'TERM', '--']
let tether: Promise<string[]> | undefined

class RemoteTransport extends StreamableHTTPClientTransport {
  readonly #sending = new Set<Promise<void>>()

  override send(...args: Parameters<StreamableHTTPClientTransport['send']>): Promise<void> {
    const sending = super.send(...args).finally(() => this.#sending.delete(sending))
    this.#sending.add(sending)
    return sending
  }

  /** Resolves when each message that was sent has been taken or refused. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#sending)
  }
}

// undici gives up on what takes 300 s to answer, or between two events.
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 })
const fetchPatiently: FetchLike = async (url, init) => {
  const response = await fetch(url, { ...(init as UndiciInit), dispatcher })
  return response as unknown as Response
}

/** How long a server may take to let go of what is over before it is left alone with it. */
const parting = () => delay(1000, undefined, { ref: false })

async function connectRemote(
  { url, headers = {} }: Extract<McpAddress, { url: string }>,
  link: McpLink,
): Promise<McpConnection> {
  const transport = new RemoteTransport(new URL(url), { requestInit: { headers }, fetch: fetchPatiently })
  const client = await clientOver(transport, link)
  let gone = false
  let asking: Promise<void> | undefined

  async function ask() {
    gone = await client.ping().then(() => false, wasNotTaken)
    asking = undefined
    if (!gone) return
    link.onLost()
    // What is refused by itself can be asked of the next connection; the answers that had begun will not come to an end.
    void Promise.race([transport.settled(), parting()]).then(() => client.close())
  }
  async function isLost() {
    if (gone) return true
    asking ??= ask()
    await asking
    return gone
  }

  // The SDK lets calls wait whose answer has broken off, be it that the server is dead.
  client.onerror = (error) => {
    link.onError(error)
    void isLost()
  }
  return {
    client,
    isLost,
    async close() {
      const parted = transport.terminateSession().catch(() => {})
      await Promise.race([parted, parting()])
      await client.close()
    },
  }
}

/** Whether the server did not take the request, since it does not listen, or does not know our session. */
export const wasNotTaken = (error: unknown): boolean =>
  error instanceof StreamableHTTPError
    ? error.code === 404 || error.code === 400
    : causeOf(error)?.code === 'ECONNREFUSED'

/** `fetch failed` says nothing, its cause does. */
export const causeOf = (error: unknown) => (error as Error).cause as NodeJS.ErrnoException | undefined
