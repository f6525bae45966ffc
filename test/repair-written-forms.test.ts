import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LiteralReader } from '../src/completer/answer/literal.ts'
import { ThoughtFilter } from '../src/completer/answer/thinking.ts'
import { WrittenCallReader } from '../src/completer/answer/written-calls.ts'
import { forms } from '../src/completer/answer/written-forms.ts'
import { inPieces, readBy, request } from './harness/answers.ts'
import { families, type Wanted } from './harness/written-calls.ts'

const rome: Wanted = ['lookup', 'Rome']
const oslo: Wanted = ['lookup', 'Oslo']
const called = ([name, q]: Wanted) => ({ name, arguments: JSON.stringify({ q }) })

/** A request with one function of these parameters. */
const asking = (properties: Record<string, unknown>, required?: string[]) => ({
  ...request,
  tools: [
    { type: 'function' as const, function: { name: 'lookup', parameters: { type: 'object', properties, required } } },
  ],
})
const argumentsOf = async (text: string, properties: Record<string, unknown>) => {
  const { calls } = await readBy([text], 'stop', asking(properties))
  return calls.map(({ arguments: given }) => JSON.parse(given))
}

describe.each(families)('$family', ({ write, isFirst, isLast }) => {
  const before = isFirst ? '' : 'Is 1 < 2? I look it `up`.\n'
  const after = isLast ? '' : '\nOne [moment](a).'

  test('calls are the same wherever the answer is cut, and so is the text around them', async () => {
    const text = before + write(rome, oslo) + after
    await fc.assert(
      fc.asyncProperty(inPieces(text), async (pieces) => {
        expect(await readBy(pieces)).toMatchObject({
          text: before + after,
          calls: [rome, oslo].map(called),
          finish_reason: 'tool_calls',
        })
      }),
      { numRuns: 60, examples: [[[text]], [[...text]]] },
    )
  })

  test('a call of an unknown function stays text, wherever it is cut', async () => {
    const unknown: Wanted = ['delete', 'Rome']
    const text = before + write(unknown) + after
    await fc.assert(
      fc.asyncProperty(inPieces(text), async (pieces) => {
        expect(await readBy(pieces)).toMatchObject({ text, calls: [] })
      }),
      { numRuns: 30, examples: [[[text]], [[...text]]] },
    )
  })

  test('of one known call and one unknown in one mark, both stay text', async () => {
    const unknown: Wanted = ['delete', 'Rome']
    const text = before + write(rome, unknown) + after
    const found = await readBy([text])
    const isApart = write(rome, unknown) === write(rome) + write(unknown)
    expect(found).toMatchObject(
      isApart ? { text: before + write(unknown) + after, calls: [called(rome)] } : { text, calls: [] },
    )
    expect(await readBy([...text])).toEqual(found)
  })

  test('what the model had no tokens to finish stays text', async () => {
    const text = before + write(rome)
    for (let length = before.length; length < text.length - 1; length++) {
      expect(await readBy([text.slice(0, length)], 'length')).toMatchObject({ text: text.slice(0, length), calls: [] })
    }
  })

  test('what stands in quotes or in code is talk', async () => {
    const text = `It is written \`${write(rome)}\` and "${write(oslo)}".`
    expect(await readBy([text])).toMatchObject({ text, calls: [] })
    expect(await readBy([...text])).toMatchObject({ text, calls: [] })
  })
})

