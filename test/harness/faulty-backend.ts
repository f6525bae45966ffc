import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { onTestFinished } from 'vitest'
import { chunk, done, usageChunk } from './answers.ts'

/** What a server writes into the connection on which a whole request has come; how often one has, counted from 1. */
export type Fault = (socket: Socket, count: number) => void | Promise<void>

export interface FaultyBackend {
  url: string
  /** When each request had come, in ms. */
  requests: number[]
  /** Resolves when it has no connection any more. */
  closed(): Promise<void>
}

/** A backend that is no HTTP server, so that it can do everything wrong. Ends with the test. */
export async function startFaulty(fault: Fault, tls?: { cert: string; key: string }): Promise<FaultyBackend> {
  const requests: number[] = []
  const open = new Set<Socket>()
  const serve = async (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket)).on('error', () => {})
    if (!(await hasRequest(socket))) return
    requests.push(performance.now())
    await fault(socket, requests.length)
  }
  const server = tls ? createTlsServer(tls, serve) : createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    async closed() {
      await Promise.all(Array.from(open, (socket) => once(socket, 'close')))
    },
  }
}

/** An address at which nobody listens. */
export async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return `http://127.0.0.1:${port}/v1`
}

/** Reads a request to its end; false if the connection ended before. */
async function hasRequest(socket: Socket): Promise<boolean> {
  let text = ''
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
    // A greeting of TLS is no request, but some servers answer it.
    if (bytes[0] === 0x16) resolve(true)
    const [, length] = /^content-length: *(\d+)/im.exec(text) ?? []
    const head = text.indexOf('\r\n\r\n')
    if (head >= 0 && text.length >= head + 4 + Number(length)) resolve(true)
  })
  socket.once('close', () => resolve(false))
  return promise
}

/** An answer as HTTP has it, after which the connection is closed. */
export const http = (status: number, headers: Record<string, string>, body: string) =>
  [
    `HTTP/1.1 ${status} X`,
    ...Object.entries({ connection: 'close', ...headers }).map(([name, value]) => `${name}: ${value}`),
    '',
    body,
  ].join('\r\n')

const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`

/** The beginning of a stream: its headers, and what is to come first. */
export const stream = (...parts: (object | string)[]) =>
  http(
    200,
    { 'content-type': 'text/event-stream' },
    parts.map((part) => (typeof part === 'string' ? part : event(part))).join(''),
  )

export const hello = [chunk({ content: 'Hello.' }), chunk({}, 'stop'), usageChunk, done]
