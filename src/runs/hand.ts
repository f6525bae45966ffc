import type { Claim, RunChange, RunState } from '../store/store.ts'
import type { Recorder } from './commit.ts'
import type { Draft } from './draft.ts'

/** Why work on a run stops before its end. */
export type Interruption = 'cancelled' | 'expired' | 'shutdown' | 'lease_lost'

/** A change in the middle of a turn was refused: the run has moved, or is somebody else's by now. */
export class RefusedError extends Error {}

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

  /** Commits a change in the middle of a turn. Rejects with a RefusedError. */
  async commit(recorder: Recorder, change: RunChange): Promise<void> {
    const commit = await recorder.commit(this.state.run.id, change, this.lease_id)
    if (!commit.applied) throw new RefusedError()
    this.state = commit.state
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
