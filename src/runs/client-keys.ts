import { type Clock, seconds } from '../clock.ts'
import type { Run } from '../schemas/runs.ts'

/** The keys that clients have brought for their runs. They are in memory alone: a restart loses them. */
export class ClientKeys {
  readonly #clock: Clock
  readonly #keys = new Map<string, { key: string; until: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  of(run_id: string): string | undefined {
    return this.#keys.get(run_id)?.key
  }

  /** Until the run ends, or has expired. */
  keep({ id, expires_at }: Pick<Run, 'id' | 'expires_at'>, key: string | undefined) {
    if (key === undefined) return
    const now = seconds(this.#clock)
    for (const [other, { until }] of this.#keys) if (until <= now) this.#keys.delete(other)
    this.#keys.set(id, { key, until: expires_at ?? now })
  }

  forget(run_id: string) {
    this.#keys.delete(run_id)
  }
}
