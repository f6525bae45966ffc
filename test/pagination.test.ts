import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'

interface Listed {
  id: string
  created_at: number
}
interface Page {
  object: string
  data: Listed[]
  first_id: string | null
  last_id: string | null
  has_more: boolean
}
/** Where a list is, and the ids of its objects, oldest first; all were made within one second. */
interface Filled {
  url: string
  ids: string[]
  /** The SDK's list, two objects a page. */
  each?: AsyncIterable<Listed>
}

const hello = { role: 'user' as const, content: 'Hi' }
const lookUp = { type: 'function' as const, function: { name: 'look_up' } }

async function makeEach<T extends Listed>(count: number, make: () => Promise<T>) {
  const ids: string[] = []
  for (let made = 0; made < count; made++) ids.push((await make()).id)
  return ids
}

/** Runs one after another on a thread of their own. */
async function runsOf(h: Harness, count: number) {
  const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm' })
  const { id: thread_id } = await h.client.beta.threads.create({ messages: [hello] })
  const ids = await makeEach(count, async () => {
    const run = await h.client.beta.threads.runs.create(thread_id, { assistant_id })
    await h.services.executor.tick()
    return run
  })
  return { thread_id, ids }
}

/** The steps of one run: calls in all but the last, which is the answer. */
async function stepsOf(h: Harness, count: number) {
  const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'm', tools: [lookUp] })
  const run = await h.client.beta.threads.createAndRun({ assistant_id, thread: { messages: [hello] } })
  const path = { thread_id: run.thread_id }
  for (let round = 1; round < count; round++) {
    h.backend.turns.push(({ calls }) => calls({ name: 'look_up', arguments: '{}' }))
    await h.services.executor.tick()
    const { required_action } = await h.client.beta.threads.runs.retrieve(run.id, path)
    const tool_outputs = required_action?.submit_tool_outputs.tool_calls.map(({ id }) => ({ tool_call_id: id })) ?? []
    await h.client.beta.threads.runs.submitToolOutputs(run.id, { ...path, tool_outputs })
  }
  await h.services.executor.tick()
  const { steps } = (await h.services.store.runs.snapshot({ run_id: run.id })) ?? { steps: [] }
  return { run, path, ids: steps.map(({ id }) => id) }
}

const kinds: Record<string, (h: Harness, count: number) => Promise<Filled>> = {
  async assistant(h, count) {
    const { assistants } = h.client.beta
    const ids = await makeEach(count, () => assistants.create({ model: 'demo' }))
    return { url: '/v1/assistants', ids, each: assistants.list({ limit: 2 }) }
  },
  async thread(h, count) {
    return { url: '/v1/threads', ids: await makeEach(count, () => h.client.beta.threads.create()) }
  },
  async message(h, count) {
    const { id } = await h.client.beta.threads.create()
    const { messages } = h.client.beta.threads
    const ids = await makeEach(count, () => messages.create(id, hello))
    return { url: `/v1/threads/${id}/messages`, ids, each: messages.list(id, { limit: 2 }) }
  },
  async run(h, count) {
    const { thread_id, ids } = await runsOf(h, count)
    return { url: `/v1/threads/${thread_id}/runs`, ids, each: h.client.beta.threads.runs.list(thread_id, { limit: 2 }) }
  },
  async 'run step'(h, count) {
    const { run, path, ids } = await stepsOf(h, count)
    const each = h.client.beta.threads.runs.steps.list(run.id, { ...path, limit: 2 })
    return { url: `/v1/threads/${run.thread_id}/runs/${run.id}/steps`, ids, each }
  },
}

interface Query {
  limit?: number | undefined
  order?: 'asc' | 'desc' | undefined
  after?: string | undefined
  before?: string | undefined
}

async function pageOf(h: Harness, url: string, query: Query = {}): Promise<Page> {
  const given = Object.entries(query).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]]))
  return (await (await h.send('GET', `${url}?${new URLSearchParams(Object.fromEntries(given))}`)).json()) as Page
}

/** The page as it should be, from the ids of the list, oldest first. */
function expectedPage(ids: string[], { limit = 20, order = 'desc', after, before }: Query) {
  const list = order === 'asc' ? ids : ids.toReversed()
  const begin = after === undefined ? 0 : list.indexOf(after) + 1
  const stretch = list.slice(begin, before === undefined ? undefined : Math.max(begin, list.indexOf(before)))
  const isBackwards = before !== undefined && after === undefined
  const data = isBackwards ? stretch.slice(-limit) : stretch.slice(0, limit)
  return {
    data,
    first_id: data[0] ?? null,
    last_id: data.at(-1) ?? null,
    has_more: stretch.length > limit,
  }
}

