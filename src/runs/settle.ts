import type { LastError } from '../schemas/runs.ts'
import { noUsage } from '../schemas/usage.ts'
import type { Open, RunChange, RunState, Store } from '../store/store.ts'
import type { Draft } from './draft.ts'

/** What is open of a run: all that is stored, and of what its answer has brought since, the pieces that are not. */
export async function openOf(store: Store, run_id: string, draft: Draft | undefined): Promise<Open> {
  const stored = await store.runs.open(run_id)
  const drafted = draft?.open
  return {
    steps: stored.steps.map((step) => drafted?.steps.find(({ id }) => id === step.id) ?? step),
    messages: stored.messages.map((message) => drafted?.messages.find(({ id }) => id === message.id) ?? message),
  }
}

type Outcome = { to: 'cancelled' } | { to: 'expired' } | { to: 'failed'; last_error: LastError }

/** Ends a run before its time, and with it whatever of it is open; text that has come is kept. `now` in seconds. */
export function settle({ spent }: RunState, open: Open, outcome: Outcome, now: number): RunChange {
  const { to } = outcome
  const last_error = 'last_error' in outcome ? outcome.last_error : null
  return {
    to,
    patch: {
      required_action: null,
      usage: spent,
      ...(to === 'cancelled' && { cancelled_at: now, expires_at: null }),
      ...(to === 'failed' && { failed_at: now, expires_at: null, last_error }),
    },
    save: {
      steps: open.steps.map((step) => ({
        ...step,
        status: to,
        ...(to === 'cancelled' && { cancelled_at: now }),
        ...(to === 'expired' && { expired_at: now }),
        ...(to === 'failed' && { failed_at: now, last_error: stepError(last_error) }),
        usage: step.spent ?? noUsage,
      })),
      messages: open.messages.map((message) => ({
        ...message,
        status: 'incomplete' as const,
        incomplete_at: now,
        incomplete_details: { reason: `run_${to}` as const },
      })),
    },
  }
}

/** A step's error has fewer codes than a run's. */
const stepError = (error: LastError | null) =>
  error && { ...error, code: error.code === 'rate_limit_exceeded' ? error.code : ('server_error' as const) }