describe('talk of calls stays text', () => {
  test.each([
    'lookup(q="Rome") is how to look Rome up.',
    '```python\n[lookup(q="Rome")]\n```',
    '[lookup](https://example.com) is a link.',
    '[lookup(q="Rome")] is a list of calls.',
    '[lookup(q=city)]',
    '[lookup("Rome")]',
    '[lookup(q="Rome"]',
    '```tool_code\ncity = lookup(q="Rome")\n```',
    '```tool_code\nprint(print(lookup(q="Rome")))\n```',
    'functools[1, 2] and functools.cache',
    'Action: lookup, then wait.',
    'call:lookup{q:1}',
    'to=functions.lookup is the recipient.',
    'Its channels are <|channel|>analysis<|message|> and <|channel|>final<|message|>.',
    'A header: <|channel|>commentary to=functions.lookup and no message',
    '<tool_call>lookup is the name</tool_call>',
    '<tool_call>lookup\n<arg_key>q</arg_key>Rome</tool_call>',
    '<minimax:tool_call>nothing</minimax:tool_call>',
    '<minimax:tool_call><invoke name="lookup">Rome</invoke></minimax:tool_call>',
    '<|tool_calls_section_begin|><|tool_calls_section_end|>',
    '<|tool_calls_section_begin|><|tool_call_begin|>functions.lookup<|tool_call_end|><|tool_calls_section_end|>',
    '<start_function_call>call:lookup{q:Rome}<end_function_call>',
    '<|tool_call>call:lookup{q:<|"|>Rome<tool_call|>',
  ])('%s', async (text) => {
    expect(await readBy([text])).toMatchObject({ text, calls: [] })
    expect(await readBy([...text])).toMatchObject({ text, calls: [] })
  })

  test('a name alone, of a function that needs parameters (GLM-4.7)', async () => {
    const text = '<tool_call>lookup</tool_call>'
    expect(await readBy([text], 'stop', asking({ q: { type: 'string' } }, ['q']))).toMatchObject({ text, calls: [] })
    expect((await readBy([text])).calls).toEqual([{ name: 'lookup', arguments: '{}' }])
  })
})

describe('text passes at once', () => {
  test.each(forms.map(({ open }) => open))('but for what may become %s and a call', (open) => {
    const begun = open.slice(0, -1)
    const reader = new WrittenCallReader(new Map([['lookup', { name: 'lookup' }]]))
    const said = ['Well, ', begun, 'x ', open, 'zz', ' yes'].map((piece) => reader.push(piece))
    expect(said).toEqual(['Well, ', '', `${begun}x `, '', `${open}zz`, ' yes'])
  })
})

describe('values', () => {
  const properties = {
    q: { type: 'string' },
    n: { type: 'integer' },
    is: { type: 'boolean' },
    list: { type: 'array' },
    maybe: { anyOf: [{ type: 'string' }, { type: 'null' }] },
    none: { type: ['string', 'null'] },
  }
  const values = {
    q: '12',
    n: '12',
    is: 'True',
    list: "['a']",
    maybe: '7',
    none: 'null',
    other: '{"a": 1}',
    last: 'b<',
  }
  const typed = { q: '12', n: 12, is: true, list: ['a'], maybe: '7', none: null, other: { a: 1 }, last: 'b<' }
  const written = (one: (key: string, value: string) => string) =>
    Object.entries(values)
      .map(([key, value]) => one(key, value))
      .join('')

  test.each([
    [
      'GLM',
      `<tool_call>lookup${written((k, v) => `<arg_key>${k}</arg_key>\n<arg_value>${v}</arg_value>\n`)}</tool_call>`,
    ],
    [
      'MiniMax M2',
      `<minimax:tool_call><invoke name="lookup">${written((k, v) => `<parameter name="${k}">${v}</parameter>`)}</invoke></minimax:tool_call>`,
    ],
    [
      'Seed-OSS',
      `<seed:tool_call><function=lookup>${written((k, v) => `<parameter=${k}>${v}</parameter>`)}</function></seed:tool_call>`,
    ],
  ])('in tags get the types of their schema (%s)', async (_, text) => {
    expect(await argumentsOf(text, properties)).toEqual([typed])
  })

  test('that DeepSeek V3.2 calls strings are strings', async () => {
    const [given] = await argumentsOf(
      '<｜DSML｜function_calls><｜DSML｜invoke name="lookup"><｜DSML｜parameter name="a" string="true">1</｜DSML｜parameter><｜DSML｜parameter name="b" string="false">1</｜DSML｜parameter></｜DSML｜invoke></｜DSML｜function_calls>',
      {},
    )
    expect(given).toEqual({ a: '1', b: 1 })
  })

  test('of Python are values of JSON', async () => {
    const [given] = await argumentsOf(
      `[lookup(a='it\\'s "so"', b=[1, -2.5, (True, None),], c={'x': false, "y": null}, d="""a\nb""", e="\\u00e9\\d\\n")]`,
      {},
    )
    expect(given).toEqual({
      ...{ a: 'it\'s "so"', b: [1, -2.5, [true, null]], c: { x: false, y: null }, d: 'a\nb', e: 'é\\d\n' },
    })
  })

  test('of Gemma 4 may be of any kind', async () => {
    const [given] = await argumentsOf(
      '<|tool_call>call:lookup{a:<|"|>{"b": \'c\'}\\n<|"|>,n:-7,is:true,none:null,list:[<|"|>x<|"|>,{y:1.5e3}],o:{}}<tool_call|>',
      {},
    )
    expect(given).toEqual({ a: '{"b": \'c\'}\\n', n: -7, is: true, none: null, list: ['x', { y: 1500 }], o: {} })
  })

  test('that are JSON are the same as literals', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), fc.nat(2), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        expect(new LiteralReader(text).only()).toStrictEqual(JSON.parse(text))
      }),
      { examples: [[JSON.parse('{"__proto__": {"a": [null, -0.5e-7]}, "": "\\ud800"}'), 1]] },
    )
  })
})

