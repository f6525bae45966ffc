import { describe, expect, test } from 'vitest'
import { noUsage, type Usage } from '../../src/schemas/usage.ts'
import { aCallStep, aMessage, anAnswer, aRun, aThread, textOf } from './objects.ts'
import { testChildren } from './store-children.ts'
import { givenStore, type OpenStore } from './store-given.ts'

const usage: Usage = { ...noUsage, prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }

/** The part of the shared suite that is about runs and their guarded commits. */
export function testRuns(open: OpenStore) {
  const { on, queued, claimed, stateOf } = givenStore(open)

  describe('insert', () => {
    test('a run comes with its thread and messages and is read as it was inserted', async () => {
      const thread = aThread()
      const run = aRun(thread.id, {
        parallel_tool_calls: false,
        tool_choice: { type: 'function', function: { name: 'f' } },
        truncation_strategy: { type: 'last_messages', last_messages: 3 },
        max_completion_tokens: 256,
        response_format: { type: 'json_object' },
      })
      const messages = [aMessage(thread.id, 'a'), aMessage(thread.id, 'b')]
      expect(await on.store.runs.insert(run, messages, thread)).toEqual({ run, version: 1, spent: noUsage })
      expect(await on.store.runs.get(thread.id, run.id)).toStrictEqual(run)
      expect(await on.store.runs.get('thread_other', run.id)).toBeUndefined()
      expect(await on.store.threads.get(thread.id)).toEqual(thread)
      expect(await on.store.messages.page(thread.id, { limit: 9, order: 'asc' })).toMatchObject({ data: messages })
      expect(await on.store.runs.active(thread.id)).toEqual(run)
    })

    test('a run is refused where there is no thread, and where one is active; its messages too', async () => {
      const run = await queued()
      const second = aRun(run.thread_id)
      const message = aMessage(run.thread_id, 'b')
      expect(await on.store.runs.insert(second, [message])).toEqual({ refused: 'active_run', run_id: run.id })
      expect(await on.store.runs.get(run.thread_id, second.id)).toBeUndefined()
      expect(await on.store.messages.get(run.thread_id, message.id)).toBeUndefined()
      expect(await on.store.runs.insert(aRun('thread_none'), [])).toEqual({ refused: 'no_thread' })
    })

    test('of concurrent inserts on one thread exactly one succeeds', async () => {
      const thread = aThread()
      await on.store.threads.insert(thread, [])
      const runs = [1, 2, 3, 4].map(() => aRun(thread.id))
      const answers = await Promise.all(runs.map((run) => on.store.runs.insert(run, [aMessage(thread.id, 'a')])))
      const won = answers.filter((answer) => 'run' in answer)
      expect(won).toHaveLength(1)
      const lost = answers.filter((answer) => 'refused' in answer)
      expect(lost).toEqual(lost.map(() => ({ refused: 'active_run', run_id: won[0]?.run.id })))
      expect(await on.store.messages.page(thread.id, { limit: 9, order: 'asc' })).toMatchObject({ data: { length: 1 } })
    })

    test('an insert that fails in the middle leaves nothing', async () => {
      const thread = aThread()
      const run = aRun(thread.id)
      const message = aMessage(thread.id, 'a')
      await expect(on.store.runs.insert(run, [message, message], thread)).rejects.toThrow()
      expect(await on.store.threads.get(thread.id)).toBeUndefined()
      expect(await on.store.runs.get(thread.id, run.id)).toBeUndefined()
      expect(await on.store.runs.claim(on.now)).toBeUndefined()
    })

    test('metadata is updated in the thread of the run alone, and the active run is read until it is over', async () => {
      const run = await queued()
      expect(await on.store.runs.update('thread_other', run.id, { metadata: {} })).toBeUndefined()
      expect(await on.store.runs.update(run.thread_id, run.id, { metadata: { a: '1' } })).toEqual({
        ...run,
        metadata: { a: '1' },
      })
      await on.store.runs.commit(run.id, { to: 'expired' })
      expect(await on.store.runs.active(run.thread_id)).toBeUndefined()
      expect(await on.store.runs.get(run.thread_id, run.id)).toMatchObject({ status: 'expired', metadata: { a: '1' } })
    })
  })

  describe('commit', () => {
    test('all of a change is written together, and its state counts up', async () => {
      const run = await queued()
      const { lease_id } = await claimed()
      const answer = anAnswer(run)
      const opened = await on.store.runs.commit(
        run.id,
        { to: 'in_progress', patch: { started_at: 7 }, open: answer },
        lease_id,
      )
      expect(opened).toEqual({
        applied: true,
        state: { run: { ...run, status: 'in_progress', started_at: 7 }, version: 2, spent: noUsage },
      })
      expect(await on.store.steps.get(run.id, answer.step.id)).toEqual(answer.step)
      expect(await on.store.messages.get(run.thread_id, answer.message.id)).toEqual(answer.message)

      const step = { ...answer.step, status: 'completed' as const, completed_at: 8, usage }
      const { content } = aMessage(run.thread_id, 'Hello')
      const message = { ...answer.message, status: 'completed' as const, completed_at: 8, content }
      const ended = await on.store.runs.commit(
        run.id,
        {
          to: 'completed',
          patch: { completed_at: 8, usage },
          spent: usage,
          save: { steps: [{ ...step, spent: usage }], messages: [message] },
        },
        lease_id,
      )
      const last = { ...run, status: 'completed', started_at: 7, completed_at: 8, usage }
      expect(ended).toEqual({ applied: true, state: { run: last, version: 3, spent: usage } })
      const snapshot = { run: last, version: 3, spent: usage, steps: [step], messages: [message] }
      expect(await on.store.runs.snapshot({ run_id: run.id })).toStrictEqual(snapshot)
    })

    test('the metadata that a client has given meanwhile stays', async () => {
      const run = await queued()
      const answer = anAnswer(run)
      await on.store.runs.commit(run.id, { to: 'in_progress', open: answer })
      const { id } = answer.message
      const given = { metadata: { seen: 'yes' } }
      await on.store.messages.update(run.thread_id, id, given)
      await on.store.runs.update(run.thread_id, run.id, given)
      await on.store.runs.commit(run.id, { save: { messages: [{ ...answer.message, status: 'completed' }] } })
      expect(await on.store.messages.get(run.thread_id, id)).toMatchObject({ status: 'completed', ...given })
      expect(await on.store.runs.get(run.thread_id, run.id)).toMatchObject(given)
    })

    test('a change without a move is for runs in progress', async () => {
      const run = await queued()
      expect(await on.store.runs.commit(run.id, { patch: { started_at: 1 } })).toMatchObject({ applied: false })
      await on.store.runs.commit(run.id, { to: 'in_progress' })
      expect(await on.store.runs.commit(run.id, { spent: usage })).toMatchObject({
        applied: true,
        state: { spent: usage },
      })
    })

    test('a commit with a lease is refused once another worker has the run', async () => {
      const run = await queued()
      const first = await claimed()
      on.now += 1000
      const second = await claimed()
      const before = await stateOf(run)
      const answer = anAnswer(run)
      const change = { to: 'in_progress', patch: { started_at: 1 }, spent: usage, open: answer } as const
      expect(await on.store.runs.commit(run.id, change, first.lease_id)).toEqual({
        applied: false,
        state: before,
        held: false,
      })
      expect(await on.store.runs.snapshot({ run_id: run.id })).toEqual({ ...before, steps: [], messages: [] })
      expect(await on.store.runs.commit(run.id, { to: 'in_progress' }, second.lease_id)).toMatchObject({
        applied: true,
      })
    })

    test('a refusal for the status alone says that the lease is still good', async () => {
      const run = await queued()
      const { lease_id } = await claimed()
      await on.store.runs.commit(run.id, { to: 'cancelling' })
      const refused = await on.store.runs.commit(run.id, { to: 'in_progress' }, lease_id)
      expect(refused).toEqual({ applied: false, state: await stateOf(run), held: true })
      expect(refused.state?.run.status).toBe('cancelling')
      expect(await on.store.runs.commit(run.id, { to: 'cancelled' }, lease_id)).toMatchObject({ applied: true })
    })

    test.each(['requires_action', 'completed'] as const)('coming to rest as %s ends the lease', async (to) => {
      const run = await queued()
      const { lease_id } = await claimed()
      await on.store.runs.commit(run.id, { to: 'in_progress' }, lease_id)
      await on.store.runs.commit(run.id, { to }, lease_id)
      expect(await on.store.runs.extend([lease_id], on.now + 1000)).toEqual([])
      expect(await on.store.runs.commit(run.id, { to: 'expired' }, lease_id)).toMatchObject({
        applied: false,
        held: false,
      })
    })

    test('a run that is gone has no state', async () => {
      const run = await queued()
      const { lease_id } = await claimed()
      await on.store.threads.delete(run.thread_id)
      const gone = { applied: false, state: undefined, held: false }
      expect(await on.store.runs.commit(run.id, { to: 'in_progress' }, lease_id)).toEqual(gone)
      expect(await on.store.runs.commit('run_none', {})).toEqual(gone)
    })

    test('of two commits that exclude each other one is applied', async () => {
      const run = await queued()
      await on.store.runs.commit(run.id, { to: 'in_progress' })
      const commits = await Promise.all(
        (['completed', 'cancelling', 'expired'] as const).map((to) => on.store.runs.commit(run.id, { to })),
      )
      expect(commits.map(({ applied }) => applied).sort()).toEqual([false, false, true])
    })
  })

  describe('reading what a run has made', () => {
    test('the snapshot of a thread is that of its newest run', async () => {
      const run = await queued()
      await on.store.runs.commit(run.id, { to: 'expired' })
      const newest = aRun(run.thread_id)
      await on.store.runs.insert(newest, [])
      expect(await on.store.runs.snapshot({ thread_id: run.thread_id })).toMatchObject({ run: { id: newest.id } })
      expect(await on.store.runs.snapshot({ run_id: run.id })).toMatchObject({ run: { id: run.id } })
      expect(await on.store.runs.snapshot({ thread_id: 'thread_none' })).toBeUndefined()
      expect(await on.store.runs.snapshot({ run_id: 'run_none' })).toBeUndefined()
    })

    test('what is open is what is in progress, with the tokens of its model call', async () => {
      const run = await queued()
      const [answer, calls] = [anAnswer(run), aCallStep(run)]
      await on.store.runs.commit(run.id, { to: 'in_progress', open: answer })
      expect(await on.store.runs.open(run.id)).toMatchObject({
        steps: [{ id: answer.step.id }],
        messages: [answer.message],
      })
      await on.store.runs.commit(run.id, {
        save: {
          steps: [{ ...answer.step, status: 'completed' }],
          messages: [{ ...answer.message, status: 'completed' }],
        },
        open: { step: calls },
      })
      await on.store.runs.commit(run.id, { to: 'requires_action', save: { steps: [{ ...calls, spent: usage }] } })
      expect(await on.store.runs.open(run.id)).toEqual({ steps: [{ ...calls, spent: usage }], messages: [] })
      expect(await on.store.runs.open('run_none')).toEqual({ steps: [], messages: [] })
    })

    test('a conversation is the newest messages before the run, oldest first, and all that the run has made', async () => {
      const thread = aThread()
      await on.store.threads.insert(
        thread,
        ['a', 'b'].map((text) => aMessage(thread.id, text)),
      )
      const earlier = aRun(thread.id)
      await on.store.runs.insert(earlier, [])
      await on.store.runs.commit(earlier.id, { to: 'in_progress', open: anAnswer(earlier) })
      await on.store.runs.commit(earlier.id, { to: 'completed' })
      const run = aRun(thread.id)
      await on.store.runs.insert(run, [aMessage(thread.id, 'c')])
      const answer = anAnswer(run)
      await on.store.runs.commit(run.id, { to: 'in_progress', open: answer })

      const whole = await on.store.runs.conversation(run, 4)
      expect(whole.before.map(textOf)).toEqual(['a', 'b', '', 'c'])
      expect(whole).toMatchObject({ steps: [answer.step], messages: [answer.message], older: undefined })
      const short = await on.store.runs.conversation(run, 2)
      expect(short.before.map(({ run_id, content }) => [run_id, textOf({ content })])).toEqual([
        [earlier.id, ''],
        [null, 'c'],
      ])
      expect(short).toMatchObject({ steps: [answer.step], messages: [answer.message] })
      const rest = await on.store.runs.earlier(run, short.older ?? 0, 2)
      expect(rest.before.map(textOf)).toEqual(['a', 'b'])
      expect(rest.older).toBeUndefined()
      expect(await on.store.runs.earlier(run, short.older ?? 0, 1)).toMatchObject({
        before: [{ id: rest.before[1]?.id }],
      })
    })
  })

  describe('children', () => testChildren(open))
}
