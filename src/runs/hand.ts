import type { Place } from '../completer/gate.ts'
import type { Pump } from '../pump.ts'
import type { Run } from '../schemas/runs.ts'
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
  /** At the model's backend, kept for the first call since the claim. */
  place: Place | undefined
  readonly #aside: Pump['aside']
  #controller = new AbortController()

  constructor({ lease_id, ...state }: Claim, aside: Pump['aside']) {
    this.state = state
    this.lease_id = lease_id
    this.#aside = aside
  }

  /** Waits for another run, or for the model's backend; another run is in hand in its stead meanwhile. */
  aside<T>(waiting: Promise<T>): Promise<T> {
    return this.#aside(waiting, this.signal)
  }

  /** Commits a change in the middle of a turn. Rejects with a RefusedError. */
  async commit(recorder: Recorder, change: RunChange): Promise<void> {
    const commit = await recorder.commit(this.state.run.id, change, this.lease_id)
    if (!commit.applied) throw new RefusedError()
    this.state = commit.state
  }

  /** The place that was kept, for whoever leaves it. */
  takePlace(): Place | undefined {
    const { place } = this
    this.place = undefined
    return place
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

/** What a run may still spend, of each kind of tokens; null for no limit. */
export function budgetOf({ run, spent }: RunState): Pick<Run, 'max_completion_tokens' | 'max_prompt_tokens'> {
  const left = (limit: number | null, used: number) => (limit === null ? null : Math.max(0, limit - used))
  return {
    max_completion_tokens: left(run.max_completion_tokens, spent.completion_tokens),
    max_prompt_tokens: left(run.max_prompt_tokens, spent.prompt_tokens),
  }
}
