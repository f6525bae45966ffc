import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Annotation,
  CitationReader,
  longestHeld,
  markOf,
  type Piece,
  withoutLookalikes,
  withoutMarks,
} from '../src/retrieval/cite.ts'

/** The results of search 4 are known, from 0 to 2. */
const sourceOf = (n: number, m: number) => (n === 4 && m < 3 ? { file_id: `file-${m}` } : undefined)

/** All pieces of an answer that comes in these chunks; neighbouring texts are joined. */
function read(...chunks: string[]): Piece[] {
  const reader = new CitationReader(sourceOf)
  const pieces: Piece[] = []
  for (const piece of [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end()]) {
    const last = pieces.at(-1)
    if (last && !last.annotation && !piece.annotation) last.text += piece.text
    else pieces.push({ ...piece })
  }
  return pieces
}
const textOf = (pieces: readonly Piece[]) => pieces.map(({ text }) => text).join('')
const annotationsOf = (pieces: readonly Piece[]) => pieces.flatMap(({ annotation }) => annotation ?? [])

const cited = (text: string, start_index: number, file_id = 'file-0') => ({
  text,
  annotation: {
    type: 'file_citation',
    text,
    start_index,
    end_index: start_index + [...text].length,
    file_citation: { file_id },
  },
})

describe('a mark', () => {
  test('becomes a piece of its own, with its place and its file', () => {
    expect(read('It is blue【4:0†notes.md】. So there.')).toEqual([
      { text: 'It is blue' },
      cited('【4:0†notes.md】', 10),
      { text: '. So there.' },
    ])
  })

  test('is counted in code points', () => {
    expect(read('😀【4:0†a】👩‍🚀【4:1†b】')).toEqual([
      { text: '😀' },
      cited('【4:0†a】', 1),
      { text: '👩‍🚀' },
      cited('【4:1†b】', 11, 'file-1'),
    ])
  })

  test('that names nothing is left out, and only it', () => {
    expect(read('Blue 【9:9†notes.md】. Red【4:7†x】【4:0†a】!【0:0†】')).toEqual([
      { text: 'Blue . Red' },
      cited('【4:0†a】', 10),
      { text: '!' },
    ])
  })

  test.each([
    '【4:0†source】',
    '【4:0†】',
    '【 4:0 † notes.md 】',
    '【4：0†笔记.md】',
    '【4:0†notes [final].md】',
    '【4:0†a†b: c】',
    '[4:0†notes.md]',
  ])('is understood as a model may write it: %s', (mark) => {
    expect(read(`A${mark}`)).toEqual([{ text: 'A' }, cited(mark, 1)])
  })

  test.each([
    '【公告】',
    '【4:0】',
    '【4-0†notes.md】',
    '【a:0†notes.md】',
    '【4:0†notes\n.md】',
    '【1234567:0†a】',
    '【4:0†【4:0†',
    '【】】【',
    '[4:0†no[te]s.md',
    '[1](https://example.com), a[1:2], [4:0]',
    '4:0†notes.md】',
    '【4:0 notes.md】',
  ])('is not what only looks like one: %s', (text) => {
    expect(read(`A${text} B。\n`)).toEqual([{ text: `A${text} B。\n` }])
  })

  test('has a name of 300 characters at most', () => {
    const [most, tooLong] = [300, 301].map((length) => `【4:0†${'😀'.repeat(length)}】`) as [string, string]
    expect(read(most)).toEqual([cited(most, 0)])
    expect(read(tooLong)).toEqual([{ text: tooLong }])
    const mark = markOf(4, 0, `${'名'.repeat(400)}.txt`)
    expect(read(mark)).toEqual([cited(mark, 0)])
  })

  test('begins anew with a second bracket', () => {
    expect(read('【4:1†a【4:0†b】')).toEqual([{ text: '【4:1†a' }, cited('【4:0†b】', 6)])
  })
})

