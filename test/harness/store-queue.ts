import { describe, expect, test } from 'vitest'
import { noUsage, type Usage } from '../../src/schemas/usage.ts'
import { aCallStep, anAnswer } from './objects.ts'
import { givenStore, type OpenStore } from './store-given.ts'

const usage: Usage = { ...noUsage, prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }

/** The part of the shared suite that is about the runs table as a queue with leases. */
export function testQueue(open: OpenStore) {
  const { on, queued, claimed } = givenStore(open)

  describe('claim', () => {
    test('there is nothing to claim in an empty queue', async () => {
      expect(await on.store.runs.claim(on.now + 1000)).toBeUndefined()
    })

    test('the run that has waited longest is claimed first, each once', async () => {
      const runs = [await queued(), await queued()]
      on.now += 5
      runs.push(await queued())
      const claims = [await claimed(), await claimed(), await claimed()]
      expect(claims.map(({ run }) => run.id)).toEqual(runs.map(({ id }) => id))
      expect(new Set(claims.map(({ lease_id }) => lease_id)).size).toBe(3)
      expect(await on.store.runs.claim(on.now + 1000)).toBeUndefined()
    })

    test('concurrent claims never take the same run', async () => {
      for (let count = 0; count < 4; count++) await queued()
      const claims = await Promise.all([1, 2, 3, 4, 5].map(() => on.store.runs.claim(on.now + 1000)))
      expect(new Set(claims.map((claim) => claim?.run.id)).size).toBe(5)
      expect(claims.filter((claim) => claim === undefined)).toHaveLength(1)
    })

    test('a run is claimed again when its lease has ended, and not before', async () => {
      const run = await queued()
      const first = await claimed(1000)
      on.now += 999
      expect(await on.store.runs.claim(on.now + 1000)).toBeUndefined()
      on.now += 1
      const second = await claimed(1000)
      expect(second.run.id).toBe(run.id)
      expect(second.lease_id).not.toBe(first.lease_id)
    })

    test('a run that waits for its client is claimed when its time is over, and not before', async () => {
      const run = await queued({ expires_at: on.now / 1000 + 600 })
      const { lease_id } = await claimed()
      await on.store.runs.commit(run.id, { to: 'in_progress' }, lease_id)
      await on.store.runs.commit(run.id, { to: 'requires_action', open: { step: aCallStep(run) } }, lease_id)
      on.now += 599_999
      expect(await on.store.runs.claim(on.now + 1000)).toBeUndefined()
      on.now += 1
      expect((await claimed()).run).toMatchObject({ id: run.id, status: 'requires_action' })
    })

    test('a run with its outputs queues again behind those that wait already', async () => {
      const run = await queued()
      const { lease_id } = await claimed()
      await on.store.runs.commit(run.id, { to: 'in_progress' }, lease_id)
      await on.store.runs.commit(run.id, { to: 'requires_action' }, lease_id)
      on.now += 10
      const other = await queued()
      on.now += 10
      await on.store.runs.commit(run.id, { to: 'queued' })
      expect([(await claimed()).run.id, (await claimed()).run.id]).toEqual([other.id, run.id])
    })

    test('a run that is asked to cancel is claimed at once if nobody has it, else when the lease ends', async () => {
      const [free, held] = [await queued(), await queued()]
      await on.store.runs.commit(free.id, { to: 'cancelling' })
      expect((await claimed(9000)).run).toMatchObject({ id: free.id, status: 'cancelling' })
      expect((await claimed(1000)).run.id).toBe(held.id)
      await on.store.runs.commit(held.id, { to: 'cancelling' })
      expect(await on.store.runs.claim(on.now)).toBeUndefined()
      on.now += 1000
      expect((await claimed()).run).toMatchObject({ id: held.id, status: 'cancelling' })
    })

    test('a run that is over is never claimed again', async () => {
      const runs = [await queued(), await queued()]
      const { lease_id } = await claimed()
      await on.store.runs.commit(runs[0]?.id ?? '', { to: 'expired' }, lease_id)
      await on.store.runs.commit(runs[1]?.id ?? '', { to: 'expired' })
      on.now += 1e12
      expect(await on.store.runs.claim(on.now)).toBeUndefined()
    })

    test('what an unfinished model call left open is removed; what a finished one has made stays', async () => {
      const run = await queued()
      const first = await claimed()
      const calls = aCallStep(run)
      const answer = anAnswer(run)
      await on.store.runs.commit(run.id, { to: 'in_progress', open: { step: calls } }, first.lease_id)
      const waiting = { ...calls, spent: usage }
      await on.store.runs.commit(
        run.id,
        { to: 'requires_action', spent: usage, save: { steps: [waiting] } },
        first.lease_id,
      )
      const answered = { ...waiting, status: 'completed' as const, usage }
      await on.store.runs.commit(run.id, { to: 'queued', save: { steps: [answered] } })
      const second = await claimed()
      await on.store.runs.commit(run.id, { to: 'in_progress', open: answer }, second.lease_id)

      on.now += 1000
      const third = await claimed()
      expect(third).toMatchObject({ run: { id: run.id, status: 'in_progress' }, version: 5 })
      const { spent: _, ...kept } = answered
      expect(await on.store.runs.snapshot({ run_id: run.id })).toMatchObject({ steps: [kept], messages: [] })
      expect(await on.store.messages.get(run.thread_id, answer.message.id)).toBeUndefined()
      expect(await on.store.runs.open(run.id)).toEqual({ steps: [], messages: [] })
    })

    test('what a model call has ended goes too while the call itself is not over, and stays once it is', async () => {
      const run = await queued()
      const first = await claimed()
      const [answer, calls] = [anAnswer(run), aCallStep(run)]
      const ended = {
        steps: [{ ...answer.step, status: 'completed' as const, usage: noUsage }],
        messages: [{ ...answer.message, status: 'completed' as const }],
      }
      await on.store.runs.commit(run.id, { to: 'in_progress', open: answer }, first.lease_id)
      await on.store.runs.commit(run.id, { save: ended, open: { step: calls } }, first.lease_id)
      on.now += 1000
      const { lease_id } = await claimed()
      expect(await on.store.runs.snapshot({ run_id: run.id })).toMatchObject({ steps: [], messages: [] })

      await on.store.runs.commit(run.id, { open: answer }, lease_id)
      await on.store.runs.commit(run.id, { save: ended, open: { step: calls } }, lease_id)
      const waiting = { steps: [{ ...calls, spent: usage }] }
      await on.store.runs.commit(run.id, { to: 'requires_action', spent: usage, save: waiting }, lease_id)
      await on.store.runs.commit(run.id, { to: 'queued' })
      const second = await claimed()
      await on.store.runs.commit(run.id, { to: 'in_progress', open: anAnswer(run) }, second.lease_id)
      on.now += 1000
      await claimed()
      const { messages, steps } = (await on.store.runs.snapshot({ run_id: run.id })) ?? {}
      expect(messages).toEqual(ended.messages)
      expect(steps?.map(({ id }) => id)).toEqual([answer.step.id, calls.id])
    })

    test('what a run asked to cancel has open stays, to be ended with it', async () => {
      const run = await queued()
      const { lease_id } = await claimed()
      const answer = anAnswer(run)
      await on.store.runs.commit(run.id, { to: 'in_progress', open: answer }, lease_id)
      await on.store.runs.commit(run.id, { to: 'cancelling' })
      on.now += 1000
      await claimed()
      expect(await on.store.runs.open(run.id)).toMatchObject({ steps: [answer.step], messages: [answer.message] })
    })
  })

  describe('runs whose model is held', () => {
    test('stay where they are in the queue while others are claimed', async () => {
      const runs = []
      for (const model of ['a', 'b', 'c', 'a', 'b']) runs.push(await queued({ model }))
      const until = on.now + 1000
      const passed = [await on.store.runs.claim(until, ['a', 'c']), await on.store.runs.claim(until, ['a', 'c'])]
      expect(passed.map((claim) => claim?.run.id)).toEqual([runs[1]?.id, runs[4]?.id])
      expect(await on.store.runs.claim(until, ['a', 'c'])).toBeUndefined()
      on.now += 500
      await queued({ model: 'a' })
      expect((await on.store.runs.claim(until, ['c']))?.run.id).toBe(runs[0]?.id)
      const left = [await claimed(9000), await claimed(9000)]
      expect(left.map(({ run }) => run.id)).toEqual([runs[2]?.id, runs[3]?.id])
    })

    test('are claimed when their time is over, and not before', async () => {
      const run = await queued({ model: 'a', expires_at: on.now / 1000 + 600 })
      await queued({ model: 'a', expires_at: null })
      on.now += 599_999
      expect(await on.store.runs.claim(on.now + 1000, ['a'])).toBeUndefined()
      on.now += 1
      expect((await on.store.runs.claim(on.now + 1000, ['a']))?.run.id).toBe(run.id)
      expect(await on.store.runs.claim(on.now + 1000, ['a'])).toBeUndefined()
    })

    test('are claimed when they are asked to cancel, when their client was too slow, and when their worker has died', async () => {
      const expires_at = on.now / 1000 + 600
      const [cancelling, waiting, begun] = [
        await queued({ model: 'a' }),
        await queued({ model: 'a', expires_at }),
        await queued({ model: 'a', expires_at: expires_at + 600 }),
      ]
      await on.store.runs.commit(cancelling.id, { to: 'cancelling' })
      expect((await on.store.runs.claim(on.now + 1e9, ['a']))?.run).toMatchObject({ id: cancelling.id })
      const [first, second] = [await claimed(), await claimed()]
      await on.store.runs.commit(waiting.id, { to: 'in_progress' }, first.lease_id)
      await on.store.runs.commit(waiting.id, { to: 'requires_action' }, first.lease_id)
      await on.store.runs.commit(begun.id, { to: 'in_progress' }, second.lease_id)
      on.now += 1000
      expect((await on.store.runs.claim(on.now + 1e9, ['a']))?.run).toMatchObject({ id: begun.id })
      expect(await on.store.runs.claim(on.now + 1000, ['a'])).toBeUndefined()
      on.now += 599_000
      expect((await on.store.runs.claim(on.now + 1000, ['a']))?.run).toMatchObject({ id: waiting.id })
    })

    test('a run with its outputs is held like a new one', async () => {
      const run = await queued({ model: 'a' })
      const { lease_id } = await claimed()
      await on.store.runs.commit(run.id, { to: 'in_progress' }, lease_id)
      await on.store.runs.commit(run.id, { to: 'requires_action' }, lease_id)
      await on.store.runs.commit(run.id, { to: 'queued' })
      expect(await on.store.runs.claim(on.now + 1000, ['a'])).toBeUndefined()
      expect((await claimed()).run.id).toBe(run.id)
    })
  })

  describe('the models that wait', () => {
    test('are those of the queued runs, each once', async () => {
      expect(await on.store.runs.waitingModels()).toEqual([])
      for (const model of ['a', 'org/b', 'a', "c'", 'd', 'e']) await queued({ model })
      expect((await on.store.runs.waitingModels()).toSorted()).toEqual(['a', "c'", 'd', 'e', 'org/b'])
    })

    test('are not those of runs that are in hand, wait for their client, or are over', async () => {
      const [held, waiting, over] = [
        await queued({ model: 'a' }),
        await queued({ model: 'b' }),
        await queued({ model: 'c' }),
      ]
      const claims = [await claimed(), await claimed(), await claimed()]
      expect(claims.map(({ run }) => run.id)).toEqual([held.id, waiting.id, over.id])
      expect(await on.store.runs.waitingModels()).toEqual([])
      await on.store.runs.commit(waiting.id, { to: 'in_progress' }, claims[1]?.lease_id)
      await on.store.runs.commit(waiting.id, { to: 'requires_action' }, claims[1]?.lease_id)
      await on.store.runs.commit(over.id, { to: 'expired' }, claims[2]?.lease_id)
      await queued({ model: 'd' })
      on.now += 1000
      // The worker that had it has died.
      expect((await on.store.runs.waitingModels()).toSorted()).toEqual(['a', 'd'])
    })
  })

  describe('leases', () => {
    test('an extended lease ends later; those that are lost or over are not answered', async () => {
      const runs = [await queued(), await queued(), await queued()]
      const [kept, lost, over] = [await claimed(2000), await claimed(1000), await claimed(2000)]
      await on.store.runs.commit(runs[0]?.id ?? '', { to: 'cancelling' })
      await on.store.runs.commit(over.run.id, { to: 'expired' }, over.lease_id)
      on.now += 1000
      const taken = await claimed(2000)
      expect(taken.run.id).toBe(lost.run.id)
      const leases = [kept.lease_id, lost.lease_id, over.lease_id]
      expect(await on.store.runs.extend(leases, on.now + 5000)).toEqual([
        { lease_id: kept.lease_id, status: 'cancelling' },
      ])
      on.now += 4999
      expect((await claimed()).run.id).toBe(lost.run.id)
      expect(await on.store.runs.claim(on.now)).toBeUndefined()
      on.now += 1
      expect((await claimed()).run.id).toBe(kept.run.id)
    })

    test('extending no lease at all is fine', async () => {
      expect(await on.store.runs.extend([], on.now)).toEqual([])
    })

    test('a released run can be claimed at once, and its former holder writes nothing more', async () => {
      const run = await queued()
      const first = await claimed(60_000)
      await on.store.runs.release(first.lease_id)
      const second = await claimed(60_000)
      expect(second.run.id).toBe(run.id)
      await on.store.runs.release(first.lease_id)
      expect(await on.store.runs.claim(on.now)).toBeUndefined()
      expect(await on.store.runs.commit(run.id, { to: 'in_progress' }, first.lease_id)).toMatchObject({
        applied: false,
      })
    })
  })
}
