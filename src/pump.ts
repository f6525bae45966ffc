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
  /** While work waits for other work of the queue, its place is free: or all hands could wait, and none be left. */
  aside<T>(waiting: Promise<T>): Promise<T>
  /** Claims nothing more from when this resolves; the work in hand goes on. */
  stop(): Promise<void>
}

export function createPump({ concurrency, claim, onError }: PumpOptions): Pump {
  let inHand = 0
  let running = false
  let pumping: Promise<void> | undefined
  let wokenMeanwhile = false

  async function take() {
    const taken = await claim()
    if (!taken) return undefined
    inHand++
    const ended = taken.ended.finally(() => {
      // The queue was read to its end unless all hands were full.
      const wereFull = inHand >= concurrency
      inHand--
      if (wereFull) wake()
    })
    return { ended }
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
    async aside(waiting) {
      inHand--
      wake()
      try {
        return await waiting
      } finally {
        inHand++
      }
    },
    async stop() {
      running = false
      await pumping
    },
  }
}
