import { seconds } from '../clock.ts'
import { createPump } from '../pump.ts'
import { type AdvanceContext, advance } from './advance.ts'
import type { Draft } from './draft.ts'
import { Hand, type Interruption } from './hand.ts'
import { isAtRest, isOver, isTerminal } from './lifecycle.ts'

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
  const { store, completer, clock, onError } = context
  /** What is in hand, and the end of the work on it. */
  const hands = new Map<Hand, Promise<unknown>>()
  const pump = createPump({ concurrency, claim, onError })
  let timer: NodeJS.Timeout | undefined
  let extendedAt = 0

  /**
   * Runs stay in the queue, in their order, while their model's backend has no place for them; others pass. A thread has
   * one active run at most, so that this order is fair to threads; runs of specialists queue like all.
   */
  async function heldModels() {
    return (await store.runs.waitingModels()).filter((model) => completer.gateOf(model)?.isBusy)
  }

  async function claim() {
    const held = completer.gates.some((gate) => gate.isBusy) ? await heldModels() : []
    const claimed = await store.runs.claim(clock() + leaseMs, held)
    if (!claimed) return undefined
    const hand = new Hand(claimed, pump.aside)
    // Before the next claim: that is to know of it.
    if (claimed.run.status === 'queued') hand.place = completer.gateOf(claimed.run.model)?.take(hand)
    const ended = drive(hand)
      .catch((error) => onError(error, hand.state.run.id))
      .finally(() => {
        // What of its tools may still be at work is for nobody any more.
        hand.interrupt(isTerminal(hand.state.run.status) ? 'cancelled' : 'lease_lost')
        hand.takePlace()?.leave()
        hands.delete(hand)
      })
    hands.set(hand, ended)
    return { ended }
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
    tick: pump.tick,

    start() {
      timer = setInterval(() => void executor.beat().catch((error) => onError(error)), beatMs)
      pump.start()
    },

    wake: pump.wake,

    interrupt(run_id, reason) {
      for (const hand of hands.keys()) if (hand.state.run.id === run_id) hand.interrupt(reason)
    },

    async beat() {
      for (const hand of hands.keys()) if (isOver(hand.state.run, seconds(clock))) hand.interrupt('expired')
      await extendLeases()
      pump.wake()
    },

    draftOf(run_id) {
      for (const hand of hands.keys()) if (hand.state.run.id === run_id) return hand.draft
      return undefined
    },

    async stop(drainMs) {
      clearInterval(timer)
      await pump.stop()
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
