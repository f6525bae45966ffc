import type { VectorStoreSearchParams } from 'openai/resources/vector-stores/vector-stores'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { vectorOf } from './harness/backend.ts'
import { refusal, refusalOf } from './harness/refusal.ts'
import { ingest, storeOf, upload } from './harness/search.ts'

type Attributes = Record<string, string | number | boolean>

/** A store of files that all speak of apples, named by letters, with these attributes each. */
async function withAttributes(list: Attributes[]) {
  const h = await startApp()
  const letters = list.map((_, n) => String.fromCharCode(97 + n))
  const ids = await upload(h, Object.fromEntries(letters.map((letter) => [`${letter}.txt`, 'apples'])))
  const { id } = await h.client.vectorStores.create({})
  const files = ids.map((file_id, n) => ({ file_id, attributes: list[n] ?? {} }))
  await h.client.vectorStores.fileBatches.create(id, { files } as unknown as { file_ids: string[] })
  await ingest(h)
  return { h, id, ids, found: (filters: unknown) => lettersFound(h, id, filters) }
}

async function lettersFound(h: Harness, id: string, filters: unknown) {
  const { data } = await h.client.vectorStores.search(id, {
    query: 'apples',
    max_num_results: 50,
    filters: filters as NonNullable<VectorStoreSearchParams['filters']>,
  })
  return data
    .map(({ filename }) => filename[0])
    .sort()
    .join('')
}

