import fc from 'fast-check'
import { encode } from 'gpt-tokenizer/encoding/cl100k_base'
import { expect, test } from 'vitest'
import { type ChunkSizes, chunksOf, rangesOf } from '../src/retrieval/extraction/chunk.ts'
import { countTokens } from '../src/retrieval/extraction/tokens.ts'

const sizesOf = (max: number, overlap: number): ChunkSizes => ({
  max_chunk_size_tokens: max,
  chunk_overlap_tokens: overlap,
})

const words = fc.constantFrom(
  ...[
    'the',
    ' lighthouse',
    '\n',
    '\n\n',
    '. ',
    '  ',
    '\r\n',
    '特許',
    '。',
    '👩‍👩‍👧',
    '🇳🇴',
    'e\u0301',
    'é',
    '_',
    '12345',
    "'s",
    '\t',
    '{',
    '=>',
  ],
  ...[
    'a'.repeat(300),
    ' '.repeat(70),
    '\n'.repeat(40),
    '!'.repeat(90),
    '東'.repeat(200),
    '\u0301'.repeat(60),
    '𐍈'.repeat(120),
  ],
)
const texts = fc.array(words, { minLength: 1, maxLength: 400 }).map((list) => list.join(''))
const anySizes = fc
  .tuple(fc.integer({ min: 100, max: 600 }), fc.float({ min: 0, max: 0.5, noNaN: true }))
  .map(([max, share]) => sizesOf(max, Math.floor(max * share)))

test('chunks leave out nothing but white space, and none has more tokens than it may', () => {
  fc.assert(
    fc.property(texts, anySizes, (text, sizes) => {
      let covered = 0
      let begun = -1
      for (const { from, to } of rangesOf(text, sizes)) {
        expect(from).toBeGreaterThan(begun)
        expect(to).toBeGreaterThan(covered)
        expect(text.slice(covered, Math.max(covered, from)).trim()).toBe('')
        const chunk = text.slice(from, to)
        expect(countTokens(chunk)).toBeLessThanOrEqual(sizes.max_chunk_size_tokens)
        expect(chunk.isWellFormed()).toBe(true)
        expect(chunk.trim()).not.toBe('')
        begun = from
        covered = to
      }
      expect(text.slice(covered).trim()).toBe('')
    }),
    { numRuns: 150 },
  )
})

const prose = Array.from(
  { length: 3000 },
  (_, index) => `Sentence ${index} of the keeper's log says that ship ${index * 7} passed.${index % 9 ? ' ' : '\n\n'}`,
).join('')

test('chunks that follow each other share about as many tokens as asked for', () => {
  for (const overlap of [0, 100, 400]) {
    const places = [...rangesOf(prose, sizesOf(800, overlap))]
    const shared = places.slice(1).map(({ from }, index) => countTokens(prose.slice(from, places[index]?.to)))
    expect(Math.max(...shared)).toBeLessThanOrEqual(overlap)
    expect(Math.min(...shared)).toBeGreaterThanOrEqual(overlap * 0.7)
  }
})

test('chunks end after paragraphs when one ends in the last quarter', () => {
  const chunks = [...chunksOf(prose, sizesOf(800, 400))]
  for (const chunk of chunks) expect(chunk).toMatch(/\.\n\n$|\. ?$/)
  expect(chunks.slice(0, -1).filter((chunk) => chunk.endsWith('\n\n')).length).toBe(chunks.length - 1)
})

test('chunks end after lines, sentences and words where there are no paragraphs', () => {
  const endings = (text: string) => [...chunksOf(text, sizesOf(100, 20))].slice(0, -1)
  for (const chunk of endings('one two three four\n'.repeat(500))) expect(chunk).toMatch(/\n$/)
  for (const chunk of endings('One two three. Four five six. '.repeat(500))) expect(chunk).toMatch(/\.$/)
  for (const chunk of endings('lighthouse keepers '.repeat(500))) expect(chunk).toMatch(/(lighthouse|keepers) ?$/)
  for (const chunk of endings('特許許可局。'.repeat(500))) expect(chunk).toMatch(/。$/)
})

test('what people take for one character is in one chunk', () => {
  for (const character of ['👩‍👩‍👧‍👦', '🇳🇴', 'e\u0301\u0323', '👍🏽']) {
    const segmenter = new Intl.Segmenter()
    for (const chunk of chunksOf(character.repeat(3000), sizesOf(100, 50))) {
      expect([...segmenter.segment(chunk)].every(({ segment }) => segment === character)).toBe(true)
    }
  }
})

test('a text that fits is one chunk as it stands', () => {
  expect([...chunksOf('\n Hello, world. \n', sizesOf(800, 400))]).toEqual(['\n Hello, world. \n'])
  expect([...chunksOf(' \n\t ', sizesOf(800, 400))]).toEqual([])
})

test("tokens are counted as the tokenizer counts them, special tokens' names as text", () => {
  expect(countTokens(prose)).toBe(encode(prose).length)
  expect(countTokens('<|endoftext|>')).toBeGreaterThan(1)
})

test('time grows with the length of the text alone, whatever is in it', () => {
  for (const unit of ['a', ' ', '!', '\n', '東', '\u0301', '👩‍', 'aA', '1', "'", ' \r']) {
    const start = performance.now()
    for (const _ of chunksOf(`x${unit.repeat(400_000 / unit.length)}x`, sizesOf(800, 400)));
    expect(performance.now() - start).toBeLessThan(4000)
  }
})

test('a text of more than five million tokens is too large', () => {
  const chunks = chunksOf('a b '.repeat(2_600_000), sizesOf(4096, 0))
  expect(() => {
    for (const _ of chunks);
  }).toThrow('because it is too large')
})
