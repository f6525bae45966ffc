import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ArgumentsReader } from '../src/completer/answer/arguments.ts'
import { JsonObjectReader, parsedObject } from '../src/completer/answer/json-object.ts'
import { ThoughtFilter } from '../src/completer/answer/thinking.ts'
import { WrittenCallReader } from '../src/completer/answer/written-calls.ts'
import { inPieces, readBy } from './harness/answers.ts'
import { lookupTool } from './harness/engine.ts'

const functions = new Map([['lookup', lookupTool.function]])
const call = '{"name": "lookup", "arguments": {"q":"Rome"}}'

describe('the JSON of an object, as it comes', () => {
  const json = fc
    .dictionary(fc.string(), fc.jsonValue({ noUnicodeString: false }))
    .chain((value) => fc.nat(3).map((indent) => JSON.stringify(value, null, indent)))

  test('is known for what it is', () => {
    const character = fc.constantFrom(...'{}[]",:\\nu1-.e0 \n\ttrufalse')
    const text = fc.oneof(
      json,
      fc.string({ unit: character, maxLength: 12 }).map((inner) => `{${inner}}`),
    )
    fc.assert(
      fc.property(text, (given) => {
        const reader = new JsonObjectReader()
        reader.push(given)
        expect(reader.isComplete && !reader.isBroken).toBe(parsedObject(given) !== undefined)
      }),
      { numRuns: 2000 },
    )
  })

  test('goes out as it comes, and to its last character', () => {
    const cut = json.chain((text) => inPieces(text).map((pieces) => ({ text, pieces })))
    fc.assert(
      fc.property(cut, ({ text, pieces }) => {
        const reader = new ArgumentsReader()
        expect(pieces.map((piece) => reader.push(piece)).join('')).toBe(text)
        expect(reader.end(false)).toBe('')
      }),
    )
  })

  test('is repaired in the same way wherever it was cut', () => {
    const broken = fc.constantFrom(
      ...["{'q': 'it\\'s', \"n\": [True, None,],}", '```json\n{"q": "a\nb"}\n```', '{"q": "say "hi" now", "n": 1}'],
      ...['{"q":"Rome"}{"q":"Rome"}', '{"q":{"a":[1,{"b":"c"}', '{"q":"Ro', '{"a":"x, "b":"y"}', '{"q":"\\d+\\u00e9"}'],
    )
    const cut = broken.chain((text) => inPieces(text).map((pieces) => ({ text, pieces })))
    const read = (pieces: readonly string[]) => {
      const reader = new ArgumentsReader()
      return pieces.map((piece) => reader.push(piece)).join('') + reader.end(false)
    }
    fc.assert(
      fc.property(cut, ({ text, pieces }) => {
        expect(read(pieces)).toBe(read([text]))
      }),
    )
  })
})

describe('an answer is the same wherever it was cut', () => {
  const texts = [
    '<think>Is 1 < 2? </thin> Yes.</think>\n\nHello <b>you</b>.',
    '<thinking>\n</thinking>[a](b) <tool_call>',
    `Wait.\n<tool_call>\n${call}\n</tool_call>\n<tool_call>${call.replace('Rome', 'Oslo')}</tool_call> Done <too`,
    `<tool_call>{"name": "other", "arguments": {}}</tool_call> <function=lookup>{"q":"Rome"}</function>`,
    `\`\`\`json\n${call}\n\`\`\``,
    `{"name": "lookup", "kind": "verb"}`,
    `[TOOL_CALLS]lookup[ARGS]{"q":"Rome"}`,
    `A list: [TOOL_CALLS] [TOOL_CALLS][${call}]`,
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>lookup<｜tool▁sep｜>{"q":"Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  ]

  test.each(texts)('%s', async (text) => {
    const expected = await readBy([text])
    await fc.assert(
      fc.asyncProperty(inPieces(text), async (pieces) => {
        expect(await readBy(pieces)).toEqual(expected)
      }),
      { numRuns: 200 },
    )
  })
})

describe('text passes at once', () => {
  const words = fc.array(fc.constantFrom('a', ' ', '<', '[', '<tool', '<th', 'think>', '{', '"', '\n', '`', 'é'))

  test('but for what may become a tag, and none of it is lost', () => {
    fc.assert(
      fc.property(words, (rest) => {
        const thoughts = new ThoughtFilter(false)
        const calls = new WrittenCallReader(functions)
        const pieces = ['Well', ...rest]
        let sent = ''
        let given = ''
        for (const piece of pieces) {
          given += piece
          sent += calls.push(thoughts.push(piece))
          expect(given.startsWith(sent)).toBe(true)
          expect(given.length - sent.length).toBeLessThan('<｜tool▁calls▁begin｜>'.length)
        }
        expect(sent + calls.push(thoughts.end(false)) + calls.end(false)).toBe(given)
      }),
    )
  })
})

describe('nothing takes long, whatever a model writes', () => {
  const long = (text: string) => text.repeat(Math.ceil(200_000 / text.length))
  test.each([
    ['openings', long('<tool_call>{')],
    ['openings and ends', long('<tool_call>{</tool_call>')],
    ['calls', long(`<tool_call>${call}</tool_call>`)],
    ['openings of parameters', `<function=lookup>${long('<parameter=q>')}</function>`],
    ['blanks', `<|python_tag|>{${long(' ')}x`],
    ['braces', `<|python_tag|>{"a":"${long('}')}`],
    ['brackets', `[TOOL_CALLS]${long('[')}`],
    ['objects', `<|python_tag|>${long('{"a":1};')}`],
    ['thoughts', long('<think></think>')],
    ['thoughts that nobody ends', `<think>${long('</thin')}`],
    ['less-than signs', long('<')],
    ['fences', long('```')],
  ])('%s', async (_, text) => {
    for (const pieces of [[text], text.match(/.{1,400}/gsu) ?? []]) {
      const started = performance.now()
      await readBy(pieces)
      expect(performance.now() - started).toBeLessThan(2000)
    }
  })

  test.each([
    ['quotes', `{"a": "${long('x "y" ')}"}`],
    ['single quotes', `{${long("'a':'b',")}}`],
    ['open objects', long('{"a":')],
    ['the same again and again', long('{"q":"Rome"}')],
    ['backslashes', `{"a":"${long('\\')}"}`],
    ['quotes that nothing closes', `{a:${"'a\n".repeat(8000)}}`],
    ['escaped single quotes', `{'a':'${")\\'\n".repeat(7500)}}`],
  ])('%s in arguments', (_, text) => {
    for (const pieces of [[text], text.match(/.{1,40}/gsu) ?? []]) {
      const reader = new ArgumentsReader()
      const started = performance.now()
      const sent = pieces.map((piece) => reader.push(piece)).join('') + reader.end(false)
      expect(performance.now() - started).toBeLessThan(2000)
      expect(sent.length).toBeGreaterThan(0)
    }
  })
})
