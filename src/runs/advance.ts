import { seconds } from '../clock.ts'
import { CompletionError } from '../completer/completer.ts'
import type { LastError } from '../schemas/runs.ts'
import type { Commit, RunChange, RunState } from '../store/store.ts'
import { type Hand, RefusedError } from './hand.ts'
import { isOver } from './lifecycle.ts'
import { openOf, settle } from './settle.ts'
import { type TurnContext, takeTurn } from './turn.ts'

export interface AdvanceContext extends TurnContext {
  /** Hears of failures that are our own. */
  onError(error: unknown, run_id?: string): void
  /** Hears of runs that come to rest. */
  onRest(state: RunState): void
}

/**
 * Takes a run one step further, by its status, and commits that. A refused commit is no failure: the run moved
 * meanwhile, and what it is now decides what comes next. A turn that was interrupted commits nothing.
 */
export async function advance(hand: Hand, context: AdvanceContext): Promise<Commit> {
  const { run } = hand.state
  const now = seconds(context.clock)
  const commit = (change: RunChange) => context.recorder.commit(run.id, change, hand.lease_id)

  switch (run.status) {
    case 'queued':
      if (isOver(run, now)) return commit(await ended(hand, { to: 'expired' }, context))
      return commit({ to: 'in_progress', patch: { started_at: now } })

    case 'in_progress':
      if (isOver(run, now)) return commit(await ended(hand, { to: 'expired' }, context))
      return turn(hand, context, commit)

    // Runs that wait for their client are in nobody's hand until their time is over.
    case 'requires_action':
      return commit(await ended(hand, { to: 'expired' }, context))

    case 'cancelling':
      return commit(await ended(hand, { to: 'cancelled' }, context))

    case 'cancelled':
    case 'failed':
    case 'completed':
    case 'incomplete':
    case 'expired':
      return { applied: false, state: hand.state, held: false }
  }
}

async function turn(hand: Hand, context: AdvanceContext, commit: (change: RunChange) => Promise<Commit>) {
  let change: RunChange
  try {
    change = await takeTurn(hand, context)
  } catch (error) {
    // The run has moved, or somebody will move it: the empty change tells what it is now.
    if (hand.interruption || error instanceof RefusedError) return commit({})
    if (!(error instanceof CompletionError)) context.onError(error, hand.state.run.id)
    change = await ended(hand, { to: 'failed', last_error: lastErrorOf(error) }, context)
  }
  return commit(change)
}

const lastErrorOf = (error: unknown): LastError =>
  error instanceof CompletionError
    ? { code: error.code, message: error.message }
    : { code: 'server_error', message: 'Sorry, something went wrong.' }

async function ended(hand: Hand, outcome: Parameters<typeof settle>[2], { store, clock }: AdvanceContext) {
  return settle(hand.state, await openOf(store, hand.state.run.id, hand.draft), outcome, seconds(clock))
}
