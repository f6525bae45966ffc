import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { converse, finish, holding } from './harness/engine.ts'
import { saying, toldIn } from './harness/search.ts'
import {
  askLead,
  becomes,
  childrenOf,
  critic,
  get,
  handingOver,
  lastTold,
  onlyChild,
  resultOf,
  specialistCall,
  using,
} from './harness/specialists.ts'

const lead = ['create_specialist']
const used = (prompt_tokens: number, completion_tokens: number) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
})

describe('the budgets of a run', () => {
  test('are what its specialist may spend, as far as they are left, and what that spends is spent', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const turns = [handingOver({}), using(300, 20), saying('No.')]
    const { run, children } = await runWith(turns, { max_completion_tokens: 400, max_prompt_tokens: 1000 })
    expect(children[0]?.run).toMatchObject({
      ...{ max_completion_tokens: 395, max_prompt_tokens: 990 },
      usage: used(300, 20),
    })
    expect(h.backend.requests.map((request) => request.max_completion_tokens)).toEqual([400, 395, 375])
    expect(run).toMatchObject({
      ...{ status: 'completed', max_completion_tokens: 400, max_prompt_tokens: 1000 },
      usage: used(320, 30),
    })
  })

  test('are without an end for a specialist where they are for the run', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const { children } = await runWith([handingOver({}), using(300, 20)], { max_prompt_tokens: 1000 })
    expect(children[0]?.run).toMatchObject({ max_completion_tokens: null, max_prompt_tokens: 990 })
  })

  test('may be less for a specialist than a client may ask for', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const limits = { max_completion_tokens: 256, max_prompt_tokens: 256 }
    const { children } = await runWith([handingOver({}), using(30, 20)], limits)
    expect(children[0]?.run).toMatchObject({ max_completion_tokens: 251, max_prompt_tokens: 246 })
  })

  test('are shared by the specialists of one turn, which work one after the other', async () => {
    const h = await startApp()
    const { run: begin } = await askLead(h)
    const [first, second] = [holding('Bad.'), holding('Worse.')]
    h.backend.turns = [handingOver({ name: 'One' }, { name: 'Two' }), first.turn, second.turn, saying('No.')]
    const begun = await begin({ max_completion_tokens: 400, max_prompt_tokens: 1000 })
    const one = await first.held
    await h.services.executor.beat()
    expect(await childrenOf(h.client, begun)).toHaveLength(1)
    expect(h.backend.requests).toHaveLength(2)
    one.chunk({}, 'stop')
    one.end(used(300, 20))
    const two = await second.held
    two.chunk({}, 'stop')
    two.end(used(300, 30))
    await becomes(h, begun, 'completed')
    const { run, children, outputs } = await resultOf(h, begun)
    expect(children.map((child) => [child.run.max_completion_tokens, child.run.max_prompt_tokens])).toEqual([
      [395, 990],
      [375, 690],
    ])
    expect(outputs).toEqual(['Bad.', 'Worse.'])
    expect(run.usage).toMatchObject(used(620, 60))
  })

  test.each([
    ['max_completion_tokens', { max_completion_tokens: 500 }, [10, 495]],
    ['max_prompt_tokens', { max_prompt_tokens: 500 }, [490, 7]],
  ] as const)(
    'end the run as incomplete once its specialist has used up %s',
    async (reason, limits, [prompt, completion]) => {
      const h = await startApp()
      const { runWith } = await askLead(h)
      const { run, outputs, children } = await runWith([handingOver({}, {}), using(prompt, completion)], limits)
      expect(run).toMatchObject({
        ...{ status: 'incomplete', incomplete_details: { reason } },
        usage: used(10 + prompt, 5 + completion),
      })
      expect(children.map((child) => child.run.status)).toEqual(['completed'])
      expect(outputs).toEqual(['Fine.', 'The tokens of this run are used up.'])
      expect(h.backend.requests).toHaveLength(2)
    },
  )

  test('count what a specialist spent that was cut, failed or was cancelled', async () => {
    const h = await startApp({ env: { BACKEND_RETRIES: '0' }, tools: ['./test/tools/trying.ts'] })
    const { run: begin } = await askLead(h)
    const cut: Turn = ({ chunk, end }) => {
      chunk({ content: 'It is ' })
      chunk({}, 'length')
      end(used(100, 7))
    }
    const failing: Turn = ({ response }) => void response.writeHead(400).end('{}')
    const { turn, held } = holding('It ')
    // Of those that ask for a specialist of their own, the first call counts, and what that one spent.
    const asking = handingOver({})
    const asked = { tools: lead }
    h.backend.turns = [handingOver({}, asked, asked), cut, asking, using(50, 5), failing, asking, using(60, 6), turn]
    const begun = await begin()
    await held
    const last = (await childrenOf(h.client, begun)).at(-1)
    await h.client.beta.threads.runs.cancel(last?.id ?? '', { thread_id: last?.thread_id ?? '' })
    await becomes(h, begun, 'completed')
    const { run, children } = await resultOf(h, begun)
    expect(children.map((child) => [child.run.status, child.run.usage?.prompt_tokens])).toEqual([
      ['incomplete', 100],
      ['failed', 60],
      ['cancelled', 70],
    ])
    expect(run.usage).toMatchObject(used(10 + 100 + 60 + 70 + 10, 5 + 7 + 10 + 11 + 5))
  })

  test('pass through a specialist to its own, and what that spends counts all the way up', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const turns = [handingOver({ tools: lead }), handingOver({}), using(100, 10), using(200, 20), using(300, 30)]
    const { run, children } = await runWith(turns, { max_completion_tokens: 1000 })
    const [child] = children
    const { children: below } = await resultOf(h, child?.run as NonNullable<typeof child>['run'])
    expect(below[0]?.run).toMatchObject({ max_completion_tokens: 990, usage: used(100, 10) })
    expect(child?.run).toMatchObject({ max_completion_tokens: 995, usage: used(310, 35) })
    expect(run.usage).toMatchObject(used(620, 70))
  })
})