describe('a search', () => {
  test('answers the passages with their files, the best first, and what was looked for', async () => {
    const h = await startApp()
    const { id, file_ids } = await storeOf(h, {
      'a.txt': 'Apples are stored in the cellar, among other fruit.',
      'b.md': 'Apples. Apples! Nothing but apples in the cellar.',
      'c.txt': 'Pears are stored elsewhere.',
    })
    await h.client.vectorStores.files.update(file_ids[0] ?? '', { vector_store_id: id, attributes: { year: 2024 } })
    const answer = await h.send('POST', `/v1/vector_stores/${id}/search`, { query: 'apples cellar' })
    const page = (await answer.json()) as { data: { score: number }[] }
    expect(page).toEqual({
      object: 'vector_store.search_results.page',
      search_query: ['apples cellar'],
      data: expect.any(Array),
      has_more: false,
      next_page: null,
    })
    const score = expect.any(Number)
    const text = (value: string) => [{ type: 'text', text: value }]
    expect(page.data).toEqual([
      {
        file_id: file_ids[1],
        filename: 'b.md',
        score,
        attributes: {},
        content: text('Apples. Apples! Nothing but apples in the cellar.'),
      },
      {
        file_id: file_ids[0],
        filename: 'a.txt',
        score,
        attributes: { year: 2024 },
        content: text('Apples are stored in the cellar, among other fruit.'),
      },
    ])
    const scores = page.data.map((one) => one.score)
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
    for (const one of scores) expect(one > 0 && one <= 1).toBe(true)
  })

  test('finds nothing in an empty store, nor of what is not there', async () => {
    const h = await startApp()
    const { id } = await storeOf(h, { 'a.txt': 'apples' })
    const { id: empty } = await h.client.vectorStores.create({})
    expect((await h.client.vectorStores.search(empty, { query: 'apples' })).data).toEqual([])
    expect((await h.client.vectorStores.search(id, { query: 'zeppelins' })).data).toEqual([])
    expect((await h.client.vectorStores.search(id, { query: '"AND ( * NEAR' })).data).toEqual([])
  })

  test('looks in its own store alone', async () => {
    const h = await startApp()
    const [one, two] = [await storeOf(h, { 'a.txt': 'apples' }), await storeOf(h, { 'b.txt': 'apples' })]
    for (const { id, file_ids } of [one, two]) {
      const { data } = await h.client.vectorStores.search(id, { query: 'apples' })
      expect(data.map(({ file_id }) => file_id)).toEqual(file_ids)
    }
  })

  test('with several queries finds what any of them finds, and no passage twice', async () => {
    const h = await startApp()
    const { id } = await storeOf(h, {
      'a.txt': 'apples',
      'b.txt': 'pears',
      'c.txt': 'plums',
      'd.txt': 'apples and pears',
    })
    const answer = await h.send('POST', `/v1/vector_stores/${id}/search`, { query: ['apples', 'pears'] })
    const { search_query, data } = (await answer.json()) as { search_query: string[]; data: { filename: string }[] }
    expect(search_query).toEqual(['apples', 'pears'])
    expect(data.map(({ filename }) => filename).sort()).toEqual(['a.txt', 'b.txt', 'd.txt'])
  })

  test('answers ten passages, or as many as it is told', async () => {
    const h = await startApp()
    const texts = Array.from({ length: 12 }, (_, n) => [`${n}.txt`, `apples ${n}`])
    const { id } = await storeOf(h, Object.fromEntries(texts))
    const count = async (more: object) => {
      const { data } = await h.client.vectorStores.search(id, { query: 'apples', ...more })
      return data.length
    }
    expect(await count({})).toBe(10)
    expect(await count({ max_num_results: 1 })).toBe(1)
    expect(await count({ max_num_results: 50 })).toBe(12)
  })

  test('leaves out what scores less than it is told', async () => {
    const h = await startApp()
    const { id } = await storeOf(h, { 'a.txt': 'apples in the cellar', 'b.txt': 'apples' })
    const find = (score_threshold: number) =>
      h.client.vectorStores.search(id, { query: 'apples cellar', ranking_options: { score_threshold } })
    const all = (await find(0)).data
    expect(all).toHaveLength(2)
    const between = ((all[0]?.score ?? 0) + (all[1]?.score ?? 0)) / 2
    expect((await find(between)).data.map(({ filename }) => filename)).toEqual(['a.txt'])
    expect((await find(all[0]?.score ?? 0)).data).toHaveLength(1)
    expect((await find(1)).data).toEqual([])
  })

  test('rewrites a question if it is told, and says how', async () => {
    const h = await startApp()
    const { id } = await storeOf(h, { 'a.txt': 'The refund window is thirty days.' })
    const question = 'Can you tell me what the refund window is?'
    const ask = async (rewrite_query: boolean | null) => {
      const answer = await h.send('POST', `/v1/vector_stores/${id}/search`, { query: question, rewrite_query })
      return (await answer.json()) as { search_query: string[]; data: unknown[] }
    }
    for (const no of [false, null]) expect((await ask(no)).search_query).toEqual([question])
    const { search_query, data } = await ask(true)
    expect(search_query).toHaveLength(1)
    expect(search_query[0]).toContain('refund window')
    expect(search_query[0]?.length).toBeLessThan(question.length)
    expect(data).toHaveLength(1)
  })

  test.each(['none', 'auto', 'default-2024-11-15'] as const)('takes the ranker %s', async (ranker) => {
    const h = await startApp()
    const { id } = await storeOf(h, { 'a.txt': 'apples' })
    expect(
      (await h.client.vectorStores.search(id, { query: 'apples', ranking_options: { ranker } })).data,
    ).toHaveLength(1)
  })

  test('finds what means the same, if there is an embedding model, and by words if that fails', async () => {
    const h = await startApp({ env: { EMBEDDING_MODEL: 'e' } })
    // To this model, everything of fruit is one word.
    h.backend.otherwiseEmbed = ({ texts, vectors }) =>
      vectors(texts.map((text) => vectorOf(text.replace(/apples|orchard produce/i, 'fruit'))))
    const { id } = await storeOf(h, { 'a.txt': 'apples', 'b.txt': 'machines' })
    const first = async () => (await h.client.vectorStores.search(id, { query: 'orchard produce' })).data[0]?.filename
    expect(await first()).toBe('a.txt')
    h.backend.otherwiseEmbed = ({ response }) => void response.writeHead(401).end('{}')
    expect(await first()).toBeUndefined()
    expect((await h.client.vectorStores.search(id, { query: 'apples' })).data[0]?.filename).toBe('a.txt')
  })

  test.for([
    [{}, 'query', 'missing_required_parameter'],
    [{ query: 5 }, 'query', 'invalid_type'],
    [{ query: null }, 'query', 'invalid_type'],
    [{ query: [] }, 'query', 'empty_array'],
    [{ query: '' }, 'query', 'empty_string'],
    [{ query: ['a', ''] }, 'query[1]', 'empty_string'],
    [{ query: 'a', max_num_results: 0 }, 'max_num_results', 'integer_below_min_value'],
    [{ query: 'a', max_num_results: 51 }, 'max_num_results', 'integer_above_max_value'],
    [{ query: 'a', rewrite_query: 'yes' }, 'rewrite_query', 'invalid_type'],
    [{ query: 'a', ranking_options: { ranker: 'best' } }, 'ranking_options.ranker', 'invalid_value'],
    [
      { query: 'a', ranking_options: { score_threshold: 1.1 } },
      'ranking_options.score_threshold',
      'decimal_above_max_value',
    ],
    [{ query: 'a', ranking_options: { top_k: 1 } }, 'ranking_options.top_k', 'unknown_parameter'],
    [{ query: 'a', filters: {} }, 'filters.type', 'missing_required_parameter'],
    [{ query: 'a', filters: { type: 'like', key: 'a', value: 'b' } }, 'filters.type', 'invalid_value'],
    [{ query: 'a', filters: { type: 'eq', key: 'a' } }, 'filters.value', 'missing_required_parameter'],
    [{ query: 'a', filters: { type: 'eq', key: 'a', value: ['b'] } }, 'filters.value', 'invalid_type'],
    [{ query: 'a', filters: { type: 'in', key: 'a', value: 'b' } }, 'filters.value', 'invalid_type'],
    [{ query: 'a', filters: { type: 'and', filters: [] } }, 'filters.filters', 'empty_array'],
    [
      { query: 'a', filters: { type: 'or', filters: [{ type: 'eq', key: 'a', value: 1, b: 1 }] } },
      'filters.filters[0].b',
      'unknown_parameter',
    ],
  ] as const)('is refused for %j', async ([body, param, code]) => {
    const h = await startApp()
    const answer = await refusalOf(await h.send('POST', '/v1/vector_stores/vs_a/search', body))
    expect(answer).toMatchObject({ status: 400, param, code })
  })

  test('of an expired store is refused', async () => {
    const h = await startApp()
    const { id } = await h.client.vectorStores.create({ expires_after: { anchor: 'last_active_at', days: 1 } })
    h.time.now += 86_400_000
    const answer = await h.send('POST', `/v1/vector_stores/${id}/search`, { query: 'apples' })
    expect(await refusalOf(answer)).toEqual(refusal(`Vector store ${id} is expired.`))
  })
})

