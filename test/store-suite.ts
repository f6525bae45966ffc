import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { Message } from '../src/schemas/messages.ts'
import type { Thread } from '../src/schemas/threads.ts'
import type { Page, PageQuery } from '../src/store/pages.ts'
import type { Store } from '../src/store/store.ts'
import { aCallStep, aMessage, anAnswer, anAssistant, aRun, aThread, textOf } from './harness/objects.ts'
import type { OpenStore } from './harness/store-given.ts'
import { testQueue } from './harness/store-queue.ts'
import { testRuns } from './harness/store-runs.ts'
import { testVectorStores } from './harness/store-vector-stores.ts'

/** Every promise of the Store, for one implementation. `open` gives an empty one each time. */
export function testStore(name: string, open: OpenStore) {
  describe(`${name}: objects`, () => testObjects(open))
  describe(`${name}: messages`, () => testMessages(open))
  describe(`${name}: pages`, () => testPages(open))
  describe(`${name}: runs`, () => testRuns(open))
  describe(`${name}: the queue`, () => testQueue(open))
  describe(`${name}: vector stores`, () => testVectorStores(open))
}

async function opened(open: OpenStore): Promise<Store> {
  const store = await open(() => 0)
  onTestFinished(() => store.close())
  return store
}

function testObjects(open: OpenStore) {
  let store: Store
  beforeEach(async () => {
    store = await opened(open)
  })

  test('an assistant comes back as it was inserted, down to zeros, nulls and nested objects', async () => {
    const assistant = anAssistant({
      temperature: 0,
      description: null,
      metadata: { 'a key': '' },
      tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object', deep: [{}] }, strict: true } }],
      tool_resources: { file_search: { vector_store_ids: ['vs_1'] } },
      response_format: { type: 'json_schema', json_schema: { name: 's', schema: { enum: [null, 'Grüße 👋'] } } },
    })
    await store.assistants.insert(assistant)
    expect(await store.assistants.get(assistant.id)).toStrictEqual(assistant)
  })

  test('an id is inserted once: the second insert rejects and changes nothing', async () => {
    const assistant = anAssistant()
    await store.assistants.insert(assistant)
    await expect(store.assistants.insert({ ...assistant, name: 'Eve' })).rejects.toThrow()
    expect(await store.assistants.get(assistant.id)).toEqual(assistant)
  })

  test('an update writes the given keys alone and answers the object as it is now', async () => {
    const assistant = anAssistant({ metadata: { a: '1' } })
    await store.assistants.insert(assistant)
    const updated = await store.assistants.update(assistant.id, { name: null, temperature: 0.3 })
    expect(updated).toEqual({ ...assistant, name: null, temperature: 0.3 })
    expect(await store.assistants.get(assistant.id)).toEqual(updated)
  })

  test('an update of nothing answers the object', async () => {
    const [assistant, thread] = [anAssistant(), aThread({ metadata: { a: '1' } })]
    await store.assistants.insert(assistant)
    await store.threads.insert(thread, [])
    expect(await store.assistants.update(assistant.id, {})).toEqual(assistant)
    expect(await store.threads.update(thread.id, {})).toEqual(thread)
  })

  test('what does not exist is undefined, and false when deleted', async () => {
    expect(await store.assistants.get('asst_none')).toBeUndefined()
    expect(await store.assistants.update('asst_none', { name: 'x' })).toBeUndefined()
    expect(await store.assistants.delete('asst_none')).toBe(false)
    expect(await store.threads.get('thread_none')).toBeUndefined()
    expect(await store.threads.update('thread_none', { metadata: {} })).toBeUndefined()
    expect(await store.threads.delete('thread_none')).toBe(false)
  })

  test('a deleted assistant is gone, and its runs keep its id', async () => {
    const [assistant, thread] = [anAssistant(), aThread()]
    await store.assistants.insert(assistant)
    const run = aRun(thread.id, { assistant_id: assistant.id })
    await store.runs.insert(run, [], thread)
    expect(await store.assistants.delete(assistant.id)).toBe(true)
    expect(await store.assistants.get(assistant.id)).toBeUndefined()
    expect(await store.assistants.delete(assistant.id)).toBe(false)
    expect((await store.runs.get(thread.id, run.id))?.assistant_id).toBe(assistant.id)
  })

  test('a thread comes with its first messages, oldest first, or not at all', async () => {
    const thread = aThread({ metadata: { a: '1' }, tool_resources: { code_interpreter: { file_ids: ['file-1'] } } })
    const first = ['a', 'b', 'c'].map((text) => aMessage(thread.id, text))
    await store.threads.insert(thread, first)
    expect(await store.threads.get(thread.id)).toEqual(thread)
    expect(dataOf(await store.messages.page(thread.id, { limit: 9, order: 'asc' }))).toEqual(first)

    const other = aThread()
    await expect(store.threads.insert(other, [aMessage(other.id, 'd'), ...first])).rejects.toThrow()
    expect(await store.threads.get(other.id)).toBeUndefined()
    expect(await store.messages.anyFromUser(other.id)).toBe(false)
  })

  test('deleting a thread deletes all that is in it, whatever the state of its run, and nothing else', async () => {
    const [thread, other] = [aThread(), aThread()]
    const [message, kept] = [aMessage(thread.id, 'a'), aMessage(other.id, 'b')]
    await store.threads.insert(other, [kept])
    const run = aRun(thread.id)
    await store.runs.insert(run, [message], thread)
    const answer = anAnswer(run)
    await store.runs.commit(run.id, { to: 'in_progress', open: answer })

    expect(await store.threads.delete(thread.id)).toBe(true)
    expect(await store.threads.get(thread.id)).toBeUndefined()
    expect(await store.messages.get(thread.id, message.id)).toBeUndefined()
    expect(await store.messages.get(thread.id, answer.message.id)).toBeUndefined()
    expect(await store.runs.get(thread.id, run.id)).toBeUndefined()
    expect(await store.runs.snapshot({ run_id: run.id })).toBeUndefined()
    expect(await store.steps.get(run.id, answer.step.id)).toBeUndefined()
    expect(dataOf(await store.steps.page(run.id, { limit: 9, order: 'asc' }))).toEqual([])
    expect(await store.messages.get(other.id, kept.id)).toEqual(kept)
  })

  test('a store that is open answers pings', async () => {
    await expect(store.ping()).resolves.toBeUndefined()
  })
}

