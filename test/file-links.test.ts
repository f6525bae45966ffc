import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Piece } from '../src/retrieval/cite.ts'
import { LinkReader, pathIn } from '../src/tools/file-links.ts'

const scheme = 'sandbox:/mnt/data/'

/** Files by their paths, each with an id that says its path. */
const filesOf = (...paths: string[]) => new Map(paths.map((path) => [path, `file-${path}`]))

const paths = filesOf(
  ...['x.csv', 'x.csv.gz', 'x', 'out/x.csv', 'my report.csv', 'my report (1).csv', 'plot(2).png', 'größe-été.txt'],
  ...['😀.png', '100%.txt', 'a%20b.txt', "it's.md", 'a"b.md', 'наш файл.csv', 'a#b?c&d.csv', 'x-1_2.tar.gz'],
)

/** All pieces of a text that comes so; neighbouring texts are joined. */
function read(chunks: readonly string[], files: ReadonlyMap<string, string> = paths): Piece[] {
  const reader = new LinkReader(files)
  const pieces: Piece[] = []
  for (const piece of [...chunks.flatMap((text) => reader.push({ text })), ...reader.end()]) {
    const last = pieces.at(-1)
    if (last && !last.annotation && !piece.annotation) last.text += piece.text
    else pieces.push({ ...piece })
  }
  return pieces
}
const textOf = (pieces: readonly Piece[]) => pieces.map(({ text }) => text).join('')
const annotationsOf = (pieces: readonly Piece[]) => pieces.flatMap(({ annotation }) => annotation ?? [])

/** Where the links of a text lead: the path in the answer, and the path of the file. */
const linksIn = (text: string, files: ReadonlyMap<string, string> = paths) =>
  annotationsOf(read([text], files)).map((note) =>
    note.type === 'file_path' ? [note.text.slice(scheme.length), note.file_path.file_id.slice('file-'.length)] : [],
  )

describe('a link to a file', () => {
  test('is a piece of its own, with its annotation, and the text stays as it is', () => {
    expect(read([`See [x](${scheme}x.csv), and go.`])).toEqual([
      { text: 'See [x](' },
      {
        text: `${scheme}x.csv`,
        annotation: {
          type: 'file_path',
          text: `${scheme}x.csv`,
          start_index: 8,
          end_index: 31,
          file_path: { file_id: 'file-x.csv' },
        },
      },
      { text: '), and go.' },
    ])
  })

  test('is counted in code points, before it and in it', () => {
    const [first, second] = annotationsOf(read([`😀👩‍🚀 ${scheme}😀.png é ${scheme}x.csv`]))
    expect(first).toMatchObject({ start_index: 5, end_index: 28, file_path: { file_id: 'file-😀.png' } })
    expect(second).toMatchObject({ start_index: 31, end_index: 54 })
  })

  test.each([...paths.keys()])('is found for a file by the name of %s, as it is and percent-encoded', (path) => {
    for (const written of [path, encodeURI(path)]) {
      expect(linksIn(`[name](${scheme}${written})`)).toEqual([[written, path]])
      expect(linksIn(`${scheme}${written}`)).toEqual([[written, path]])
      expect(linksIn(`"${scheme}${written}".`)).toEqual([[written, path]])
      expect(linksIn(`${scheme}${written}\n${scheme}${written} again`)).toHaveLength(2)
    }
  })

  test.each([
    ['my%20report%20%281%29.csv', 'my report (1).csv'],
    ['a%23b%3Fc%26d.csv', 'a#b?c&d.csv'],
    ['it%27s.md', "it's.md"],
  ])('is found if more of its name is percent-encoded than must be: %s', (written, path) => {
    expect(linksIn(`[name](${scheme}${written})`)).toEqual([[written, path]])
  })

  test('goes to the longest name', () => {
    expect(linksIn(`${scheme}x.csv.gz ${scheme}x.csv ${scheme}x`)).toEqual([
      ['x.csv.gz', 'x.csv.gz'],
      ['x.csv', 'x.csv'],
      ['x', 'x'],
    ])
    expect(linksIn(`[a](${scheme}my report (1).csv)`)).toEqual([['my report (1).csv', 'my report (1).csv']])
    expect(linksIn(`[a](${scheme}x) (1).csv`)).toEqual([['x', 'x']])
  })

  test.each([
    ['x.csv.zip', 'x.csv-old', 'x.csv_2', 'x.csvx', 'x.csv2', 'x.csvé', 'x.csv.é'],
    ['X.csv', 'x.cs', 'data.csv', '../x.csv', '/x.csv', './x.csv', 'mnt/data/x.csv', ''],
  ])('is none if the name goes on, or is that of no file: %s …', (...written) => {
    const onlyX = filesOf('x.csv', 'out/x.csv')
    for (const name of written) expect([name, linksIn(`[a](${scheme}${name})`, onlyX)]).toEqual([name, []])
  })

  test.each([
    ['.'],
    ['. Then'],
    [','],
    [')'],
    [') and'],
    ['"'],
    ['`'],
    ['*'],
    ['\n'],
    [' '],
    ['…'],
    ['-'],
    ['–'],
    [';'],
    ['.)'],
  ])('ends before %j', (rest) => {
    expect(linksIn(`${scheme}x.csv${rest}`, filesOf('x.csv'))).toEqual([['x.csv', 'x.csv']])
  })

  test.each(['/mnt/data/x.csv', 'sandbox:/mnt/x.csv', 'sandbox:/mnt/data', 'Sandbox:/mnt/data/x.csv', 'x.csv'])(
    'is not what only looks like one: %s',
    (text) => expect(read([text])).toEqual([{ text }]),
  )

  test('follows a beginning of another at once', () => {
    const text = `sandbox:/mnt/sandbox:/mnt/data/sandbox:/mnt/data/x.csv`
    const expected = read([text])
    expect(annotationsOf(expected)).toMatchObject([{ start_index: 31, end_index: 54 }])
    expect(read([...text])).toEqual(expected)
  })
})

