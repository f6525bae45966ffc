import type { Readable } from 'node:stream'
import { BrokenOffError } from '../backend-error.ts'

/** How long a backend may be silent. A comment that keeps the connection alive is no silence. */
export interface IdleMs {
  /** Before the headers of its answer, and again before the first byte after them: a long prompt takes time to read. */
  first: number
  between: number
  /** When the answer is there, and only its usage or the end of the connection can follow. */
  after: number
}

export const defaultIdleMs: IdleMs = { first: 300_000, between: 120_000, after: 5000 }

export const stalled = (ms: number) => new BrokenOffError(`The model backend sent nothing for ${ms / 1000} s.`)

/**
 * A body as it comes. Reading rejects with a BrokenOffError when nothing comes for too long, and the connection is
 * closed then. Only the time counts in which somebody reads. To be released at the end.
 */
export class WatchedBody implements AsyncIterable<Uint8Array> {
  readonly #body: Readable
  readonly #iterator: AsyncIterator<Uint8Array>
  #timer: NodeJS.Timeout | undefined
  #timerMs = 0
  /** May be changed between two reads. */
  waitMs: number

  constructor(body: Readable, waitMs: number) {
    this.#body = body
    this.#iterator = body[Symbol.asyncIterator]()
    this.waitMs = waitMs
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: () => {
        this.#watch()
        return this.#iterator.next()
      },
      return: async () => {
        await this.#iterator.return?.()
        return { done: true, value: undefined }
      },
    }
  }

  release() {
    clearTimeout(this.#timer)
  }

  #watch() {
    if (this.#timer && this.#timerMs === this.waitMs) {
      this.#timer.refresh()
      return
    }
    clearTimeout(this.#timer)
    this.#timerMs = this.waitMs
    this.#timer = setTimeout(() => {
      // What has come but is not read yet is no silence.
      if (this.#body.readableLength === 0) this.#body.destroy(stalled(this.#timerMs))
    }, this.waitMs)
  }
}