describe('nothing takes long, whatever a model writes', () => {
  const names = Array.from({ length: 15 }, (_, n) => `lookup_${n}`)
  const functions = new Map([...names, 'lookup'].map((name) => [name, { name }]))
  const long = (text: string, size: number) => text.repeat(Math.ceil(size / text.length))

  const msToRead = (pieces: readonly string[]) => {
    const thoughts = new ThoughtFilter(false)
    const calls = new WrittenCallReader(functions)
    const started = performance.now()
    for (const piece of pieces) calls.push(thoughts.push(piece))
    calls.push(thoughts.end(false))
    calls.end(false)
    return performance.now() - started
  }

  test('each mark and what may follow it, again and again', () => {
    const units = forms.flatMap(({ open, close = '', writings }) => {
      const begun = writings.flatMap(({ begins }) => begins).map((beginning) => open + beginning.replace('*', 'lookup'))
      return [open + close, ...begun, ...begun.map((one) => one + close)]
    })
    const slow = units.filter((unit) => {
      const text = long(unit, 100_000)
      return msToRead([text]) > 1000 || msToRead(text.match(/.{1,40}/gsu) ?? []) > 1000
    })
    expect(slow).toEqual([])
  }, 60_000)

  test.each([
    ['<tool_call>lookup', '<arg_key>q</arg_key>', '</tool_call>'],
    ['<tool_call>lookup', '<arg_key>q</arg_key><arg_value>', '</tool_call>'],
    ['<tool_call>lookup', '<arg_key>', '</tool_call>'],
    ['<tool_call>{', ' ', '</tool_call>'],
    ['<minimax:tool_call><invoke name="lookup">', '<parameter name="q">', '</minimax:tool_call>'],
    ['<minimax:tool_call><invoke name="lookup"><parameter name="', '" ', '</minimax:tool_call>'],
    ['<minimax:tool_call>', '<invoke name="lookup">', '</minimax:tool_call>'],
    ['<|python_start|>[lookup(q=', '[', '<|python_end|>'],
    ['<|python_start|>[lookup(q="', '\\"', '<|python_end|>'],
    ['<|python_start|>[', 'lookup(q="', '<|python_end|>'],
    ['<|python_start|>[lookup(q=[', '"",', '<|python_end|>'],
    ['<|python_start|>[lookup(q=', ' ', '<|python_end|>'],
    ['<|python_start|>', 'print(', '<|python_end|>'],
    ['<|python_start|>', 'lookup(),', '<|python_end|>'],
    ['[lookup(q=', '{"a":', ')]'],
    ['<|tool_call>call:lookup{q:', '<|"|>', '}<tool_call|>'],
    ['<|channel|>', 'to=functions.lookup ', '<|message|>{}'],
    ['<|channel|>commentary to=functions.lookup<|message|>', '<|message|>', '{}'],
    ['', ' \n', ''],
    ['{', ' ', ''],
    ['functools', '[', ''],
    ['', '`<tool_call>`', ''],
  ])('%s %j %s', (before, unit, after) => {
    const text = before + long(unit, 400_000) + after
    expect(msToRead([text])).toBeLessThan(2000)
    expect(msToRead(text.match(/.{1,8}/gsu) ?? [])).toBeLessThan(2000)
  })
})