describe('while an answer comes', () => {
  test('a mark is held back from its first character to its last', () => {
    const reader = new CitationReader(sourceOf)
    const steps = [...'a 【4:0†b】 c'].map((character) => reader.push(character))
    expect(steps.map(textOf)).toEqual(['a', ' ', '', '', '', '', '', '', '【4:0†b】', ' ', 'c'])
  })

  test('other text in brackets is out as soon as it cannot be a mark any more', () => {
    const reader = new CitationReader(sourceOf)
    const steps = ['【', '公告】', '【4', '年】', '见【2024', ':', '12', '】', '[', 'a'].map((chunk) =>
      reader.push(chunk),
    )
    expect(steps.map(textOf)).toEqual(['', '【公告】', '', '【4年】', '见', '', '', '【2024:12】', '', '[a'])
  })

  test('the halves of a surrogate pair come together', () => {
    const reader = new CitationReader(sourceOf)
    expect([...'😀'.split(''), '\ud83d', 'a'].map((half) => textOf(reader.push(half)))).toEqual([
      '',
      '😀',
      '',
      '\ufffda',
    ])
    expect(reader.push('\ud83d')).toEqual([])
    expect(reader.end()).toEqual([{ text: '\ufffd' }])
  })

  test('its end brings what was held back, unless that was half a mark', () => {
    expect(read('see 【4:')).toEqual([{ text: 'see 【4:' }])
    expect(read('a[')).toEqual([{ text: 'a[' }])
    expect(read('see【4:0†no')).toEqual([{ text: 'see' }])
  })
})

const marks = ['【4:0†notes.md】', '【4:1†计划.pdf】', '【 4:2 † 😀 】', '[4:0†a b]', '【4：1†source】']
const unknown = ['【9:0†notes.md】', '【4:3†x】', '[0:0†y]', '【4:99†[4:0†z]】']
const lookalikes = [
  '【公告】',
  '【4:0】',
  '【4:0†',
  '【4',
  '【',
  '】',
  '[',
  '†',
  ':0',
  '[1]',
  '【4:0†a\n】',
  '【4:0†【',
  '',
]
const others = fc.string({ unit: 'binary', maxLength: 12 })
const plain = fc.constantFrom(' ', '. ', 'word', '😀', '中文', '\ud83d', '\ude00', '𝄞', '\n', '👩‍🚀')
const long = fc.integer({ min: 290, max: 310 }).map((length) => `【4:0†${'x𝄞'.repeat(length / 2)}】`)

const answers = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...marks) },
      { weight: 3, arbitrary: fc.constantFrom(...unknown) },
      { weight: 4, arbitrary: fc.constantFrom(...lookalikes) },
      { weight: 6, arbitrary: plain },
      { weight: 2, arbitrary: others },
      { weight: 1, arbitrary: long },
    ),
    { maxLength: 25 },
  )
  .map((parts) => parts.join(''))

/** The widths of the chunks; 1 is a single UTF-16 unit. */
const widths = fc.array(fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })), { minLength: 1, maxLength: 20 })

function cutBy(sizes: readonly number[], text: string): string[] {
  const chunks: string[] = []
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const size = sizes[turn % sizes.length] as number
    chunks.push(text.slice(at, at + size))
    at += size
  }
  return chunks
}

const inside = ' ?(\\d{1,6}) ?[:：] ?(\\d{1,6}) ?†'
const everyMark = new RegExp(`【${inside}[^【】\\r\\n]{0,300}(】|$)|\\[${inside}[^【】\\r\\n[\\]]{0,300}(\\]|$)`, 'gu')
/** What is left of a text that is there as a whole: the marks that name something, and what is none. */
const expectedOf = (text: string, ended: boolean) =>
  text.toWellFormed().replace(everyMark, (mark, n, m, close, otherN, otherM, otherClose) => {
    if (!(close || otherClose)) return ended ? '' : mark
    return sourceOf(Number(n ?? otherN), Number(m ?? otherM)) ? mark : ''
  })