describe('a filter', () => {
  const list: Attributes[] = [
    { n: 1, s: 'apple', b: true },
    { n: 2.5, s: 'pear', b: false },
    { n: -3, s: 'Zebra', b: true },
    { n: '2', s: 1, b: 1 },
    {},
  ]

  test('picks files by each operator; without the key, or of another type, none but ne and nin', async () => {
    const { found } = await withAttributes(list)
    const cases: [string, string, unknown, string][] = [
      ['eq', 'n', 1, 'a'],
      ['ne', 'n', 1, 'bcde'],
      ['gt', 'n', 1, 'b'],
      ['gte', 'n', 1, 'ab'],
      ['lt', 'n', 1, 'c'],
      ['lte', 'n', 2.5, 'abc'],
      ['eq', 'n', '2', 'd'],
      ['eq', 'n', 2, ''],
      ['gt', 'n', '1', 'd'],
      ['eq', 's', 'apple', 'a'],
      ['eq', 's', 'Apple', ''],
      ['gt', 's', 'apple', 'b'],
      ['lt', 's', 'apple', 'c'],
      ['gte', 's', '', 'abc'],
      ['eq', 'b', true, 'ac'],
      ['eq', 'b', false, 'b'],
      ['ne', 'b', true, 'bde'],
      ['eq', 'b', 1, 'd'],
      ['in', 'n', [1, -3, '2'], 'acd'],
      ['nin', 'n', [1, -3, '2'], 'be'],
      ['in', 's', ['pear', 1], 'bd'],
      ['in', 's', [], ''],
      ['nin', 's', [], 'abcde'],
      ['in', 'b', [1], 'd'],
      ['eq', 'none', 'x', ''],
      ['ne', 'none', 'x', 'abcde'],
      ['nin', 'none', ['x'], 'abcde'],
    ]
    for (const [type, key, value, expected] of cases) {
      expect([type, key, value, await found({ type, key, value })]).toEqual([type, key, value, expected])
    }
  })

  test('nests', async () => {
    const { found } = await withAttributes(list)
    const eq = (key: string, value: unknown) => ({ type: 'eq', key, value })
    const and = (...filters: unknown[]) => ({ type: 'and', filters })
    const or = (...filters: unknown[]) => ({ type: 'or', filters })
    expect(await found(and(eq('b', true), eq('n', 1)))).toBe('a')
    expect(await found(or(eq('n', 1), eq('n', -3)))).toBe('ac')
    expect(await found(and(eq('b', true), or(eq('s', 'Zebra'), eq('s', 'pear'))))).toBe('c')
    expect(await found(or(and(eq('n', 1), eq('b', false)), and(eq('n', 2.5), eq('b', false))))).toBe('b')
    expect(await found(and(eq('n', 1)))).toBe('a')
    let deep: unknown = eq('n', 1)
    for (let depth = 0; depth < 8; depth++) deep = depth % 2 ? and(deep) : or(deep)
    expect(await found(deep)).toBe('a')
  })

  test('takes any text for key and value', async () => {
    const odd = ["a'b", 'a"b', 'a.b', '$', '[0]', '', 'ключ', '👋', '\\', 'a b', '%', "'; DROP TABLE files; --"]
    const { h, id, found } = await withAttributes(odd.map((key) => ({ [key]: key, same: 1 })))
    for (const [n, key] of odd.entries()) {
      expect([key, await found({ type: 'eq', key, value: key })]).toEqual([key, String.fromCharCode(97 + n)])
      expect([key, await found({ type: 'in', key, value: [key] })]).toEqual([key, String.fromCharCode(97 + n)])
    }
    expect(await found({ type: 'eq', key: 'same', value: 1 })).toHaveLength(odd.length)
    expect((await h.client.vectorStores.retrieve(id)).file_counts.completed).toBe(odd.length)
  })

  test('goes by the attributes as they are now', async () => {
    const { h, id, ids, found } = await withAttributes([{ lang: 'en' }, { lang: 'de' }])
    const german = { type: 'eq', key: 'lang', value: 'de' }
    expect(await found(german)).toBe('b')
    await h.client.vectorStores.files.update(ids[0] ?? '', { vector_store_id: id, attributes: { lang: 'de' } })
    await h.client.vectorStores.files.update(ids[1] ?? '', { vector_store_id: id, attributes: null })
    expect(await found(german)).toBe('a')
    const { data } = await h.client.vectorStores.search(id, { query: 'apples' })
    expect(data.map(({ attributes }) => attributes).toSorted()).toEqual(expect.arrayContaining([{ lang: 'de' }, {}]))
  })

  test('that picks the worst of many finds it', async () => {
    const h = await startApp()
    const texts = Array.from({ length: 30 }, (_, n) => [`${n}.txt`, 'apples apples apples'])
    const { id } = await storeOf(h, {
      ...Object.fromEntries(texts),
      'worst.txt': `apples ${'and other things '.repeat(99)}`,
    })
    const { data } = await h.client.vectorStores.files.list(id, { limit: 1 })
    await h.client.vectorStores.files.update(data[0]?.id ?? '', { vector_store_id: id, attributes: { a: 1 } })
    const filters = { type: 'eq' as const, key: 'a', value: 1 }
    const found = await h.client.vectorStores.search(id, { query: 'apples', max_num_results: 1, filters })
    expect(found.data.map(({ filename }) => filename)).toEqual(['worst.txt'])
  })

  test.each(['and', 'or'])('of a thousand parts joined by %s is answered', async (type) => {
    const { found } = await withAttributes([{ n: 1 }, { n: 2 }])
    const filters = Array.from({ length: 1000 }, () => ({ type: 'eq', key: 'n', value: 1 }))
    expect(await found({ type, filters })).toBe('a')
  })

  test('of more parts than a statement may have parameters is answered, or refused, but is no failure', async () => {
    const { h, id } = await withAttributes([{ n: 1 }])
    const part = { type: 'eq', key: 'n', value: 1 }
    const filters = { type: 'or', filters: Array(40).fill({ type: 'or', filters: Array(1000).fill(part) }) }
    const answer = await h.send('POST', `/v1/vector_stores/${id}/search`, { query: 'apples', filters })
    expect([200, 400]).toContain(answer.status)
  })
})
