import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Hit, SearchIndex, SearchRequest } from '../src/retrieval/search-index.ts'

/** What every search index promises. */
export function searchIndexSuite(
  name: string,
  create: () => Promise<{ index: SearchIndex; destroy(): Promise<void> }>,
) {
  describe(name, () => {
    let index: SearchIndex
    let destroy: () => Promise<void>
    beforeAll(async () => {
      ;({ index, destroy } = await create())
    })
    afterAll(() => destroy())
    afterEach(async () => {
      for (const { store } of await index.entries()) await index.removeStore(store)
    })

    const find = (text: string, more: Partial<SearchRequest> = {}) =>
      index.search({ stores: [1], queries: [{ text }], limit: 10, ...more })
    const entriesOf = (hits: readonly Hit[]) => hits.map(({ entry }) => entry)
    const putAll = async (...texts: string[]) => {
      for (const [at, text] of texts.entries()) await index.put({ store: 1, entry: at + 1 }, [text])
    }

    test('what was put is found with its place and text', async () => {
      const chunks = ['The refund window is thirty days.', 'Parcels leave on Tuesdays.']
      expect(await index.put({ store: 1, entry: 7 }, chunks)).toBe(chunks.join('').length)
      expect(await find('When do parcels leave?')).toEqual([
        { store: 1, entry: 7, position: 1, text: chunks[1], score: expect.any(Number) },
      ])
      expect(await index.content({ store: 1, entry: 7 })).toEqual(chunks)
      expect(await index.entries()).toEqual([{ store: 1, entry: 7, model: null }])
    })

    test('what was never put is nowhere', async () => {
      expect(await find('anything')).toEqual([])
      expect(await index.content({ store: 1, entry: 1 })).toBeUndefined()
      expect(await index.putVectors({ store: 1, entry: 1 }, { model: 'm', vectors: [] })).toBe(false)
      await index.remove({ store: 1, entry: 1 })
      await index.removeStore(1)
      expect(await index.entries()).toEqual([])
    })

    test('an entry without chunks is indexed', async () => {
      expect(await index.put({ store: 1, entry: 1 }, [])).toBe(0)
      expect(await index.content({ store: 1, entry: 1 })).toEqual([])
    })

    test('a put replaces all of the entry', async () => {
      await index.put({ store: 1, entry: 1 }, ['walrus', 'walrus again'])
      await index.put({ store: 1, entry: 1 }, ['penguin'])
      expect(await find('walrus')).toEqual([])
      expect(entriesOf(await find('penguin'))).toEqual([1])
      expect(await index.content({ store: 1, entry: 1 })).toEqual(['penguin'])
    })

    test('what is removed is not found, and the rest stays', async () => {
      await putAll('a walrus', 'another walrus')
      await index.remove({ store: 1, entry: 1 })
      expect(entriesOf(await find('walrus'))).toEqual([2])
      await index.put({ store: 2, entry: 3 }, ['a third walrus'])
      await index.removeStore(1)
      expect(await find('walrus', { stores: [1, 2] })).toMatchObject([{ store: 2, entry: 3 }])
      expect(await index.entries()).toEqual([{ store: 2, entry: 3, model: null }])
    })

    test.each([
      ['another form of the word', 'shipping parcels', 'She ships a parcel.'],
      ['no diacritics', 'cafe zurich', 'Das Café in Zürich hat geöffnet.'],
      ['diacritics that the text lacks', 'résumé', 'Send us a resume.'],
      ['other capitals', 'PHOENIX', 'Project phoenix has begun.'],
      ['compatibility forms', 'file 12', 'ﬁle １２'],
      ['a name in another way of writing', 'get_user_by_id', 'Call getUserById(42) first.'],
      ['a part of a name', 'user', 'Call getUserById(42) first.'],
      ['a name without its capitals', 'getuserbyid', 'Call getUserById(42) first.'],
      ['an error code', 'ERR_4711', 'It fails with ERR_4711 at night.'],
      ['the number of an error code', '4711', 'It fails with ERR_4711 at night.'],
      ['a name with underscores', 'foo_bar', 'The option foo_bar is new.'],
      ['a name with underscores, by a part', 'bar', 'The option foo_bar is new.'],
      ['a version', 'v2.1', 'It came with v2.1 in May.'],
      ['a language with signs', 'C++', 'It is written in C++ and Rust.'],
      ['a possessive', 'customers contract', 'The customer’s contracts.'],
      ['Japanese, two characters', '東京', '私は東京都に住んでいます。'],
      ['Japanese, one character', '猫', '昨日黒猫を見た。'],
      ['katakana', 'サーバー', 'このサーバーは速い。'],
      ['half-width katakana', 'ｻｰﾊﾞｰ', 'このサーバーは速い。'],
      ['Chinese', '退款', '我们的退款期限是三十天。'],
      ['Korean with a particle', '서울', '서울에서 만나요.'],
      ['Thai', 'ประกัน', 'การรับประกันสองปี'],
      ['Khmer', 'ភាសា', 'នេះជាភាសាខ្មែរ'],
      ['Burmese', 'မြန်မာ', 'ကျွန်တော်မြန်မာစကားပြောတယ်'],
      ['Russian without its dots', 'еще елка', 'Ещё одна ёлка.'],
      ['Hindi', 'वापसी', 'वापसी की अवधि तीस दिन है।'],
      ['Arabic without vowels', 'كتاب', 'هذا كِتَاب جديد'],
      ['a swapped letter', 'refnud', 'The refund is late.'],
      ['a missing letter', 'docment', 'The document is late.'],
      ['a wrong letter', 'warramty', 'The warranty is over.'],
      ['a wrong first letter', 'karranty', 'The warranty is over.'],
      ['two slips in a long word', 'acomodation', 'Accommodation is paid.'],
    ])('is found by %s', async (_, query, text) => {
      await putAll('Something else, of no use here.', text, '別の話です。')
      const hits = await find(query)
      expect(entriesOf(hits)).toEqual([2])
      expect(hits[0]?.score).toBeGreaterThan(0.3)
    })

    test('short words are taken as they are, and known words are not replaced', async () => {
      await putAll('A cat sat.', 'The word form.', 'The word from Rome.')
      expect(await find('cut')).toEqual([])
      expect(entriesOf(await find('form'))).toEqual([2])
    })

    test('words that say little count only where there are no others', async () => {
      await putAll('The who and the what of it.', 'Walruses.')
      expect(entriesOf(await find('what is the walrus'))).toEqual([2])
      expect(entriesOf(await find('the who'))).toEqual([1])
    })

    test('the rarer of the words counts more', async () => {
      await putAll('invoice for a walrus', 'invoice invoice', 'an invoice', 'the invoice')
      expect(entriesOf(await find('walrus invoice'))[0]).toBe(1)
      const [first, second] = await find('walrus invoice')
      expect(first?.score).toBeGreaterThan(2 * (second?.score ?? 1))
    })

    test('a store is not changed by what is in others', async () => {
      const texts = ['The walrus swims.', 'The penguin swims too.', 'A walrus and a penguin walk.']
      await putAll(...texts)
      const before = await find('walrus swimming')
      await index.put({ store: 2, entry: 9 }, ['A penguin, walruses.', ...Array<string>(50).fill('The walrus swims.')])
      const after = await find('walrus swimming')
      expect(entriesOf(after)).toEqual(entriesOf(before))
      const scores = (hits: readonly Hit[]) => hits.map(({ score }) => expect.closeTo(score, 1))
      expect(after.map(({ score }) => score)).toEqual(scores(before))
      expect(entriesOf(await find('penguin', { stores: [2, 1] })).sort()).toEqual([2, 3, 9])
    })

    test('a misspelt word is never put right by a word of another store', async () => {
      await putAll('Nothing of that kind.')
      await index.put({ store: 2, entry: 2 }, ['confidential'])
      expect(await find('confidentail')).toEqual([])
      expect(await find('confidentail', { stores: [2] })).toHaveLength(1)
    })

    test('several queries find what any of them finds, each chunk once', async () => {
      await putAll('A walrus.', 'A penguin.', 'A walrus and a penguin.', 'A seal.')
      const hits = await index.search({ stores: [1], queries: [{ text: 'walrus' }, { text: 'penguin' }], limit: 10 })
      expect(entriesOf(hits).sort()).toEqual([1, 2, 3])
    })

    test('only the given entries are searched', async () => {
      await putAll('walrus', 'walrus', 'walrus')
      expect(entriesOf(await find('walrus', { entries: [3, 99, 2] })).sort()).toEqual([2, 3])
      expect(await find('walrus', { entries: [] })).toEqual([])
    })

    test('no more than the limit, the best of all', async () => {
      await index.put(
        { store: 1, entry: 1 },
        Array.from({ length: 200 }, (_, at) => `walrus ${'filler '.repeat(at % 100)}`),
      )
      const all = await find('walrus', { limit: 50 })
      expect(all).toHaveLength(50)
      expect(all.map(({ score }) => score)).toEqual(all.map(({ score }) => score).sort((a, b) => b - a))
      expect(await find('walrus', { limit: 3 })).toEqual(all.slice(0, 3))
    })

    describe('vectors', () => {
      const vectors = (...all: number[][]) => ({ model: 'm', vectors: all.map((vector) => Float32Array.from(vector)) })
      const near = (vector: number[], more: Partial<SearchRequest> = {}) =>
        index.search({
          stores: [1],
          queries: [{ text: 'unheard', vector: Float32Array.from(vector) }],
          model: 'm',
          limit: 10,
          ...more,
        })

      test('find what has none of the words', async () => {
        await index.put({ store: 1, entry: 1 }, ['automobile', 'vegetable'], vectors([3, 0, 0], [0, 1, 0]))
        const hits = await near([2, 0.2, 0])
        expect(hits.map(({ position }) => position)).toEqual([0, 1])
        expect(hits[0]?.score).toBeGreaterThan(0.5)
        expect(await index.entries()).toEqual([{ store: 1, entry: 1, model: 'm' }])
      })

      test('are counted by their bytes', async () => {
        expect(await index.put({ store: 1, entry: 1 }, ['four', 'five'], vectors([1, 0, 0], [0, 1, 0]))).toBe(8 + 24)
      })

      test('may come later, and be replaced by those of another model', async () => {
        await index.put({ store: 1, entry: 1 }, ['automobile'])
        expect(await near([1, 0])).toEqual([])
        expect(await index.putVectors({ store: 1, entry: 1 }, vectors([1, 0]))).toBe(true)
        expect(await near([1, 0])).toHaveLength(1)
        expect(await index.putVectors({ store: 1, entry: 1 }, { ...vectors([1, 0, 0]), model: 'other' })).toBe(true)
        expect(await near([1, 0])).toEqual([])
        expect(await near([1, 0, 0])).toEqual([])
        expect(await near([1, 0, 0], { model: 'other' })).toHaveLength(1)
        expect(await index.entries()).toEqual([{ store: 1, entry: 1, model: 'other' }])
      })

      test('of another number than the chunks are refused', async () => {
        await index.put({ store: 1, entry: 1 }, ['one', 'two'])
        expect(await index.putVectors({ store: 1, entry: 1 }, vectors([1, 0]))).toBe(false)
        await expect(index.put({ store: 1, entry: 2 }, ['one', 'two'], vectors([1, 0]))).rejects.toThrow('one vector')
        await expect(index.put({ store: 1, entry: 2 }, ['one', 'two'], vectors([1, 0], [1]))).rejects.toThrow('length')
        expect(await index.entries()).toEqual([{ store: 1, entry: 1, model: null }])
      })

      test('of another model or length are ignored, and the words count alone', async () => {
        await index.put({ store: 1, entry: 1 }, ['walrus'], { ...vectors([1, 0]), model: 'other' })
        await index.put({ store: 1, entry: 2 }, ['walrus'], vectors([1, 0, 0]))
        await index.put({ store: 1, entry: 3 }, ['walrus'])
        const query = { text: 'walrus', vector: Float32Array.from([1, 0]) }
        const hits = await index.search({ stores: [1], queries: [query], model: 'm', limit: 10 })
        expect(hits).toEqual(await find('walrus'))
        expect(hits).toHaveLength(3)
      })

      test('and words together rank higher than either', async () => {
        await index.put({ store: 1, entry: 1 }, ['walrus'], vectors([0, 1]))
        await index.put({ store: 1, entry: 2 }, ['odobenid'], vectors([1, 0]))
        await index.put({ store: 1, entry: 3 }, ['walrus'], vectors([1, 0]))
        const query = { text: 'walrus', vector: Float32Array.from([1, 0]) }
        const hits = await index.search({ stores: [1], queries: [query], model: 'm', limit: 10 })
        expect(hits[0]?.entry).toBe(3)
        expect(hits).toHaveLength(3)
      })

      test('that have no direction compare as nothing', async () => {
        await index.put({ store: 1, entry: 1 }, ['a', 'b'], vectors([0, 0], [Number.NaN, 1]))
        expect(await near([1, 0])).toEqual([])
        expect(await near([0, 0])).toEqual([])
      })

      test('of many chunks are each with their own chunk', async () => {
        const length = 1000
        const many = Array.from({ length }, (_, at) => [
          Math.cos(at / 700),
          Math.sin(at / 700),
          ...Array<number>(126).fill(0),
        ])
        await index.put(
          { store: 1, entry: 1 },
          many.map((_, at) => `chunk ${at}`),
          vectors(...many),
        )
        for (const at of [0, 127, 128, 129, 500, 999]) {
          const [hit] = await near(many[at] ?? [])
          expect(hit?.position).toBe(at)
        }
      })
    })

    test('no query has a syntax, and every score is within 0 and 1', async () => {
      await index.put({ store: 1, entry: 1 }, ['walrus AND penguin', 'NEAR("x" + y) OR rowid:1 * ^ -', 'C# 東京 ก'], {
        model: 'm',
        vectors: [
          [1, 0],
          [0, 1],
          [-1, 1],
        ].map((vector) => Float32Array.from(vector)),
      })
      const syntax = [
        '"',
        '*',
        'AND',
        'OR',
        'NOT',
        'NEAR(',
        ')',
        '^',
        ':',
        '-',
        '+',
        'tokens:',
        "'",
        '\\',
        '\0',
        '{',
        '}',
        'walrus',
        '東',
        '_',
        '.',
        '#',
      ]
      const text = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'grapheme' }),
        fc.array(fc.constantFrom(...syntax)).map((parts) => parts.join('')),
        fc.array(fc.constantFrom(...syntax)).map((parts) => parts.join(' ')),
      )
      const vector = fc.option(fc.float32Array({ minLength: 2, maxLength: 2 }), { nil: undefined })
      await fc.assert(
        fc.asyncProperty(fc.array(fc.record({ text, vector }), { maxLength: 3 }), async (queries) => {
          const hits = await index.search({
            stores: [1],
            queries: queries.map(({ text, vector }) => (vector ? { text, vector } : { text })),
            model: 'm',
            limit: 5,
          })
          for (const { score } of hits) {
            expect(score).toBeGreaterThan(0)
            expect(score).toBeLessThanOrEqual(1)
          }
        }),
        { numRuns: 300 },
      )
    })

    test('any text can be put, read, found by its first word, and removed', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme', maxLength: 40 }), { maxLength: 4 }), async (chunks) => {
          await index.put({ store: 1, entry: 1 }, chunks)
          expect(await index.content({ store: 1, entry: 1 })).toEqual(chunks)
          await index.remove({ store: 1, entry: 1 })
          expect(await index.entries()).toEqual([])
        }),
        { numRuns: 100 },
      )
    })

    test.each([
      ['one letter', 'a'],
      ['capitals', 'A'],
      ['names', 'aB'],
      ['dots', 'a.'],
      ['dashes and digits', '1-'],
      ['underscores', '_a'],
      ['characters without spaces', '東'],
      ['marks', '\u0e31'],
      ['accents', 'e\u0301'],
      ['signs', '+#'],
    ])('a megabyte of %s is put, and asked for, as quickly as other text', async (_, repeated) => {
      const text = repeated.repeat(1_000_000 / repeated.length)
      await index.put({ store: 1, entry: 1 }, [text])
      await find(text)
      expect(await index.content({ store: 1, entry: 1 })).toEqual([text])
    })

    test('a search finds entries whole or not at all while they are put', async () => {
      const chunks = Array.from({ length: 400 }, (_, at) => `walrus number ${at}`)
      let isPut = false
      const putting = index.put({ store: 1, entry: 1 }, chunks).then(() => {
        isPut = true
      })
      const seen = new Set<number>()
      while (!isPut) seen.add((await find('walrus', { limit: 500 })).length)
      await putting
      seen.delete(0)
      seen.delete(400)
      expect([...seen]).toEqual([])
      expect(await find('walrus', { limit: 500 })).toHaveLength(400)
    })

    test('a search goes on while an entry is replaced', async () => {
      await index.put({ store: 1, entry: 1 }, Array<string>(100).fill('walrus of old'))
      let isPut = false
      const putting = index.put({ store: 1, entry: 1 }, Array<string>(200).fill('walrus anew')).then(() => {
        isPut = true
      })
      const seen = new Set<number>()
      while (!isPut) seen.add((await find('walrus', { limit: 500 })).length)
      await putting
      expect([...seen].filter((length) => length !== 100 && length !== 200)).toEqual([])
    })

    test('many calls at once each get their own answer', async () => {
      const names = ['walrus', 'penguin', 'seal', 'otter', 'narwhal']
      await Promise.all(names.map((name, at) => index.put({ store: at, entry: at }, [`the ${name} swims`])))
      const found = await Promise.all(
        Array.from({ length: 100 }, (_, at) => find(names[at % 5] ?? '', { stores: [at % 5] })),
      )
      expect(found.map(entriesOf)).toEqual(found.map((_, at) => [at % 5]))
    })

    test('an aborted search rejects with the reason', async () => {
      const reason = new Error('no longer wanted')
      await expect(index.search({ stores: [1], queries: [], limit: 1 }, AbortSignal.abort(reason))).rejects.toBe(reason)
      const controller = new AbortController()
      const searches = Array.from({ length: 8 }, () =>
        index.search({ stores: [1], queries: [{ text: 'walrus' }], limit: 1 }, controller.signal),
      )
      controller.abort(reason)
      for (const search of await Promise.allSettled(searches)) expect(search).toEqual({ status: 'rejected', reason })
      expect(await find('walrus')).toEqual([])
    })

    test('a closed index keeps what was being put, and refuses all else', async () => {
      const { index: other, destroy: destroyOther } = await create()
      const putting = other.put({ store: 1, entry: 1 }, ['walrus'])
      await other.close()
      await expect(putting).resolves.toBe(6)
      await expect(other.entries()).rejects.toThrow('closed')
      await expect(other.put({ store: 1, entry: 2 }, ['seal'])).rejects.toThrow('closed')
      await destroyOther()
    })
  })
}
