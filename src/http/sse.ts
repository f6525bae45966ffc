import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { BusClosedError, SlowReaderError } from '../events/bus.ts'
import type { StreamEvent } from '../schemas/events.ts'

type Events = AsyncIterable<readonly StreamEvent[]>

/** A comment line; clients pass over it, proxies see that the connection lives. */
const ping = ': ping\n\n'
const pingMs = 15_000
/** A reader that takes nothing for so long is gone. */
const stallMs = 30_000

const frame = ({ event, data }: StreamEvent) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
const done = 'event: done\ndata: [DONE]\n\n'

// The SDKs raise an error with this message; the bare form of the published schema they do not understand.
const errorFrame = (message: string) =>
  `event: error\ndata: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code: null } })}\n\n`

/**
 * Answers with the events that `open` gives, as server-sent events, and `done` after the last. What `open` throws is
 * answered as an ordinary error. Its signal aborts when the client is gone; the run goes on all the same.
 */
export async function sendEvents(reply: FastifyReply, open: (listening: AbortSignal) => Promise<Events>) {
  const listening = new AbortController()
  try {
    const events = await open(listening.signal)
    const body = stream(events, reply.log)
    body.once('close', () => listening.abort())
    return reply
      .type('text/event-stream; charset=utf-8')
      .header('cache-control', 'no-cache')
      .header('x-accel-buffering', 'no')
      .send(body)
  } catch (error) {
    listening.abort()
    throw error
  }
}

function stream(events: Events, log: FastifyReply['log']): Readable {
  let drained: (() => void) | undefined
  const body = new Readable({ read: () => drained?.() })
  const pinging = setInterval(() => body.readableLength === 0 && body.push(ping), pingMs)
  const hasRoom = () =>
    new Promise<void>((resolve) => {
      const stalled = setTimeout(() => body.destroy(), stallMs)
      drained = () => {
        clearTimeout(stalled)
        resolve()
      }
      body.once('close', drained)
    })

  async function pump() {
    for await (const batch of events) {
      if (body.destroyed) return
      // Headers leave with the first byte, so that even news of nothing is sent.
      if (!body.push(batch.map(frame).join('') || ping)) await hasRoom()
    }
    body.push(done)
  }

  pump()
    .catch((error) => {
      const isSlow = error instanceof SlowReaderError
      if (isSlow) body.destroy()
      else if (!(error instanceof BusClosedError)) log.error(error, 'a stream broke off')
      if (!isSlow)
        body.push(errorFrame('The stream ends before its run, which goes on. Attach to the run again or poll it.'))
    })
    .finally(() => {
      clearInterval(pinging)
      if (!body.destroyed) body.push(null)
    })
  return body
}