function testMessages(open: OpenStore) {
  let store: Store
  let thread: Thread
  beforeEach(async () => {
    store = await opened(open)
    thread = aThread()
    await store.threads.insert(thread, [])
  })

  test('a message comes back as it was inserted, from its own thread alone', async () => {
    const message = aMessage(thread.id, 'Hi \t\n "👋" %', {
      attachments: [{ file_id: 'file-1', tools: [{ type: 'file_search' }] }],
      metadata: { a: '1' },
    })
    expect(await store.messages.insert(message)).toBeUndefined()
    expect(await store.messages.get(thread.id, message.id)).toStrictEqual(message)
    expect(await store.messages.get('thread_other', message.id)).toBeUndefined()
    expect(await store.messages.update('thread_other', message.id, { metadata: {} })).toBeUndefined()
    expect(await store.messages.delete('thread_other', message.id)).toBe(false)
    expect(await store.messages.get(thread.id, message.id)).toEqual(message)
  })

  test('an update writes the metadata, a delete removes the message once', async () => {
    const message = aMessage(thread.id, 'Hi')
    await store.messages.insert(message)
    const updated = await store.messages.update(thread.id, message.id, { metadata: { b: '2' } })
    expect(updated).toEqual({ ...message, metadata: { b: '2' } })
    expect(await store.messages.delete(thread.id, message.id)).toBe(true)
    expect(await store.messages.delete(thread.id, message.id)).toBe(false)
    expect(await store.messages.get(thread.id, message.id)).toBeUndefined()
  })

  test('a message for no thread is refused', async () => {
    expect(await store.messages.insert(aMessage('thread_none', 'Hi'))).toEqual({ refused: 'no_thread' })
  })

  test('a message is refused while a run is active, and accepted once it is over', async () => {
    const run = aRun(thread.id)
    await store.runs.insert(run, [])
    const message = aMessage(thread.id, 'Hi')
    const refusal = { refused: 'active_run', run_id: run.id }
    for (const to of ['in_progress', 'requires_action', 'cancelling'] as const) {
      expect(await store.messages.insert(message)).toEqual(refusal)
      await store.runs.commit(run.id, { to })
    }
    expect(await store.messages.insert(message)).toEqual(refusal)
    expect(await store.messages.get(thread.id, message.id)).toBeUndefined()
    await store.runs.commit(run.id, { to: 'cancelled' })
    expect(await store.messages.insert(message)).toBeUndefined()
  })

  test('a thread has a message of a user once there is one', async () => {
    await store.messages.insert(aMessage(thread.id, 'Hi', { role: 'assistant' }))
    expect(await store.messages.anyFromUser(thread.id)).toBe(false)
    await store.messages.insert(aMessage(thread.id, 'Hi'))
    expect(await store.messages.anyFromUser(thread.id)).toBe(true)
    expect(await store.messages.anyFromUser('thread_other')).toBe(false)
  })
}

