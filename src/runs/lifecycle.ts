import type { Run, RunStatus } from '../schemas/runs.ts'

/**
 * The one table of legal moves. It is enforced inside the UPDATE that makes a move, so a lost race writes nothing.
 *
 * differs: `cancelling` leads to `cancelled` alone. The hosted service let a run that was asked to cancel still end
 * otherwise; here a cancel that was acknowledged holds.
 */
const moves = {
  queued: ['in_progress', 'cancelling', 'expired'],
  in_progress: ['requires_action', 'completed', 'incomplete', 'failed', 'cancelling', 'expired'],
  requires_action: ['queued', 'cancelling', 'expired'],
  cancelling: ['cancelled'],
  cancelled: [],
  failed: [],
  completed: [],
  incomplete: [],
  expired: [],
} as const satisfies Record<RunStatus, readonly RunStatus[]>

const statuses = Object.keys(moves) as RunStatus[]

const leadsTo = (from: RunStatus, to: RunStatus) => (moves[from] as readonly RunStatus[]).includes(to)

const sources = Object.fromEntries(statuses.map((to) => [to, statuses.filter((from) => leadsTo(from, to))])) as Record<
  RunStatus,
  RunStatus[]
>

/** The statuses from which a run may move to `to`. */
export const sourcesOf = (to: RunStatus): readonly RunStatus[] => sources[to]

/** At rest for good: nothing leads on from here. */
export const isTerminal = (status: RunStatus) => moves[status].length === 0

/** Active runs lock their thread. */
export const isActive = (status: RunStatus) => !isTerminal(status)

/** The statuses that lock a thread, for indexes and queries. */
export const activeStatuses: readonly RunStatus[] = statuses.filter(isActive)

/** A stream of a run ends here: the run waits for the client or is over. */
export const isAtRest = (status: RunStatus) => status === 'requires_action' || isTerminal(status)

/** Its time is over; `now` in seconds. A run that was asked to cancel is not expired any more. */
export const isOver = ({ status, expires_at }: Run, now: number) =>
  isActive(status) && status !== 'cancelling' && expires_at !== null && expires_at <= now
