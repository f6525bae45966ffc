import { beforeEach, onTestFinished } from 'vitest'
import type { Clock } from '../../src/clock.ts'
import type { Run } from '../../src/schemas/runs.ts'
import type { Claim, RunState, Store } from '../../src/store/store.ts'
import { aMessage, aRun, aThread } from './objects.ts'

export type OpenStore = (clock: Clock) => Store | Promise<Store>

/** A fresh store for each test of the suite, its clock, and what runs are made of. */
export function givenStore(open: OpenStore) {
  const on = { store: undefined as unknown as Store, now: 0 }
  beforeEach(async () => {
    on.now = 1_790_000_000_000
    on.store = await open(() => on.now)
    const { store } = on
    onTestFinished(() => store.close())
  })
  return {
    on,
    /** A new run on a thread of its own. */
    async queued(patch: Partial<Run> = {}): Promise<Run> {
      const thread = aThread()
      const run = aRun(thread.id, patch)
      await on.store.runs.insert(run, [aMessage(thread.id, 'Hi')], thread)
      return run
    },
    async claimed(leaseMs = 1000): Promise<Claim> {
      const claim = await on.store.runs.claim(on.now + leaseMs)
      if (!claim) throw new Error('There is nothing to claim.')
      return claim
    },
    async stateOf(run: Run): Promise<RunState> {
      const snapshot = await on.store.runs.snapshot({ run_id: run.id })
      if (!snapshot) throw new Error('The run is gone.')
      return { run: snapshot.run, version: snapshot.version, spent: snapshot.spent }
    },
  }
}