describe('however a text is cut', () => {
  const part = fc.oneof(
    fc.constantFrom(...paths.keys()).map((path) => scheme + path),
    fc.constantFrom(...paths.keys()).map((path) => scheme + encodeURI(path)),
    fc.constantFrom(
      'sandbox:',
      'sandbox:/mnt/',
      scheme,
      `${scheme}unknown.csv`,
      's',
      'x.csv',
      ').',
      '.',
      ' ',
      '😀',
      '-1',
    ),
    fc.string({ unit: 'grapheme', maxLength: 6 }),
  )
  const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''))
  const places = fc.array(fc.nat(400), { maxLength: 20 })
  const cut = (text: string, at: readonly number[]) => {
    const ends = [...new Set(at.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
    return [...ends, text.length].map((end, index) => text.slice(ends[index - 1] ?? 0, end))
  }

  test('it has the same pieces, and is never changed', () => {
    fc.assert(
      fc.property(text, places, (text, places) => {
        const whole = read([text])
        expect(textOf(whole)).toBe(text)
        expect(read(cut(text, places))).toEqual(whole)
        expect(read([...text])).toEqual(whole)
      }),
      { numRuns: 500 },
    )
  })

  test('each annotation is about exactly its text', () => {
    fc.assert(
      fc.property(text, places, (text, places) => {
        for (const { text: link, start_index, end_index } of annotationsOf(read(cut(text, places)))) {
          expect([...text].slice(start_index, end_index).join('')).toBe(link)
        }
      }),
    )
  })

  test('no piece ends in the middle of a character', () => {
    fc.assert(
      fc.property(text, places, (text, places) => {
        const reader = new LinkReader(paths)
        const pieces = [...cut(text, places).flatMap((text) => reader.push({ text })), ...reader.end()]
        for (const piece of pieces) expect(piece.text.isWellFormed()).toBe(true)
      }),
    )
  })

  test('a name that goes on with a letter of two units is that of no file', () => {
    for (const text of [`${scheme}x.csv𝒳`, `${scheme}x.csv-𝒳`]) {
      expect(read([text])).toEqual([{ text }])
      expect(read(text.split(''))).toEqual([{ text }])
    }
  })

  test('nothing is held back that can be no part of a link', () => {
    const reader = new LinkReader(filesOf('x.csv'))
    expect(textOf(reader.push({ text: 'See the sand' }))).toBe('See the ')
    expect(textOf(reader.push({ text: 'y beach: sandbox:/mnt/data' }))).toBe('sandy beach: ')
    expect(textOf(reader.push({ text: '/y' }))).toBe(`${scheme}y`)
    expect(textOf(reader.push({ text: `${scheme}x.csv` }))).toBe('')
    expect(textOf(reader.push({ text: ')' }))).toBe('')
    expect(textOf(reader.push({ text: '. No' }))).toBe(`${scheme}x.csv). No`)
  })
})

describe('marks before links', () => {
  const mark = { type: 'file_citation' as const, file_citation: { file_id: 'file-1' } }
  const cited = (start_index: number): Piece => ({
    text: '【4:0†a】',
    annotation: { ...mark, text: '【4:0†a】', start_index, end_index: start_index + 7 },
  })

  test('pass as they are, and what was held back comes before them', () => {
    const reader = new LinkReader(paths)
    const pieces = ['😀 sandbox:', cited(10), ` ${scheme}x`, '.csv', cited(41), '.'].flatMap((piece) =>
      reader.push(typeof piece === 'string' ? { text: piece } : piece),
    )
    const all = [...pieces, ...reader.end()]
    expect(textOf(all)).toBe(`😀 sandbox:【4:0†a】 ${scheme}x.csv【4:0†a】.`)
    expect(annotationsOf(all).map(({ type, start_index, end_index }) => [type, start_index, end_index])).toEqual([
      ['file_citation', 10, 17],
      ['file_path', 18, 41],
      ['file_citation', 41, 48],
    ])
  })
})

test('the path in a link is the path of the file, for links of both forms', () => {
  for (const path of paths.keys()) {
    expect(pathIn(scheme + encodeURI(path))).toBe(path)
    if (path !== 'a%20b.txt') expect(pathIn(scheme + path)).toBe(path)
  }
})
