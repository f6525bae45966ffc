import { describe, expect, test } from 'vitest'
import type { Run, RunStatus } from '../../src/schemas/runs.ts'
import { aCallStep, aMessage, anAnswer, aRun, aThread } from './objects.ts'
import { givenStore, type OpenStore } from './store-given.ts'

/** The moves by which a run gets from the queue into a status. */
const ways: Record<RunStatus, RunStatus[]> = {
  queued: [],
  in_progress: ['in_progress'],
  requires_action: ['in_progress', 'requires_action'],
  cancelling: ['cancelling'],
  cancelled: ['cancelling', 'cancelled'],
  failed: ['in_progress', 'failed'],
  completed: ['in_progress', 'completed'],
  incomplete: ['in_progress', 'incomplete'],
  expired: ['expired'],
}
const asked: Run['required_action'] = {
  type: 'submit_tool_outputs',
  submit_tool_outputs: {
    tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
  },
}
const terminal = ['cancelled', 'failed', 'completed', 'incomplete', 'expired'] as const

/** The part of the shared suite that is about runs that other runs have begun. */
export function testChildren(open: OpenStore) {
  const { on, queued, claimed, stateOf } = givenStore(open)

  async function bring(run: Run, to: RunStatus): Promise<Run> {
    for (const next of ways[to]) {
      const patch = next === 'requires_action' ? { required_action: asked } : {}
      const { applied } = await on.store.runs.commit(run.id, { to: next, patch })
      if (!applied) throw new Error(`The run does not become ${next}.`)
    }
    return run
  }

  const parentIn = async (status: RunStatus) => bring(await queued(), status)

  /** What is inserted for a child. */
  function aChild() {
    const thread = aThread({ metadata: { specialist: 'Ada' } })
    return { thread, run: aRun(thread.id), message: aMessage(thread.id, 'Do it.') }
  }

  async function childOf(parent: Run): Promise<Run> {
    const { thread, run, message } = aChild()
    if (!(await on.store.runs.insertChild(parent.id, run, [message], thread))) throw new Error('It was refused.')
    return run
  }

  const statusOf = async (run: Run) => (await stateOf(run)).run.status
  const claimedAll = async () => {
    const ids: string[] = []
    for (;;) {
      const claim = await on.store.runs.claim(on.now + 1000)
      if (!claim) return ids
      ids.push(claim.run.id)
    }
  }

  describe('insertChild', () => {
    test('a child comes with its thread and messages, and is claimed like any run', async () => {
      const parent = await parentIn('in_progress')
      await claimedAll()
      const { thread, run, message } = aChild()
      const begun = await on.store.runs.insertChild(parent.id, run, [message], thread)
      expect(begun).toMatchObject({ run, version: 1, spent: { total_tokens: 0 } })
      expect(await on.store.runs.get(thread.id, run.id)).toStrictEqual(run)
      expect(await on.store.threads.get(thread.id)).toEqual(thread)
      expect(await on.store.messages.page(thread.id, { limit: 9, order: 'asc' })).toMatchObject({ data: [message] })
      expect(await on.store.runs.active(thread.id)).toEqual(run)
      expect((await claimed()).run).toEqual(run)
    })

    const others = (Object.keys(ways) as RunStatus[]).filter((status) => status !== 'in_progress')
    test.each([...others, 'gone'] as const)('writes nothing for a parent that is %s', async (status) => {
      const parent = await parentIn(status === 'gone' ? 'in_progress' : status)
      if (status === 'gone') await on.store.threads.delete(parent.thread_id)
      await claimedAll()
      const { thread, run, message } = aChild()
      expect(await on.store.runs.insertChild(parent.id, run, [message], thread)).toBeUndefined()
      expect(await on.store.threads.get(thread.id)).toBeUndefined()
      expect(await on.store.messages.get(thread.id, message.id)).toBeUndefined()
      expect(await on.store.runs.snapshot({ run_id: run.id })).toBeUndefined()
      expect(await claimedAll()).toEqual([])
    })

    test('one that fails in the middle leaves nothing; of two of one id the second rejects', async () => {
      const parent = await parentIn('in_progress')
      const { thread, run, message } = aChild()
      await expect(on.store.runs.insertChild(parent.id, run, [message, message], thread)).rejects.toThrow()
      expect(await on.store.threads.get(thread.id)).toBeUndefined()
      expect(await on.store.runs.snapshot({ run_id: run.id })).toBeUndefined()
      expect(await on.store.runs.family(parent.id)).toEqual({ depth: 0, descendants: 0 })

      expect(await on.store.runs.insertChild(parent.id, run, [message], thread)).toBeDefined()
      await expect(on.store.runs.insertChild(parent.id, run, [aMessage(thread.id, 'b')], thread)).rejects.toThrow()
      expect(await on.store.messages.page(thread.id, { limit: 9, order: 'asc' })).toMatchObject({ data: [message] })
      expect(await on.store.runs.family(parent.id)).toEqual({ depth: 0, descendants: 1 })
    })

    test('of a child and the end of its parent, whichever comes first, none is left that nobody ends', async () => {
      const parent = await parentIn('in_progress')
      const children = [aChild(), aChild()]
      const insert = ({ run, message, thread }: ReturnType<typeof aChild>) =>
        on.store.runs.insertChild(parent.id, run, [message], thread)
      const [first, , second] = await Promise.all([
        insert(children[0] as ReturnType<typeof aChild>),
        on.store.runs.commit(parent.id, { to: 'completed' }),
        insert(children[1] as ReturnType<typeof aChild>),
      ])
      for (const begun of [first, second]) if (begun) expect(await statusOf(begun.run)).toBe('cancelling')
      expect(second).toBeUndefined()
    })
  })

  describe('the end of a parent', () => {
    /** A parent, and a child of it in every status; `held` is in the hands of a worker, `free` of nobody. */
    async function aParent() {
      const parent = await parentIn('in_progress')
      const held = await childOf(parent)
      await claimedAll()
      const { lease_id } = await heldBy(held)
      const children: Partial<Record<RunStatus, Run>> = {}
      for (const status of Object.keys(ways) as RunStatus[])
        children[status] = await bring(await childOf(parent), status)
      const waiting = children.requires_action as Run
      return { parent, held, lease_id, waiting, ...(children as Record<RunStatus, Run>) }
    }

    /** Takes a run that was claimed before again, after its lease. */
    async function heldBy(run: Run) {
      on.now += 1000
      for (;;) {
        const claim = await claimed(60_000)
        if (claim.run.id !== run.id) continue
        await on.store.runs.commit(run.id, { to: 'in_progress', open: anAnswer(run) }, claim.lease_id)
        return claim
      }
    }

    test.each(terminal)(
      'as %s asks its active children to cancel, and leaves those alone that are over',
      async (to) => {
        const family = await aParent()
        const { parent, held, waiting, queued: first, in_progress: free } = family
        if (to === 'cancelled') await on.store.runs.commit(parent.id, { to: 'cancelling' })
        const ended = await Promise.all(terminal.map((status) => stateOf(family[status])))
        const cancelling = await stateOf(family.cancelling)
        const versions = await Promise.all(
          [first, free, held, waiting].map(async (run) => (await stateOf(run)).version),
        )

        expect(await on.store.runs.commit(parent.id, { to })).toMatchObject({ applied: true })
        for (const [index, child] of [first, free, held, waiting].entries()) {
          const { run, version } = await stateOf(child)
          expect(run).toMatchObject({ id: child.id, status: 'cancelling', required_action: null })
          expect(version).toBe((versions[index] ?? 0) + 1)
        }
        expect(await stateOf(family.cancelling)).toEqual(cancelling)
        expect(await Promise.all(terminal.map((status) => stateOf(family[status])))).toEqual(ended)
      },
    )

    test('lets whoever claims next have what nobody holds, and leaves the rest to its holder', async () => {
      const { parent, held, lease_id, waiting, queued: first, in_progress: free, cancelling } = await aParent()
      await on.store.runs.commit(parent.id, { to: 'failed' })
      const ids = await claimedAll()
      expect(ids.toSorted()).toEqual([first.id, free.id, waiting.id, cancelling.id].toSorted())
      expect(await on.store.runs.extend([lease_id], on.now + 1000)).toEqual([{ lease_id, status: 'cancelling' }])
      const refused = await on.store.runs.commit(held.id, { to: 'completed' }, lease_id)
      expect(refused).toMatchObject({ applied: false, held: true, state: { run: { status: 'cancelling' } } })
      expect(await on.store.runs.commit(held.id, { to: 'cancelled' }, lease_id)).toMatchObject({ applied: true })
    })

    test('reaches the children of a child when that one ends, and no other run', async () => {
      const parent = await parentIn('in_progress')
      const child = await bring(await childOf(parent), 'in_progress')
      const grandchild = await childOf(child)
      const other = await childOf(await parentIn('in_progress'))
      await on.store.runs.commit(parent.id, { to: 'expired' })
      expect([await statusOf(child), await statusOf(grandchild)]).toEqual(['cancelling', 'queued'])
      await on.store.runs.commit(child.id, { to: 'cancelled' })
      expect([await statusOf(grandchild), await statusOf(other)]).toEqual(['cancelling', 'queued'])
    })

    test('is not yet there while it goes on, waits, is asked to cancel, or is refused its end', async () => {
      const parent = await parentIn('in_progress')
      const child = await childOf(parent)
      const before = await stateOf(child)
      await on.store.runs.commit(parent.id, { open: { step: aCallStep(parent) } })
      for (const to of ['requires_action', 'queued', 'in_progress', 'cancelling'] as const) {
        expect(await on.store.runs.commit(parent.id, { to })).toMatchObject({ applied: true })
      }
      expect(await on.store.runs.commit(parent.id, { to: 'completed' })).toMatchObject({ applied: false })
      expect(await stateOf(child)).toEqual(before)
    })
  })

  describe('family', () => {
    test('a run that is alone has no depth and no descendants', async () => {
      expect(await on.store.runs.family((await queued()).id)).toEqual({ depth: 0, descendants: 0 })
    })

    test('whoever asks is told how deep it is, and of how many there are below the first', async () => {
      const root = await parentIn('in_progress')
      const [left, right] = [await childOf(root), await childOf(root)]
      await bring(left, 'in_progress')
      const [deep] = [await bring(await childOf(left), 'in_progress'), await childOf(left)]
      const deepest = await childOf(deep)
      const stranger = await parentIn('in_progress')
      await childOf(stranger)
      const depths = await Promise.all([root, left, right, deep, deepest].map(({ id }) => on.store.runs.family(id)))
      expect(depths).toEqual([0, 1, 1, 2, 3].map((depth) => ({ depth, descendants: 5 })))
      expect(await on.store.runs.family(stranger.id)).toEqual({ depth: 0, descendants: 1 })
    })

    test('those that are over count on', async () => {
      const root = await parentIn('in_progress')
      for (const status of terminal) await bring(await childOf(root), status)
      expect(await on.store.runs.family(root.id)).toEqual({ depth: 0, descendants: 5 })
    })
  })
}
