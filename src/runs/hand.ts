import type { Claim, RunState } from '../store/store.ts'
import type { Draft } from './draft.ts'

/** Why work on a run stops before its end. */
export type Interruption = 'cancelled' | 'expired' | 'shutdown' | 'lease_lost'

/** A run that a worker has in hand: its claim, and what the worker knows beyond the store. */
export class Hand {
  state: RunState
  readonly lease_id: string
  draft: Draft | undefined
  #controller = new AbortController()

  constructor({ lease_id, ...state }: Claim) {
    this.state = state
    this.lease_id = lease_id
  }

  /** Aborts with an Interruption as its reason. */
  get signal() {
    return this.#controller.signal
  }

  get interruption(): Interruption | undefined {
    return this.signal.aborted ? this.signal.reason : undefined
  }

  /** The first reason holds. */
  interrupt(reason: Interruption) {
    this.#controller.abort(reason)
  }
}