describe('a thousand answers, cut at random places', () => {
  test('have the same text and annotations however they are cut', () => {
    fc.assert(
      fc.property(answers, widths, (answer, sizes) => {
        const whole = read(answer)
        expect(read(...cutBy(sizes, answer))).toEqual(whole)
        expect(read(...answer.split(''))).toEqual(whole)
        expect(textOf(whole)).toBe(expectedOf(answer, true))
      }),
      { numRuns: 1000 },
    )
  })

  test('have annotations whose slices are their texts, each after the other', () => {
    fc.assert(
      fc.property(answers, widths, (answer, sizes) => {
        const pieces = read(...cutBy(sizes, answer))
        const characters = [...textOf(pieces)]
        let end = 0
        for (const { text, start_index, end_index } of annotationsOf(pieces)) {
          expect(characters.slice(start_index, end_index).join('')).toBe(text)
          expect(start_index).toBeGreaterThanOrEqual(end)
          end = end_index
        }
        const plain = pieces.filter(({ annotation }) => !annotation)
        const bare = withoutMarks(textOf(pieces), annotationsOf(pieces))
        expect(bare.replaceAll(' ', '')).toBe(textOf(plain).replaceAll(' ', ''))
      }),
      { numRuns: 1000 },
    )
  })

  test('show no part of a mark, and hold back nothing else', () => {
    fc.assert(
      fc.property(answers, widths, (answer, sizes) => {
        const reader = new CitationReader(sourceOf)
        let [sent, shown] = ['', '']
        for (const chunk of cutBy(sizes, answer)) {
          sent += chunk
          shown += textOf(reader.push(chunk))
          const all = expectedOf(sent, false)
          expect(all.startsWith(shown)).toBe(true)
          const held = all.slice(shown.length)
          expect(held.length).toBeLessThanOrEqual(longestHeld)
          expect(held).toMatch(/^\ufffd?$|^[【[] ?\d{0,6} ?[:：]? ?\d{0,6} ?(?:†[^【】\r\n]*)?$/)
        }
        shown += textOf(reader.end())
        expect(shown).toBe(expectedOf(answer, true))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('the text of an earlier turn', () => {
  const bare = (answer: string) => {
    const pieces = read(answer)
    return withoutMarks(textOf(pieces), annotationsOf(pieces))
  }

  test('is without its marks, and without the blanks that they leave', () => {
    expect(bare('😀 Blue【4:0†a】. Red 【4:1†b】【4:2†c】, and 【4:0†a】 green 【4:0†a】')).toBe(
      '😀 Blue. Red, and green',
    )
  })

  test('keeps all else', () => {
    expect(bare('【公告】 a [1] . 【4:0】 ')).toBe('【公告】 a [1] . 【4:0】 ')
    const path: Annotation = {
      type: 'file_path',
      text: 'sandbox:/a',
      start_index: 4,
      end_index: 14,
      file_path: { file_id: 'file-1' },
    }
    expect(withoutMarks('See sandbox:/a.', [path])).toBe('See sandbox:/a.')
  })
})

describe('what the model is given to copy', () => {
  test.each(['notes.md', '【公告】2024.pdf', 'a\nb\r.md', '[4:1†evil].md', '\ud83d.md', '】'])(
    'is a mark, whatever the file is called: %s',
    (name) => {
      const mark = markOf(4, 0, name)
      expect(read(`A${mark}`)).toEqual([{ text: 'A' }, cited(mark, 1)])
    },
  )

  test('is found in no text of a document', () => {
    const text = '【4:0†a】 [4:0†a] 【 4 ： 0 † a】 【公告】 a[1:2] †'
    const harmless = withoutLookalikes(text)
    expect(annotationsOf(read(harmless))).toEqual([])
    expect(harmless).toBe('(4:0 a】 (4:0 a] ( 4 ： 0   a】 【公告】 a[1:2] †')
    fc.assert(
      fc.property(answers, (answer) => {
        expect(annotationsOf(read(withoutLookalikes(answer)))).toEqual([])
      }),
    )
  })
})
