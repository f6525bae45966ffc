import type { OutgoingHttpHeaders, ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { BusClosedError, SlowReaderError } from '../events/bus.ts'
import type { StreamEvent } from '../schemas/events.ts'
import { shownStep } from '../schemas/run-steps.ts'
import { includesContent } from './include.ts'

type Events = AsyncIterable<readonly StreamEvent[]>

/** A comment line; clients pass over it, proxies see that the connection lives. */
const ping = ': ping\n\n'
const pingMs = 15_000
/** A reader that takes nothing for so long is gone. */
const stallMs = 30_000

function frame({ event, data }: StreamEvent, withContent: boolean) {
  const shown = data.object === 'thread.run.step' ? shownStep(data, withContent) : data
  return `event: ${event}\ndata: ${JSON.stringify(shown)}\n\n`
}
const done = 'event: done\ndata: [DONE]\n\n'

// The SDKs raise an error with this message; the bare form of the published schema they do not understand.
const errorFrame = (message: string) =>
  `event: error\ndata: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code: null } })}\n\n`

/**
 * Answers with the events that `open` gives, as server-sent events, and `done` after the last. What `open` throws is
 * answered as an ordinary error. Its signal aborts when the client is gone; the run goes on all the same. The URL
 * says whether steps have the text of what was found.
 */
export async function sendEvents(reply: FastifyReply, open: (listening: AbortSignal) => Promise<Events>) {
  const withContent = includesContent(reply.request.url)
  const listening = new AbortController()
  // Without a reason, each abort would make an exception with a stack.
  reply.raw.once('close', () => listening.abort('gone'))
  const events = await open(listening.signal)
  // Straight to the socket: a stream of Fastify's would cost more than what is in it.
  reply.hijack()
  reply.raw.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  })
  void write(events, withContent, reply)
}

async function write(events: Events, withContent: boolean, { raw: response, log }: FastifyReply) {
  const pinging = setInterval(() => response.write(ping), pingMs)
  try {
    for await (const batch of events) {
      // Headers leave with the first byte, so that even news of nothing is sent.
      if (!response.write(batch.map((event) => frame(event, withContent)).join('') || ping)) await hasRoom(response)
    }
    response.end(done)
  } catch (error) {
    if (error instanceof SlowReaderError) response.destroy()
    else {
      if (!(error instanceof BusClosedError)) log.error(error, 'a stream broke off')
      response.end(errorFrame('The stream ends before its run, which goes on. Attach to the run again or poll it.'))
    }
  } finally {
    clearInterval(pinging)
  }
}

/** Resolves when the client has taken what was written, or is gone. */
const hasRoom = (response: ServerResponse) =>
  new Promise<void>((resolve) => {
    if (response.destroyed) return resolve()
    const stalled = setTimeout(() => response.destroy(), stallMs)
    const goOn = () => {
      clearTimeout(stalled)
      response.off('drain', goOn).off('close', goOn)
      resolve()
    }
    response.on('drain', goOn).on('close', goOn)
  })
