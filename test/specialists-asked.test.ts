import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { lookupTool } from './harness/engine.ts'
import { saying, toldIn } from './harness/search.ts'
import {
  askLead,
  becomes,
  childrenOf,
  critic,
  handingOver,
  lastTold,
  resultOf,
  specialistCall,
  specialistTool,
  toolOf,
} from './harness/specialists.ts'

const trying = ['./test/tools/trying.ts']

describe('the tools of a specialist', () => {
  const tools = [lookupTool, toolOf('trying'), specialistTool, { type: 'file_search' as const }]
  const start = async () => {
    const h = await startApp({ tools: trying })
    return { h, ...(await askLead(h, { tools })) }
  }
  const typesOf = (run: { tools: { type: string }[] } | undefined) => run?.tools.map(({ type }) => type)

  test('are all that run here but create_specialist, if it is not said which', async () => {
    const { h, runWith } = await start()
    const { children, run } = await runWith([handingOver({})])
    expect(children[0]?.run.tools).toEqual(
      run.tools.filter(({ type }) => type === 'file_search' || `${type}` === 'trying'),
    )
    expect(typesOf(children[0]?.run)).toEqual(['trying', 'file_search'])
    const told = h.backend.requests[1]?.tools ?? []
    expect(told.map((tool) => tool.type === 'function' && tool.function.name).toSorted()).toEqual([
      'file_search',
      'trying',
    ])
  })

  test.for([
    [['trying'], ['trying']],
    [
      ['file_search', 'trying'],
      ['trying', 'file_search'],
    ],
    [['create_specialist'], ['create_specialist']],
  ] as const)('are those that are asked for: %j', async ([asked, types]) => {
    const { runWith } = await start()
    const { children, outputs } = await runWith([handingOver({ tools: asked }), saying('Bad.')])
    expect(typesOf(children[0]?.run)).toEqual(types)
    expect(outputs).toEqual(['Bad.'])
  })

  // Some models write every key there is.
  test('are the same whether none are named or an empty list of them', async () => {
    const { runWith } = await start()
    const { children } = await runWith([handingOver({ tools: [] })])
    expect(typesOf(children[0]?.run)).toEqual(['trying', 'file_search'])
  })

  test('are those that the model is told it may ask for', async () => {
    const { h, runWith } = await start()
    await runWith([handingOver({})])
    const told = (h.backend.requests[0]?.tools ?? []).flatMap((tool) =>
      tool.type === 'function' ? [tool.function] : [],
    )
    const described = told.find(({ name }) => name === 'create_specialist')
    expect(described?.description).toContain('Tools that it can have: trying, create_specialist, file_search.')
    expect(described?.parameters).toMatchObject({ type: 'object', required: ['name', 'instructions', 'task'] })
  })

  test.for([
    [['lookup'], "'lookup' is a function of the client, and specialists have none of these. Call again."],
    [['trying', 'lookup'], "'lookup' is a function of the client, and specialists have none of these. Call again."],
    [
      ['magic'],
      "There is no tool 'magic' for a specialist. There are: trying, create_specialist, file_search. Call again.",
    ],
    [['code_interpreter'], /^There is no tool 'code_interpreter' for a specialist\. /],
    [['function'], /^There is no tool 'function' for a specialist\. /],
  ] as const)('cannot be %j, and the model is told', async ([asked, told]) => {
    const { h, runWith } = await start()
    const { run, outputs } = await runWith([handingOver({ tools: asked }), saying('Then not.')])
    expect(run.status).toBe('completed')
    expect(outputs).toEqual([expect.stringMatching(told)])
    expect(lastTold(h)).toBe(outputs[0])
    expect(h.backend.requests).toHaveLength(2)
    expect(await childrenOf(h.client, run)).toEqual([])
  })

  test('are none where there are none to give', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h, { tools: [specialistTool, lookupTool] })
    const { children, outputs } = await runWith([handingOver({}, { tools: ['file_search'] }), saying('Bad.')])
    expect(typesOf(children[0]?.run)).toEqual([])
    expect(h.backend.requests[1]?.tools).toBeUndefined()
    expect(outputs).toEqual([
      'Bad.',
      "There is no tool 'file_search' for a specialist. There are: create_specialist. Call again.",
    ])
  })

  test('do not include a function that it calls all the same: it is told so, and goes on', async () => {
    const h = await startApp()
    const { run: begin } = await askLead(h, { tools: [specialistTool, lookupTool] })
    h.backend.turns = [
      handingOver({}),
      ({ calls }) => calls({ name: 'lookup', arguments: '{"q":"Rome"}' }),
      saying('Without looking: bad.'),
    ]
    const begun = await begin()
    await becomes(h, begun, 'completed')
    expect((await resultOf(h, begun)).outputs).toEqual(['Without looking: bad.'])
    expect(toldIn(h, 2)).toEqual([expect.stringContaining('lookup')])
  })
})

