import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CodeInput } from '../src/tools/code-input.ts'

/** All that is read of arguments that come in these pieces. */
function read(pieces: readonly string[]): string {
  const reader = new CodeInput()
  return pieces.map((piece) => reader.push(piece)).join('')
}

/** Cut at these places, wherever that is: models cut between the halves of a surrogate pair and of an escape. */
function cut(text: string, places: readonly number[]): string[] {
  const ends = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [...ends, text.length].map((end, index) => text.slice(ends[index - 1] ?? 0, end))
}

const chunksOf = (text: string, size: number) =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size))

/** As encoders write it that put nothing but ASCII into JSON. */
const ascii = (json: string) =>
  json.replace(/[^\0-\x7f]/g, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`)

const nasty = fc.constantFrom(
  ...['"', '\\', '\\"', '\\\\', '\r\n', '\n', '\t', '\0', '/', "'", '{', '}', ':', ',', 'code', '"code":"', '\\u0041'],
  ...['é', '€', '😀', '👩‍🚀', '\u2028', '\ufeff', '\x7f', 'def f(x):\n    return "\\d"', ' '],
)
const code = fc.oneof(
  fc.array(nasty, { maxLength: 40 }).map((parts) => parts.join('')),
  fc.string({ unit: 'grapheme', maxLength: 60 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
)
const places = fc.array(fc.nat(5000), { maxLength: 30 })
const scalar = fc.oneof(code, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean())
const others = fc.dictionary(
  fc.string({ maxLength: 8 }).filter((key) => key !== 'code' && key !== '__proto__'),
  fc.oneof(scalar, fc.constant(null)),
  { maxKeys: 3 },
)

describe('the code of well-formed arguments is read exactly, however they are cut', () => {
  test('by itself', () => {
    fc.assert(
      fc.property(code, places, (code, places) => {
        expect(read(cut(JSON.stringify({ code }), places))).toBe(code)
      }),
    )
  })

  test('before and after other keys, on one line or on many', () => {
    const spaces = fc.constantFrom(undefined, 1, '\t', '  ')
    fc.assert(
      fc.property(others, code, others, spaces, places, (before, code, after, space, places) => {
        const written = JSON.stringify({ ...before, code, ...after }, null, space)
        expect(read(cut(written, places))).toBe(code)
      }),
    )
  })

  test('after lists and objects', () => {
    const value = fc.jsonValue({ maxDepth: 2, stringUnit: 'grapheme' })
    fc.assert(
      fc.property(value, code, places, (given, code, places) => {
        expect(read(cut(JSON.stringify({ given, code }), places))).toBe(code)
      }),
    )
  })

  test('with all but ASCII escaped, halves of surrogate pairs one by one', () => {
    fc.assert(
      fc.property(others, code, places, (before, code, places) => {
        expect(read(cut(ascii(JSON.stringify({ ...before, code })), places))).toBe(code)
      }),
    )
    expect(read(chunksOf('{"code":"\\uD83D\\uDE00\\u00E9"}', 1))).toBe('😀é')
  })

  test('as a string alone', () => {
    fc.assert(
      fc.property(code, places, (code, places) => {
        expect(read(cut(` ${JSON.stringify(code)}\n`, places))).toBe(code)
      }),
    )
  })

  test('of 100 kB, and of a megabyte in pieces of four characters', () => {
    const line = 'print("a\\\\b", \'ü€😀\', """\r\n\t""")\n'
    const long = line.repeat(100_000 / line.length)
    expect(read([JSON.stringify({ code: long })])).toBe(long)
    const endless = line.repeat(1_000_000 / line.length)
    expect(read(chunksOf(JSON.stringify({ code: endless }), 4)) === endless).toBe(true)
    expect(read(chunksOf(ascii(JSON.stringify({ code: endless })), 4)) === endless).toBe(true)
    expect(read(chunksOf(endless, 4)) === endless).toBe(true)
  })

  test('after a long text, whether that comes at once or in pieces', () => {
    const written = JSON.stringify({ thoughts: 'I think. '.repeat(400), code: 'x = 1' })
    expect([read(chunksOf(written, 4)), read([written])]).toEqual(['x = 1', 'x = 1'])
  })

  test('in pieces none of which ends in the middle of a character', () => {
    fc.assert(
      fc.property(code, places, fc.boolean(), (code, places, isAscii) => {
        const written = JSON.stringify({ code })
        const reader = new CodeInput()
        for (const piece of cut(isAscii ? ascii(written) : written, places)) {
          expect(reader.push(piece).isWellFormed()).toBe(true)
        }
      }),
    )
  })
})

describe('what is not quite JSON', () => {
  test('is taken as code, if it does not begin like JSON', () => {
    const bare = code.filter((one) => /^\s*[^\s{"]/.test(one))
    fc.assert(
      fc.property(bare, places, (code, places) => {
        expect(read(cut(code, places))).toBe(code)
      }),
    )
    expect(read(['  x = {"code": "y"}\n', 'print(x)'])).toBe('  x = {"code": "y"}\nprint(x)')
    const documented = '"""Adds."""\nprint(1 + 1)'
    expect([read([documented]), read(chunksOf(documented, 1))]).toEqual([documented, documented])
  })

  test('has its code, if line ends and tabs in it should have been escaped', () => {
    fc.assert(
      fc.property(code, places, (code, places) => {
        const written = JSON.stringify({ code }).replace(/(?<!\\)((?:\\\\)*)\\([nrt])/g, (_, before, letter) =>
          before.concat({ n: '\n', r: '\r', t: '\t' }[letter as 'n' | 'r' | 't']),
        )
        expect(read(cut(written, places))).toBe(code)
      }),
    )
    expect(read(['{"code":"if x:\n\tprint(\'a\\nb\')\r\n"}'])).toBe("if x:\n\tprint('a\nb')\r\n")
  })

  test.each([
    ["re.findall('\\d+\\s', x)", "re.findall('\\d+\\s', x)"],
    ["print('it\\'s')", "print('it\\'s')"],
    ['\\x41 \\u12 \\uZZZZ \\N{DASH}', '\\x41 \\u12 \\uZZZZ \\N{DASH}'],
    ['a \\😀 b', 'a \\😀 b'],
    ['a \\é \\/ b', 'a \\é / b'],
  ])('keeps escapes that JSON does not know: %s', (written, code) => {
    const whole = `{"code":"${written}"}`
    expect(read([whole])).toBe(code)
    expect(read(chunksOf(whole, 1))).toBe(code)
  })

  test('has its code as far as it has come', () => {
    const written = JSON.stringify({ code: 'print("ü😀\\n")\n' })
    const whole = 'print("ü😀\\n")\n'
    for (let length = 0; length < written.length; length++) {
      expect(whole.startsWith(read([written.slice(0, length)]))).toBe(true)
      expect(whole.startsWith(read(chunksOf(written.slice(0, length), 1)))).toBe(true)
    }
  })

  test.each([
    '',
    ' \n',
    '{}',
    '{"query":"code"}',
    '{"query":"\\"code\\": \\"x\\""}',
    '{"Code":"x"}',
    '{"code":1}',
    '{"code":null}',
    '{"code":["x"]}',
    '{"inner":{"code":"x"}}',
    '{"inner":[{"code":"x"}]}',
    '{"code":""}',
    '""',
    `{"query":"${'x'.repeat(10_000)}"}`,
  ])('has no code in %s', (written) => {
    expect(read([written])).toBe('')
    expect(read(chunksOf(written, 1))).toBe('')
  })
})