describe('how many there may be', () => {
  test('specialists may have specialists, and those none', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const turns = [
      handingOver({ name: 'One', tools: lead }),
      handingOver({ name: 'Two', tools: lead }, { name: 'Three' }),
      saying('Three says no.'),
      saying('One says no.'),
      saying('No.'),
    ]
    const { run, outputs, children } = await runWith(turns)
    expect(run.status).toBe('completed')
    expect(outputs).toEqual(['One says no.'])
    expect(children[0]?.run.metadata).toMatchObject({ specialist: 'One', parent_run_id: run.id })
    const below = await resultOf(h, children[0]?.run as typeof run)
    expect(below.outputs).toEqual([
      "There is no tool 'create_specialist' for a specialist. There are: none. Call again.",
      'Three says no.',
    ])
    expect(below.children.map((child) => child.run)).toMatchObject([
      {
        tools: [],
        metadata: { specialist: 'Three', parent_run_id: below.run.id, parent_thread_id: below.run.thread_id },
      },
    ])
    const namesIn = (n: number) => JSON.stringify(h.backend.requests[n]?.tools ?? [])
    expect(namesIn(1)).toContain('create_specialist')
    expect(namesIn(2)).not.toContain('create_specialist')
  })

  test('what a specialist can give to its own is what it is told that it can', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    await runWith([handingOver({ tools: lead }), saying('No.')])
    const [tool] = h.backend.requests[1]?.tools ?? []
    expect(tool?.type === 'function' && tool.function.description).toContain('Tools that it can have: none.')
  })

  test('a run has ten in all, with those of its specialists', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const many = (count: number) => handingOver(...Array.from({ length: count }, () => ({})))
    const answers = (count: number) => Array.from({ length: count }, (_, index) => saying(`${index}`))
    const { run, outputs } = await runWith([
      handingOver({ tools: lead }, {}, {}, {}, {}, {}, { tools: lead }, {}),
      ...[many(3), ...answers(3), saying('a')],
      ...answers(5),
      // The tenth asks for one more itself.
      ...[many(1), saying('b')],
      saying('No.'),
    ])
    expect(run.status).toBe('completed')
    const told = 'There have been 10 specialists, and no more may be. Do the task yourself.'
    expect(outputs).toEqual(['a', '0', '1', '2', '3', '4', 'b', told])
    expect(toldIn(h, h.backend.requests.length - 2)).toEqual([told])
    expect(await h.services.store.runs.family(run.id)).toEqual({ depth: 0, descendants: 10 })
    expect(h.backend.requests).toHaveLength(1 + 5 + 5 + 2 + 1)
  })

  test('the next run may have as many again', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const all = handingOver(...Array.from({ length: 10 }, () => ({})))
    for (const _ of [1, 2]) {
      const { children } = await runWith([all])
      expect(children).toHaveLength(10)
    }
  })
})