describe('arguments that do not fit are told to the model, and begin nothing', () => {
  const fits = (what: string) => `The arguments do not fit: ${what}. Call again.`

  const withThis = (patch: object) => JSON.stringify({ ...critic, ...patch })

  test.for([
    ['nothing', '', fits('name: Expected required property')],
    ['no key', '{}', fits('name: Expected required property')],
    ['a list', '[]', fits('they: Expected object')],
    ['a text', '"Critic"', fits('they: Expected object')],
    ['broken JSON', '{"name": "Cri', fits('they: Expected object')],
    ['no JSON', 'Judge this.', fits('they: Expected object')],
    ['no task', '{"name": "Critic", "instructions": "Be strict."}', fits('task: Expected required property')],
    ['no instructions', '{"name": "Critic", "task": "Judge."}', fits('instructions: Expected required property')],
    ['no name', withThis({ name: '' }), fits('name: Expected string length greater or equal to 1')],
    ['a long name', withThis({ name: 'x'.repeat(257) }), fits('name: Expected string length less or equal to 256')],
    [
      'empty instructions',
      withThis({ instructions: '' }),
      fits('instructions: Expected string length greater or equal to 1'),
    ],
    ['an empty task', withThis({ task: '' }), fits('task: Expected string length greater or equal to 1')],
    ['a number', withThis({ task: 7 }), fits('task: Expected string')],
    ['a number as model', withThis({ model: 7 }), fits('model: Expected string')],
    ['one tool', withThis({ tools: 'trying' }), fits('tools: Expected array')],
    ['a list of numbers', withThis({ tools: [7] }), fits('tools/0: Expected string')],
  ] as const)('%s', async ([, written, told]) => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const { run, outputs } = await runWith([({ calls }) => calls({ ...specialistCall(), arguments: written })])
    expect(run.status).toBe('completed')
    expect(outputs).toEqual([told])
    expect(lastTold(h)).toBe(told)
    expect(h.backend.requests).toHaveLength(2)
    expect(await childrenOf(h.client, run)).toEqual([])
  })

  test('a name of 256 characters, and text of any kind and length, arrive as they were written', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h)
    const asked = {
      name: '👋'.repeat(128),
      instructions: 'Sei "streng" \\ \n\t 👋',
      task: `${'x'.repeat(300_000)}\u0000!`,
    }
    const { children } = await runWith([handingOver(asked)])
    const [child] = children
    expect(child?.run).toMatchObject({ instructions: asked.instructions, metadata: { specialist: asked.name } })
    expect(h.backend.requests[1]?.messages.map(({ content }) => content)).toEqual([asked.instructions, asked.task])
  })

  test('a model without a name is none at all', async () => {
    const h = await startApp()
    const { runWith } = await askLead(h, { model: 'big' })
    const { children } = await runWith([handingOver({ model: '' })])
    expect(children[0]?.run.model).toBe('big')
  })
})