function testPages(open: OpenStore) {
  let store: Store
  const thread = aThread()
  const run = aRun(thread.id)
  const insert = async (letters: string) => {
    for (const text of letters) await store.messages.insert(aMessage(thread.id, text, { id: `msg_${text}` }))
  }
  /** The page's letters, and `+` if there are more. */
  const page = async (
    order: PageQuery['order'],
    limit: number,
    rest: Partial<PageQuery> & { run_id?: string } = {},
  ) => {
    const found = await store.messages.page(thread.id, { order, limit, ...rest })
    return 'unknown_cursor' in found ? found : found.data.map(textOf).join('') + (found.has_more ? '+' : '')
  }
  beforeEach(async () => {
    store = await opened(open)
    await store.threads.insert(thread, [])
  })

  test('lists go by the order of insertion, even inside one second', async () => {
    await insert('zyxcbakl')
    expect(await page('asc', 20)).toBe('zyxcbakl')
    expect(await page('desc', 20)).toBe('lkabcxyz')
  })

  test.for([
    ['asc', 3, {}, 'abc+'],
    ['asc', 7, {}, 'abcdefg'],
    ['desc', 3, {}, 'gfe+'],
    ['asc', 3, { after: 'msg_b' }, 'cde+'],
    ['asc', 3, { after: 'msg_d' }, 'efg'],
    ['asc', 3, { after: 'msg_g' }, ''],
    ['desc', 3, { after: 'msg_f' }, 'edc+'],
    ['desc', 3, { after: 'msg_b' }, 'a'],
    ['asc', 3, { before: 'msg_f' }, 'cde+'],
    ['asc', 3, { before: 'msg_c' }, 'ab'],
    ['desc', 3, { before: 'msg_b' }, 'edc+'],
    ['desc', 3, { before: 'msg_f' }, 'g'],
    ['asc', 3, { after: 'msg_a', before: 'msg_g' }, 'bcd+'],
    ['asc', 3, { after: 'msg_c', before: 'msg_f' }, 'de'],
    ['desc', 3, { after: 'msg_f', before: 'msg_a' }, 'edc+'],
    ['desc', 9, { after: 'msg_f', before: 'msg_a' }, 'edcb'],
    ['asc', 3, { after: 'msg_f', before: 'msg_c' }, ''],
  ] as const)('of abcdefg, %s limit %i %o is "%s"', async ([order, limit, cursors, expected]) => {
    await insert('abcdefg')
    expect(await page(order, limit, cursors)).toBe(expected)
  })

  test('a cursor that is not in the list is told, even if it is in another', async () => {
    await insert('ab')
    const other = aThread()
    const elsewhere = aMessage(other.id, 'c')
    await store.threads.insert(other, [elsewhere])
    for (const id of ['msg_none', elsewhere.id]) {
      expect(await page('asc', 3, { after: id })).toEqual({ unknown_cursor: id })
      expect(await page('desc', 3, { before: id })).toEqual({ unknown_cursor: id })
    }
  })

  test('messages can be listed by the run that made them', async () => {
    await insert('ab')
    await store.runs.insert(run, [])
    await store.runs.commit(run.id, { to: 'in_progress', open: anAnswer(run) })
    const made = (await store.messages.page(thread.id, { limit: 9, order: 'asc', run_id: run.id })) as {
      data: Message[]
    }
    expect(made.data.map(({ run_id }) => run_id)).toEqual([run.id])
    expect(await page('asc', 1, { run_id: 'run_none' })).toBe('')
  })

  test('assistants, threads, runs and steps are listed in the same way', async () => {
    const [older, newer] = [anAssistant(), anAssistant()]
    for (const one of [older, newer]) await store.assistants.insert(one)
    expect(await store.assistants.page({ limit: 1, order: 'desc' })).toEqual({ data: [newer], has_more: true })

    const second = aThread()
    await store.threads.insert(second, [])
    expect(await store.threads.page({ limit: 2, order: 'asc', after: thread.id })).toEqual({
      data: [second],
      has_more: false,
    })

    await store.runs.insert(run, [])
    const steps = [aCallStep(run), aCallStep(run), aCallStep(run)]
    await store.runs.commit(run.id, { to: 'in_progress' })
    for (const step of steps) await store.runs.commit(run.id, { open: { step } })
    expect(await store.steps.page(run.id, { limit: 2, order: 'desc' })).toEqual({
      data: [steps[2], steps[1]],
      has_more: true,
    })
    expect(await store.steps.get(run.id, steps[0]?.id ?? '')).toEqual(steps[0])
    expect(await store.steps.get('run_none', steps[0]?.id ?? '')).toBeUndefined()

    await store.runs.commit(run.id, { to: 'completed' })
    const next = aRun(thread.id)
    await store.runs.insert(next, [])
    expect(dataOf(await store.runs.page(thread.id, { limit: 2, order: 'desc' })).map(({ id }) => id)).toEqual([
      next.id,
      run.id,
    ])
    expect(await store.runs.page('thread_none', { limit: 2, order: 'desc' })).toEqual({ data: [], has_more: false })
  })
}

function dataOf<T>(page: Page<T>): T[] {
  if ('unknown_cursor' in page) throw new Error(`unknown cursor ${page.unknown_cursor}`)
  return page.data
}
