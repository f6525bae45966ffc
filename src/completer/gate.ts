/** Who calls a backend. */
export interface Caller {
  readonly signal: AbortSignal
  /** Is given everything that the caller has to wait for before it may call. */
  aside<T>(waiting: Promise<T>): Promise<T>
}

/**
 * Leave to make one call, which may take several tries. What becomes of a try is told, since that is all the gate knows of
 * its backend; nothing, if it says nothing about that.
 */
export interface Place {
  /** A part of an answer has come, or a refusal that was meant. */
  answered(): void
  /** No answer has come, and the backend is to blame: it cannot be reached, is silent or broken. */
  failed(): void
  /** The backend asks to be left alone for so long. */
  limited(ms: number): void
  /** Gives the place up until `ready` and waits for another. Rejects as `ready` does, or with the caller's reason. */
  again(ready: Promise<void>): Promise<void>
  /** To be called at the end; more than once is fine. */
  leave(): void
}

/**
 * Stands before one backend: lets in so many calls at a time, and none for a while when the backend fails or asks to be left
 * alone. Calls that wait here come first, in their order; runs of the queue stay there as long as the gate is busy.
 *
 * After some failures in a row it shuts, for a time that doubles whenever it turns out too short. Then one call goes
 * through, and with each that is answered one more at the same time, until all is as before.
 */
export interface Gate {
  /** Whether a call would have to wait. */
  readonly isBusy: boolean
  /** A place, unless the gate is busy. */
  take(caller: Caller): Place | undefined
  /** A place as soon as there is one. Rejects with the reason of the caller's signal. */
  enter(caller: Caller): Promise<Place>
}

export interface GateOptions {
  /** Calls at the same time. */
  concurrency: number
  /** How long it shuts the first time. */
  shutMs: number
  /** Hears that the gate, which was busy, is so no more. */
  onFree(): void
  onShut?(ms: number, why: 'failing' | 'limited'): void
  /** Hears that all is as before it shut. */
  onRecovered?(): void
}

const failuresToShut = 5
const maxShutMs = 30_000

/** From a shut gate to one that stands open. */
interface Recovery {
  /** Calls at the same time, of those that began since the gate shut. */
  allowed: number
  inFlight: number
  /** When so many are allowed, it is over. */
  goal: number
}

export function createGate({ concurrency, shutMs, onFree, onShut, onRecovered }: GateOptions): Gate {
  let inFlight = 0
  const waiting = new Set<() => void>()
  /** Runs while the gate is shut. */
  let timer: NodeJS.Timeout | undefined
  let recovery: Recovery | undefined
  /** In a row. */
  let failures = 0
  let nextShutMs = shutMs

  const hasRoom = () =>
    timer === undefined && inFlight < concurrency && (recovery === undefined || recovery.inFlight < recovery.allowed)
  const isBusy = () => waiting.size > 0 || !hasRoom()

  /** Lets in who waits, as far as there is room. */
  function admit() {
    for (const next of waiting) {
      if (!hasRoom()) return
      waiting.delete(next)
      next()
    }
    if (!isBusy()) onFree()
  }

  function shut(ms: number, why: 'failing' | 'limited') {
    recovery = { allowed: 1, inFlight: 0, goal: Math.max(recovery?.goal ?? 0, inFlight) }
    // Nobody's end is held up by it.
    timer = setTimeout(() => {
      timer = undefined
      admit()
    }, ms).unref()
    onShut?.(ms, why)
  }

  function recover(current: Recovery) {
    current.allowed++
    if (current.allowed > current.goal) {
      recovery = undefined
      nextShutMs = shutMs
      onRecovered?.()
    }
    admit()
  }

  /** Waits for room, which is taken by `take` at the same moment. */
  async function roomFor({ signal }: Caller, take: () => void): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const next = () => {
      take()
      resolve()
    }
    const giveUp = () => {
      waiting.delete(next)
      reject(signal.reason)
    }
    signal.addEventListener('abort', giveUp, { once: true })
    waiting.add(next)
    admit()
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  function createPlace(caller: Caller) {
    let isTaken = false
    /** When the try began. What began before the gate shut, or before it stood open again, is no news of the backend. */
    let since: Recovery | undefined

    const take = () => {
      isTaken = true
      since = recovery
      inFlight++
      if (since) since.inFlight++
    }

    const place: Place = {
      answered() {
        if (since !== recovery) return
        failures = 0
        if (recovery) recover(recovery)
      },
      failed() {
        if (since !== recovery || (!recovery && ++failures < failuresToShut)) return
        failures = 0
        const ms = nextShutMs * (1 + Math.random() / 4)
        nextShutMs = Math.min(nextShutMs * 2, maxShutMs)
        shut(ms, 'failing')
      },
      limited(ms) {
        if (since !== recovery) return
        failures = 0
        shut(ms, 'limited')
      },
      async again(ready) {
        place.leave()
        await caller.aside(ready.then(() => roomFor(caller, take)))
      },
      leave() {
        if (!isTaken) return
        const wasBusy = isBusy()
        isTaken = false
        inFlight--
        if (since) since.inFlight--
        if (wasBusy) admit()
      },
    }
    return { place, take }
  }

  return {
    get isBusy() {
      return isBusy()
    },
    take(caller) {
      if (isBusy()) return undefined
      const { place, take } = createPlace(caller)
      take()
      return place
    },
    async enter(caller) {
      const { place, take } = createPlace(caller)
      await caller.aside(roomFor(caller, take))
      return place
    },
  }
}
