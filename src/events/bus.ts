import { setImmediate as immediate } from 'node:timers/promises'
import type { StreamEvent } from '../schemas/events.ts'

/** The reader has fallen so far behind that its events were dropped. */
export class SlowReaderError extends Error {}

/** The server is going down; what the events tell of goes on after its restart. */
export class BusClosedError extends Error {}

/** Topics are ids of runs and of threads. */
export interface EventBus {
  /** Never waits for readers. */
  publish(topic: string, event: StreamEvent): void
  /**
   * Listens from this call on, not from the first read. Yields all that has come since the last read, in order.
   * Ends when `signal` aborts; throws SlowReaderError after a backlog of `maxBacklog` events, BusClosedError on close.
   */
  subscribe(topic: string, signal: AbortSignal): AsyncIterable<readonly StreamEvent[]>
  close(): void
}

class Subscription implements AsyncIterableIterator<readonly StreamEvent[], undefined> {
  #backlog: StreamEvent[] = []
  #failure: Error | undefined
  #ended = false
  #wake: (() => void) | undefined
  readonly #maxBacklog: number

  constructor(maxBacklog: number) {
    this.#maxBacklog = maxBacklog
  }

  push(event: StreamEvent) {
    if (this.#backlog.push(event) > this.#maxBacklog) this.end(new SlowReaderError())
    this.#wake?.()
  }

  end(failure?: Error) {
    this.#ended = true
    this.#failure ??= failure
    if (failure instanceof SlowReaderError) this.#backlog = []
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<readonly StreamEvent[], undefined>> {
    while (this.#backlog.length === 0) {
      if (this.#failure) throw this.#failure
      if (this.#ended) return { done: true, value: undefined }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      // What else comes in this turn of the event loop goes out with it: writing to a socket is dear.
      await immediate()
    }
    const batch = this.#backlog
    this.#backlog = []
    return { done: false, value: batch }
  }

  [Symbol.asyncIterator]() {
    return this
  }
}

export function createBus({ maxBacklog = 10_000 } = {}): EventBus {
  const topics = new Map<string, Set<Subscription>>()

  return {
    publish(topic, event) {
      for (const subscription of topics.get(topic) ?? []) subscription.push(event)
    },

    subscribe(topic, signal) {
      const subscription = new Subscription(maxBacklog)
      const subscribers = topics.get(topic) ?? new Set()
      topics.set(topic, subscribers.add(subscription))
      const leave = () => {
        subscribers.delete(subscription)
        if (subscribers.size === 0 && topics.get(topic) === subscribers) topics.delete(topic)
        subscription.end()
      }
      if (signal.aborted) leave()
      else signal.addEventListener('abort', leave, { once: true })
      return subscription
    },

    close() {
      for (const subscribers of topics.values()) {
        for (const subscription of subscribers) subscription.end(new BusClosedError())
      }
    },
  }
}
