import { seconds } from '../clock.ts'
import { type AdvanceContext, advance } from './advance.ts'
import type { Draft } from './draft.ts'
import { Hand, type Interruption } from './hand.ts'
import { isAtRest, isOver } from './lifecycle.ts'

export interface ExecutorOptions extends AdvanceContext {
  /** Runs in hand at the same time. */
  concurrency: number
  /** How long a worker that has died keeps its runs from others. */
  leaseMs: number
  /** How often leases, expiries and the queue are looked at without being asked to. */
  beatMs: number
}

export interface Executor {
  /** Claims one run and takes it to its rest; false if there was none to claim. */
  tick(): Promise<boolean>
  /** Works on the queue until stopped. */
  start(): void
  /** A hint that there is work; the next beat would find it anyway. */
  wake(): void
  /** Stops the model call of a run, if it is in hand here. What becomes of the run must be committed already. */
  interrupt(run_id: string, reason: Interruption): void
  /** Interrupts what is over, prolongs leases, looks at the queue. Called by the clock between start and stop. */
  beat(): Promise<void>
  /** The answer that a run in hand here is getting. */
  draftOf(run_id: string): Draft | undefined
  /** Claims nothing more, gives runs in hand `drainMs` to come to rest, then gives them back for the next start. */
  stop(drainMs: number): Promise<void>
}

export function createExecutor({ concurrency, leaseMs, beatMs, ...context }: ExecutorOptions): Executor {
  const { store, clock, onError } = context
  /** What is in hand, and the end of the work on it. */
  const hands = new Map<Hand, Promise<void>>()
  let running = false
  let timer: NodeJS.Timeout | undefined
  let pumping: Promise<void> | undefined
  let wokenMeanwhile = false
  let extendedAt = 0

  async function claim(): Promise<Hand | undefined> {
    const claimed = await store.runs.claim(clock() + leaseMs)
    if (!claimed) return undefined
    const hand = new Hand(claimed)
    const driven = drive(hand)
      .catch((error) => onError(error, hand.state.run.id))
      .finally(() => {
        // The queue was read to its end unless all hands were full.
        const wereFull = hands.size >= concurrency
        hands.delete(hand)
        if (wereFull) wake()
      })
    hands.set(hand, driven)
    return hand
  }

  async function drive(hand: Hand) {
    do {
      const commit = await advance(hand, context)
      if (!commit.state || (!commit.applied && !commit.held)) return
      hand.state = commit.state
      const { run } = hand.state
      const mayGoOn = run.status === 'queued' || run.status === 'in_progress'
      if (hand.interruption && mayGoOn && !isOver(run, seconds(clock))) return store.runs.release(hand.lease_id)
    } while (!isAtRest(hand.state.run.status))
    context.onRest(hand.state)
  }

  async function pump() {
    do {
      wokenMeanwhile = false
      while (running && hands.size < concurrency && (await claim()));
    } while (wokenMeanwhile)
  }

  function wake() {
    if (!running) return
    // The queue is being read, perhaps already past what this hint is about.
    if (pumping) wokenMeanwhile = true
    else {
      pumping = pump()
        .catch((error) => onError(error))
        .finally(() => {
          pumping = undefined
        })
    }
  }

  async function extendLeases() {
    if (clock() - extendedAt < leaseMs / 3) return
    extendedAt = clock()
    const mine = [...hands.keys()]
    const held = new Map(
      (
        await store.runs.extend(
          mine.map((hand) => hand.lease_id),
          clock() + leaseMs,
        )
      ).map(({ lease_id, status }) => [lease_id, status]),
    )
    for (const hand of mine) {
      const status = held.get(hand.lease_id)
      if (status === 'cancelling') hand.interrupt('cancelled')
      if (status === undefined && hands.has(hand)) hand.interrupt('lease_lost')
    }
  }

  const executor: Executor = {
    async tick() {
      const hand = await claim()
      if (hand) await hands.get(hand)
      return hand !== undefined
    },

    start() {
      running = true
      timer = setInterval(() => void executor.beat().catch((error) => onError(error)), beatMs)
      wake()
    },

    wake,

    interrupt(run_id, reason) {
      for (const hand of hands.keys()) if (hand.state.run.id === run_id) hand.interrupt(reason)
    },

    async beat() {
      for (const hand of hands.keys()) if (isOver(hand.state.run, seconds(clock))) hand.interrupt('expired')
      await extendLeases()
      wake()
    },

    draftOf(run_id) {
      for (const hand of hands.keys()) if (hand.state.run.id === run_id) return hand.draft
      return undefined
    },

    async stop(drainMs) {
      running = false
      clearInterval(timer)
      await pumping
      const drained = Promise.all(hands.values())
      const late = setTimeout(() => {
        for (const hand of hands.keys()) hand.interrupt('shutdown')
      }, drainMs)
      await drained
      clearTimeout(late)
    },
  }
  return executor
}