describe.for(Object.keys(kinds))('the list of every %s', (kind) => {
  const fill = (h: Harness, count: number) => (kinds[kind] as (typeof kinds)[string])(h, count)

  test('is newest first, in the order of creation even inside one second', async () => {
    const h = await startApp({ started: false })
    const { url, ids } = await fill(h, 5)
    const page = await pageOf(h, url)
    expect(page).toMatchObject({ object: 'list', first_id: ids[4], last_id: ids[0], has_more: false })
    expect(page.data.map(({ id }) => id)).toEqual(ids.toReversed())
    expect(new Set(page.data.map(({ created_at }) => created_at)).size).toBe(1)
    expect((await pageOf(h, url, { order: 'asc' })).data).toEqual(page.data.toReversed())
  })

  test('is cut exactly by every pair of cursors, order and limit', async () => {
    const h = await startApp({ started: false })
    const { url, ids } = await fill(h, 4)
    for (const order of ['asc', 'desc', undefined] as const) {
      for (const limit of [1, 2, 4, undefined]) {
        for (const after of [undefined, ...ids]) {
          for (const before of [undefined, ...ids]) {
            const query = { order, limit, after, before }
            const { object, data, ...rest } = await pageOf(h, url, query)
            expect({ ...rest, data: data.map(({ id }) => id), query }).toEqual({ ...expectedPage(ids, query), query })
          }
        }
      }
    }
  })

  test('gives 20 objects unless asked for others', async () => {
    const h = await startApp({ started: false })
    const { url, ids } = await fill(h, 22)
    const page = await pageOf(h, url)
    expect(page.data.map(({ id }) => id)).toEqual(ids.toReversed().slice(0, 20))
    expect(page.has_more).toBe(true)
    expect(await pageOf(h, url, { limit: 22 })).toMatchObject({ has_more: false, last_id: ids[0] })
  })

  test('is gone through page by page, each object once, although more are made meanwhile', async () => {
    const h = await startApp({ started: false })
    const { url, ids, each } = await fill(h, 5)
    if (each) {
      const seen: string[] = []
      for await (const { id } of each) seen.push(id)
      expect(seen).toEqual(ids.toReversed())
    }
    let page = await pageOf(h, url, { limit: 2 })
    const seen = page.data.map(({ id }) => id)
    if (kind === 'assistant') await h.client.beta.assistants.create({ model: 'demo' })
    if (kind === 'thread') await h.client.beta.threads.create()
    while (page.has_more) {
      page = await pageOf(h, url, { limit: 2, after: page.last_id ?? '' })
      seen.push(...page.data.map(({ id }) => id))
    }
    expect(seen).toEqual(ids.toReversed())
  })

  test('refuses a cursor that is not in it', async () => {
    const h = await startApp({ started: false })
    const { url } = await fill(h, 1)
    for (const cursor of ['after', 'before']) {
      const id = `${kind.split(' ').at(-1)}_x`
      expect(await refusalOf(await h.send('GET', `${url}?${cursor}=${id}`))).toEqual(
        refusal(`No ${kind} found with id '${id}'.`, { status: 404 }),
      )
    }
  })
})

describe('an empty list', () => {
  const nothing = { object: 'list', data: [], first_id: null, last_id: null, has_more: false }

  test('has null for its ids', async () => {
    const h = await startApp({ started: false })
    expect(await pageOf(h, '/v1/assistants')).toEqual(nothing)
    expect(await pageOf(h, '/v1/threads')).toEqual(nothing)
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'demo', instructions: 'Be brief.' })
    const { id, thread_id } = await h.client.beta.threads.createAndRun({ assistant_id })
    expect(await pageOf(h, `/v1/threads/${thread_id}/messages`)).toEqual(nothing)
    expect(await pageOf(h, `/v1/threads/${thread_id}/runs/${id}/steps`)).toEqual(nothing)
    const thread = await h.client.beta.threads.create()
    expect(await pageOf(h, `/v1/threads/${thread.id}/runs`)).toEqual(nothing)
  })

  test('ends the paging of the SDK', async () => {
    const h = await startApp({ started: false })
    const { id } = await h.client.beta.threads.create()
    for await (const message of h.client.beta.threads.messages.list(id)) throw new Error(`there is ${message.id}`)
    expect((await h.client.beta.threads.messages.list(id)).hasNextPage()).toBe(false)
  })
})

describe('messages', () => {
  test('can be those of one run alone', async () => {
    const h = await startApp({ started: false })
    const { thread_id, ids } = await runsOf(h, 3)
    const [first, second, third] = ids as [string, string, string]
    const { messages } = h.client.beta.threads
    const all = await messages.list(thread_id, { order: 'asc' })
    expect(all.data.map(({ run_id }) => run_id)).toEqual([null, first, second, third])
    expect((await messages.list(thread_id, { run_id: second })).data).toEqual([all.data[2]])
    expect(await messages.list(thread_id, { run_id: 'run_x' })).toMatchObject({ data: [], has_more: false })
    const own = all.data[2]?.id ?? ''
    expect((await messages.list(thread_id, { run_id: second, after: own })).data).toEqual([])
  })

  test('given with a thread or a run are listed in their order', async () => {
    const h = await startApp({ started: false })
    const given = ['a', 'b', 'c', 'd'].map((content) => ({ role: 'user' as const, content }))
    const thread = await h.client.beta.threads.create({ messages: given.slice(0, 2) })
    const { id: assistant_id } = await h.client.beta.assistants.create({ model: 'demo' })
    await h.client.beta.threads.runs.create(thread.id, { assistant_id, additional_messages: given.slice(2) })
    const { data } = await h.client.beta.threads.messages.list(thread.id)
    const texts = data.map(({ content: [part] }) => part?.type === 'text' && part.text.value)
    expect(texts).toEqual(['d', 'c', 'b', 'a'])
  })

  test('of another thread, or deleted ones, are no cursors', async () => {
    const h = await startApp({ started: false })
    const { messages } = h.client.beta.threads
    const [one, other] = [await h.client.beta.threads.create(), await h.client.beta.threads.create()]
    const { id } = await messages.create(one.id, hello)
    const refused = refusal(`No message found with id '${id}'.`, { status: 404 })
    expect(await refusalOf(await h.send('GET', `/v1/threads/${other.id}/messages?after=${id}`))).toEqual(refused)
    await messages.delete(id, { thread_id: one.id })
    expect(await refusalOf(await h.send('GET', `/v1/threads/${one.id}/messages?after=${id}`))).toEqual(refused)
  })
})