/** Resolves when everything that could begin now has reached the model. */
async function allThatCan(h: Harness) {
  await h.services.executor.beat()
  for (let turn = 0; turn < 30; turn++) await turnOfLoop()
}

describe('places at work', () => {
  test('one is enough for a run, its specialist, and the specialist of that', async () => {
    const h = await startApp({ env: { RUN_CONCURRENCY: '1' } })
    const { runWith } = await askLead(h)
    const turns = [handingOver({ tools: lead }, {}), handingOver({}, {}), ...'abcde'].map((turn) =>
      typeof turn === 'string' ? saying(turn) : turn,
    )
    const { outputs, messages } = await runWith(turns)
    expect(outputs).toEqual(['c', 'd'])
    expect(messages).toMatchObject([{ content: [{ text: { value: 'e' } }] }])
  })

  test('of a run that goes on and of one that has waited, one goes first', async () => {
    const h = await startApp({ env: { RUN_CONCURRENCY: '1' } })
    const { run: begin } = await askLead(h)
    const [child, first, second] = [holding('It '), holding('a'), holding('b')]
    h.backend.turns = [handingOver({}), child.turn, first.turn, second.turn]
    const begun = await begin()
    const exchange = await child.held
    const waiting = await (await converse(h.client)).run()
    finish(exchange, 'is bad.')
    const going = await first.held
    await allThatCan(h)
    expect(h.backend.requests).toHaveLength(3)
    finish(going)
    finish(await second.held)
    await becomes(h, waiting, 'completed')
    await becomes(h, begun, 'completed')
  })

  test('thirty runs with specialists on three places all end, and no more than three models are asked at once', async () => {
    const h = await startApp({ env: { RUN_CONCURRENCY: '3' } })
    const { assistant } = await askLead(h)
    const atWork = new Set<object>()
    const most: number[] = []
    h.backend.otherwise = async (exchange) => {
      atWork.add(exchange)
      most.push(atWork.size)
      await allThatCan(h)
      const { messages } = exchange.body
      // From here on the server may hear of it.
      atWork.delete(exchange)
      if (messages[0]?.content === critic.instructions) exchange.text('Bad.')
      else if (messages.at(-1)?.role === 'tool') exchange.text('No.')
      else exchange.calls(specialistCall())
    }
    const thread = { messages: [{ role: 'user' as const, content: 'Is it good?' }] }
    const create = () => h.client.beta.threads.createAndRun({ assistant_id: assistant.id, thread })
    const runs = await Promise.all(Array.from({ length: 30 }, create))
    for (const run of runs) await becomes(h, run, 'completed', 10_000)
    for (const run of runs) {
      expect(await get(h, run)).toMatchObject({ usage: used(30, 15) })
      expect(await get(h, await onlyChild(h.client, run))).toMatchObject({ status: 'completed' })
    }
    expect(h.backend.requests).toHaveLength(90)
    expect(lastTold(h)).toBe('Bad.')
    expect(Math.max(...most)).toBe(3)
  })
})
