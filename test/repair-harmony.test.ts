import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HarmonyReader } from '../src/completer/answer/harmony.ts'
import { inPieces, readBy, request } from './harness/answers.ts'

const rome = { name: 'lookup', arguments: '{"q":"Rome"}' }

describe('gpt-oss', () => {
  const thought = '<|channel|>analysis<|message|>Is it <b>so</b>?<|end|>'
  const call = '<|channel|>commentary to=functions.lookup <|constrain|>json<|message|>{"q":"Rome"}'

  test.each([
    ['an answer', '<|channel|>final<|message|>Yes, <b>so</b>.<|return|>', 'Yes, <b>so</b>.'],
    ['a thought and an answer', `${thought}<|start|>assistant<|channel|>final<|message|>Yes.`, 'Yes.'],
    ['a thought without an end', `${thought.slice(0, -7)}<|start|>assistant<|channel|>final<|message|>Yes.`, 'Yes.'],
    [
      'an answer that is JSON',
      `${thought}<|start|>assistant<|channel|>final <|constrain|>json<|message|>{"a":1}`,
      '{"a":1}',
    ],
    [
      'a thought, and marks of no message',
      `${thought}<|start|>assistant${'a'.repeat(400)}`,
      `<|start|>assistant${'a'.repeat(400)}`,
    ],
    [
      'a channel said twice in a thought',
      '<|channel|>commentary to=assistant<|channel|>analysis<|message|>Hm.<|end|>Yes.',
      'Yes.',
    ],
    ['a channel said twice', '<|channel|>commentary to=assistant<|channel|>final<|message|>Yes.', 'Yes.'],
    ['a thought alone', thought.slice(0, -3), ''],
    ['two thoughts', `${thought}<|start|>assistant${thought}<|start|>assistant<|channel|>final<|message|>Yes.`, 'Yes.'],
    ['text after an end', `${thought}Yes.<|return|>`, 'Yes.'],
    ['a header that never ends', `<|channel|>${'a'.repeat(400)}`, `<|channel|>${'a'.repeat(400)}`],
    ['the beginning of a header', '<|channel|>fin', '<|channel|>fin'],
    ['marks further on', 'Yes. <|channel|>final<|message|>No.', 'Yes. <|channel|>final<|message|>No.'],
    [
      'a call of a function that the request did not have',
      call.replace('lookup', 'delete'),
      call.replace('lookup', 'delete'),
    ],
  ])('%s', async (_, text, said) => {
    await fc.assert(
      fc.asyncProperty(inPieces(text), async (pieces) => {
        expect(await readBy(pieces)).toMatchObject({ text: said, calls: [] })
      }),
      { numRuns: 60, examples: [[[text]], [[...text]]] },
    )
  })

  test.each([
    ['a call', call, ''],
    [
      'a call whose prompt has had its beginning',
      ` to=functions.lookup${call.replace(' to=functions.lookup', '')}`,
      '',
    ],
    ['a thought and a call', `${thought}<|start|>assistant${call}<|call|>`, ''],
    [
      'words before a call',
      `${thought}<|start|>assistant<|channel|>commentary<|message|>I look.<|end|><|start|>assistant${call}`,
      'I look.',
    ],
  ])('%s', async (_, text, said) => {
    await fc.assert(
      fc.asyncProperty(inPieces(text), async (pieces) => {
        expect(await readBy(pieces)).toMatchObject({ text: said, calls: [rome] })
      }),
      { numRuns: 60, examples: [[[text]], [[...text]]] },
    )
  })

  test('without tools, a call stays text', async () => {
    expect(await readBy([thought + call], 'stop', { ...request, tools: [] })).toMatchObject({ text: call, calls: [] })
  })

  test('an answer goes out as it comes', () => {
    const reader = new HarmonyReader()
    const pieces = [thought, '<|start|>assistant<|channel|>final<|message|>', 'One', ' < two', ' <|', 'a<', '|return|>']
    expect(pieces.map((piece) => reader.push(piece))).toEqual(['', '', 'One', ' < two', ' ', '<|a', ''])
    expect(reader.thought).toBe('Is it <b>so</b>?')
  })

  test.each([
    ['ends that are none', '<|channel|>analysis<|message|>', '<|start|>assistan'],
    ['messages', '', '<|channel|>analysis<|message|><|end|>'],
    ['beginnings of messages', '<|channel|>analysis<|message|>', '<|start|>assistant'],
    ['blanks', '', ' \n'],
    ['less-than signs', '<|channel|>final<|message|>', '<|'],
    ['headers', '<|channel|>', 'to=functions.lookup '],
  ])('takes no long time, whatever it is: %s', (_, before, unit) => {
    const text = before + unit.repeat(400_000 / unit.length)
    for (const pieces of [[text], text.match(/.{1,8}/gsu) ?? []]) {
      const reader = new HarmonyReader()
      const started = performance.now()
      const said = pieces.map((piece) => reader.push(piece)).join('') + reader.end()
      expect(performance.now() - started).toBeLessThan(2000)
      expect(said.length + reader.thought.length).toBeLessThanOrEqual(text.length)
    }
  })
})
