import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { atRest, checkEnded } from './harness/engine.ts'
import {
  askFiles,
  callsOf,
  ingest,
  onlyText,
  resultsOf,
  saying,
  searching,
  searchTool,
  toldIn,
  upload,
} from './harness/search.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const plan = { 'plan.txt': 'The budget of Project Phoenix is nine thousand.' }

describe('a call that cannot be carried out is told to the model, and the run completes', () => {
  test.each(['{"query":', '{}', '{"query":""}', '{"query":" \\n"}', '', 'null', '[]', '{"query":7}', '""'])(
    'with the arguments %j',
    async (written) => {
      const h = await startApp()
      h.backend.turns.push(({ calls }) => calls({ name: 'file_search', arguments: written }))
      const { run } = await askFiles(h, {})
      const { run: ended, steps } = await checkEnded(h, await atRest(h.client, await run()))
      expect(ended.status).toBe('completed')
      expect(resultsOf(steps[0])).toEqual([[]])
      expect(toldIn(h, 1)[0]).toMatch(/not understood.*"query"/)
    },
  )

  test.each([
    ['"Phoenix"', 1],
    ['{"queries":["Phoenix","nine thousand"]}', 2],
    ['{"query":"Phoenix","queries":["nine thousand",7,null,""],"other":true}', 2],
    ['{"query":"Phoenix","queries":"nine thousand"}', 2],
  ])('but %s is understood', async (written, count) => {
    const h = await startApp()
    h.backend.turns.push(({ calls }) => calls({ name: 'file_search', arguments: written }))
    const { run } = await askFiles(h, { 'a.md': 'Phoenix.', 'b.md': 'It costs nine thousand.' })
    const { steps } = await checkEnded(h, await atRest(h.client, await run()))
    expect(resultsOf(steps[0])[0]).toHaveLength(count)
  })

  test('but not because of what is in the query', async () => {
    const h = await startApp()
    const queries = [
      '"',
      "'; DROP TABLE",
      'NEAR(a b)',
      'a AND (',
      '*',
      '😀',
      '†【4:0†x】',
      '\u0000',
      '\ud83d',
      '-',
      '计划',
      'x'.repeat(100_000),
    ]
    queries.push('Phoenix '.repeat(20_000), Array.from({ length: 20_000 }, (_, n) => `Phoenix${n}`).join(' '))
    h.backend.turns.push(searching(...queries))
    const { run } = await askFiles(h, notes)
    const { run: ended, steps } = await checkEnded(h, await atRest(h.client, await run()))
    expect(ended.status).toBe('completed')
    expect(resultsOf(steps[0])).toHaveLength(queries.length)
    expect(toldIn(h, 1).filter((told) => !/^(Passages|The search found nothing)/.test(told))).toEqual([])
    expect(resultsOf(steps[0]).at(-2)).toHaveLength(1)
  })

  test('with an index that has become rubbish, and searches go on with a new one', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix', 'Ada'), searching('Phoenix'), saying('I cannot say【4:0†notes.md】.'))
    const { run } = await askFiles(h, notes)
    for (const end of ['', '-wal', '-shm']) rmSync(join(h.folder, `search.db${end}`), { force: true })
    writeFileSync(join(h.folder, 'search.db'), 'This is no database. '.repeat(1000))
    const { run: ended, steps, messages } = await checkEnded(h, await atRest(h.client, await run()))
    expect(ended).toMatchObject({ status: 'completed', last_error: null })
    expect(steps.slice(0, 2).map(resultsOf)).toEqual([[[], []], [[]]])
    expect(toldIn(h, 1).filter((told) => /search failed/.test(told)).length).toBeGreaterThan(0)
    expect(toldIn(h, 2).at(-1)).toMatch(/found nothing/)
    expect(onlyText(messages[0])).toEqual({ value: 'I cannot say.', annotations: [] })
  })
})

describe('the settings of the tool', () => {
  const many = Object.fromEntries(
    Array.from({ length: 25 }, (_, n) => [`${n}.md`, `Phoenix ${'word '.repeat(n)}`]),
  ) as Record<string, string>

  test('the most results, which are 20 without a setting', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'), saying('.'), searching('Phoenix'))
    const { run } = await askFiles(h, many)
    const { steps } = await checkEnded(h, await atRest(h.client, await run()))
    expect(resultsOf(steps[0])[0]).toHaveLength(20)
    expect(toldIn(h, 1)[0]?.match(/^【4:\d+†\d+\.md】$/gm)).toHaveLength(20)
    const tools = [{ ...searchTool, file_search: { max_num_results: 3 } }]
    const { steps: fewer } = await checkEnded(h, await atRest(h.client, await run({ tools })))
    expect(resultsOf(fewer[0])[0]).toEqual(resultsOf(steps[0])[0]?.slice(0, 3))
  })

  test('the least score, which the step shows with the ranker', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix begins'), saying('.'), searching('Phoenix begins'), saying('.'))
    const { run } = await askFiles(h, { ...notes, ...plan })
    const all = (await checkEnded(h, await atRest(h.client, await run()))).steps[0]
    const scores = resultsOf(all)
      .flat()
      .map(({ score }) => score)
    expect(scores).toHaveLength(2)
    const score_threshold = ((scores[0] ?? 0) + (scores[1] ?? 0)) / 2
    const ranking_options = { ranker: 'auto' as const, score_threshold }
    const tools = [{ ...searchTool, file_search: { ranking_options } }]
    const best = (await checkEnded(h, await atRest(h.client, await run({ tools })))).steps[0]
    expect(callsOf(best)).toMatchObject([
      { file_search: { ranking_options, results: [{ file_name: 'notes.md', score: scores[0] }] } },
    ])
    const [call] = callsOf(best)
    expect(call?.type === 'file_search' && Object.keys(call.file_search.ranking_options ?? {})).toEqual([
      'ranker',
      'score_threshold',
    ])
  })

  test('the model is told no more than it can read at once, and the step shows the same', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'))
    const { run, id } = await askFiles(h, {})
    const text = Array.from({ length: 30_000 }, (_, n) => (n % 50 === 0 ? 'Phoenix' : 'word')).join(' ')
    const [file_id = ''] = await upload(h, { 'long.txt': text })
    await h.client.vectorStores.files.create(id, {
      file_id,
      chunking_strategy: { type: 'static', static: { max_chunk_size_tokens: 4096, chunk_overlap_tokens: 0 } },
    })
    await ingest(h)
    const { steps } = await checkEnded(h, await atRest(h.client, await run()))
    const shown = resultsOf(steps[0])[0]?.length ?? 0
    expect(shown).toBeGreaterThan(1)
    expect(shown).toBeLessThan(8)
    const [told = ''] = toldIn(h, 1)
    expect(told.match(/^【4:\d+†long\.txt】$/gm)).toHaveLength(shown)
    expect(told.length).toBeLessThan(70_000)
  })

  test('attributes of files are in the results', async () => {
    const h = await startApp()
    h.backend.turns.push(searching('Phoenix'))
    const { run, id, file_ids } = await askFiles(h, notes)
    const attributes = { team: 'red', year: 2025, open: true }
    await h.client.vectorStores.files.update(file_ids[0] ?? '', { vector_store_id: id, attributes })
    const { steps } = await checkEnded(h, await atRest(h.client, await run()))
    expect(resultsOf(steps[0])).toMatchObject([[{ attributes }]])
  })
})
