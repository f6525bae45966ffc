export interface PumpOptions {
  /** How many may be in hand at the same time. */
  concurrency: number
  /** Takes one from the queue and begins to work on it; undefined if there is none. `ended` never rejects. */
  claim(): Promise<{ ended: Promise<unknown> } | undefined>
  onError(error: unknown): void
}

/** Reads a queue: claims as long as there is something to claim and a hand is free. */
export interface Pump {
  start(): void
  /** A hint that there is something in the queue. */
  wake(): void
  /** Claims one and resolves when the work on it has ended; false if there was none. */
  tick(): Promise<boolean>
  /**
   * While work waits for other work of the queue, its place is free: or all hands could wait, and none be left. It goes on
   * when it has a place again, or at once when what it waits for fails or the signal aborts.
   */
  aside<T>(waiting: Promise<T>, signal?: AbortSignal): Promise<T>
  /** Claims nothing more from when this resolves; the work in hand goes on. */
  stop(): Promise<void>
}

export function createPump({ concurrency, claim, onError }: PumpOptions): Pump {
  let inHand = 0
  let running = false
  let pumping: Promise<void> | undefined
  let wokenMeanwhile = false
  /** What has waited aside, and waits for a place. */
  const returning = new Set<() => void>()

  async function take() {
    const taken = await claim()
    if (!taken) return undefined
    inHand++
    return { ended: taken.ended.finally(leave) }
  }

  /** Gives a place to one that comes back from aside, or else to the queue. */
  function leave() {
    // The queue was read to its end unless all hands were full.
    const wereFull = inHand >= concurrency
    inHand--
    const [next] = returning
    if (next && inHand < concurrency) next()
    else if (wereFull) wake()
  }

  /** Resolves with a place, or at once when the signal aborts: only the end is left then. */
  async function comeBack(signal: AbortSignal) {
    if (inHand >= concurrency && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const enter = () => {
        returning.delete(enter)
        signal.removeEventListener('abort', enter)
        inHand++
        resolve()
      }
      returning.add(enter)
      signal.addEventListener('abort', enter, { once: true })
      return promise
    }
    inHand++
  }

  async function pump() {
    do {
      wokenMeanwhile = false
      while (running && inHand < concurrency && (await take()));
    } while (wokenMeanwhile)
  }

  function wake() {
    if (!running) return
    // The queue is being read, perhaps already past what this hint is about.
    if (pumping) wokenMeanwhile = true
    else {
      pumping = pump()
        .catch(onError)
        .finally(() => {
          pumping = undefined
        })
    }
  }

  return {
    start() {
      running = true
      wake()
    },
    wake,
    async tick() {
      const taken = await take()
      await taken?.ended
      return taken !== undefined
    },
    async aside(waiting, signal = new AbortController().signal) {
      leave()
      try {
        const value = await waiting
        await comeBack(signal)
        return value
      } catch (error) {
        inHand++
        throw error
      }
    },
    async stop() {
      running = false
      await pumping
    },
  }
}
