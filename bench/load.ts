import { Connection, requestText } from './connection.ts'

/** Requests per second of `connections` clients that each send the next request when the last is answered. */
export async function rate(port: number, connections: number, durationMs: number, request: string): Promise<number> {
  let count = 0
  const startedAt = performance.now()
  const until = startedAt + durationMs
  const client = async () => {
    const connection = new Connection(port)
    for (;;) {
      await connection.send(request)
      if (performance.now() > until) break
      count++
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: connections }, client))
  return (count * 1000) / durationMs
}

/** The times (ms) from a request to the first `marker` in its answer, one request after the other. */
export async function timesTo(marker: string, port: number, count: number, request: string): Promise<number[]> {
  const connection = new Connection(port)
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    let text = ''
    let found = false
    const sentAt = performance.now()
    await connection.send(request, (piece) => {
      if (found) return
      text += piece
      found = text.includes(marker)
      if (found) times.push(performance.now() - sentAt)
    })
  }
  connection.close()
  return times
}

export interface Held {
  /** Streams that did not get all their chunks and their end. */
  lost: number
  /** Chunks per second while all streams were open. */
  chunkRate: number
  /** From the backend's sending of a chunk to its arrival (ms), while all streams were open. */
  delaysMs: number[]
  /** The part of that time that `cpuSeconds` counted. */
  busy: number
  /** How long all streams were open. */
  seconds: number
}

interface Hold {
  port: number
  streams: number
  chunks: number
  /** The streams are opened evenly over this time. */
  rampMs: number
  request: string
  cpuSeconds: () => number
}

/** Holds many streams open at the same time and counts what comes. */
export async function hold({ port, streams, chunks, rampMs, request, cpuSeconds }: Hold): Promise<Held> {
  let begun = 0
  let phase: 'opening' | 'held' | 'ending' = 'opening'
  let from = { at: 0, cpu: 0 }
  let to = { at: 0, cpu: 0 }
  const delaysMs: number[] = []
  const mark = () => ({ at: performance.now(), cpu: cpuSeconds() })

  const stream = async (index: number) => {
    await new Promise((resolve) => setTimeout(resolve, (rampMs * index) / streams))
    const connection = new Connection(port)
    const frames = new FrameCounter((sentAt) => {
      if (phase === 'held') delaysMs.push(Date.now() - sentAt)
    })
    await connection.send(request, (text) => {
      const isFirst = frames.deltas === 0
      frames.read(text)
      if (isFirst && frames.deltas > 0 && ++begun === streams) {
        from = mark()
        phase = 'held'
      }
      if (frames.isDone && phase === 'held') {
        to = mark()
        phase = 'ending'
      }
    })
    connection.close()
    return frames.isDone && frames.deltas === chunks
  }

  const whole = await Promise.allSettled(Array.from({ length: streams }, (_, index) => stream(index)))
  const seconds = (to.at - from.at) / 1000
  return {
    lost: whole.filter((one) => one.status === 'rejected' || !one.value).length,
    chunkRate: delaysMs.length / seconds,
    delaysMs,
    busy: (to.cpu - from.cpu) / seconds,
    seconds,
  }
}

/** Counts the deltas of a stream; each carries the time of its sending as its text. */
class FrameCounter {
  deltas = 0
  isDone = false
  #rest = ''
  readonly #onDelta: (sentAt: number) => void

  constructor(onDelta: (sentAt: number) => void) {
    this.#onDelta = onDelta
  }

  read(text: string) {
    const frames = (this.#rest + text).split('\n\n')
    this.#rest = frames.pop() ?? ''
    for (const frame of frames) {
      if (frame.includes('event: thread.message.delta')) {
        this.deltas++
        const at = frame.indexOf('"value":"') + '"value":"'.length
        this.#onDelta(Number(frame.slice(at, frame.indexOf(' ', at))))
      } else if (frame.includes('event: done')) this.isDone = true
    }
  }
}

/** The names of the events of one stream. */
export async function eventNames(port: number, request: string): Promise<string[]> {
  let text = ''
  const connection = new Connection(port)
  await connection.send(request, (piece) => {
    text += piece
  })
  connection.close()
  return [...text.matchAll(/^event: (.+)$/gm)].map(([, name = '']) => name)
}

export const streamedRun = (assistant_id: string) =>
  requestText('POST', '/v1/threads/runs', {
    assistant_id,
    stream: true,
    thread: { messages: [{ role: 'user', content: 'How much is it?' }] },
  })
