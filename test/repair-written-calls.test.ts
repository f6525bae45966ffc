import { describe, expect, test } from 'vitest'
import { answeredBy, chunk, streaming, whole } from './harness/answers.ts'
import { lookupTool } from './harness/engine.ts'
import { families, spoken } from './harness/written-calls.ts'

const rome = { name: 'lookup', arguments: '{"q":"Rome"}' }
const oslo = { name: 'lookup', arguments: '{"q":"Oslo"}' }

/** A text as a model says it, three characters at a time. */
const saying = (text: string, reason = 'stop') =>
  streaming(...(text.match(/.{1,3}/gsu) ?? []).map((content) => chunk({ content })), chunk({}, reason))

describe('a call that is written into the answer is a call', () => {
  test.each<[string, string]>([
    ['Hermes, Qwen 2.5', `<tool_call>\n${spoken('lookup', 'Rome')}\n</tool_call>`],
    ['Hermes with a literal of Python', "<tool_call>\n{'name': 'lookup', 'arguments': {\"q\":\"Rome\"}}\n</tool_call>"],
    ['Hermes whose end was a stop token', `<tool_call>\n${spoken('lookup', 'Rome')}\n`],
    ['Qwen3-Coder', '<tool_call>\n<function=lookup>\n<parameter=q>\nRome\n</parameter>\n</function>\n</tool_call>'],
    ['Qwen3-Coder without the outer tag', '<function=lookup>\n<parameter=q>\nRome\n</parameter>\n</function>'],
    ['Llama 3.1, a function tag', '<function=lookup>{"q":"Rome"}</function>'],
    ['Llama 3.1, a python tag', `<|python_tag|>${spoken('lookup', 'Rome', 'parameters')}<|eom_id|>`],
    ['Llama 3.2, only the JSON', spoken('lookup', 'Rome', 'parameters')],
    [
      'Llama 3.1, only the JSON, with a type',
      `{"type": "function", ${spoken('lookup', 'Rome', 'parameters').slice(1)}`,
    ],
    ['Gemma, the JSON in a code fence', `\`\`\`json\n${spoken('lookup', 'Rome')}\n\`\`\``],
    ['a small model, the JSON in a list', `[${spoken('lookup', 'Rome')}]`],
    ['a small model, as OpenAI has it', `{"function": ${spoken('lookup', 'Rome')}}`],
    ['Mistral 7B', `[TOOL_CALLS] [${spoken('lookup', 'Rome')}]</s>`],
    ['Mistral Small 3.2', '[TOOL_CALLS]lookup[ARGS]{"q":"Rome"}'],
    [
      'DeepSeek V3',
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>lookup\n```json\n{"q":"Rome"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    ],
    [
      'DeepSeek V3.1',
      '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>lookup<｜tool▁sep｜>{"q":"Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    ],
    ...families.map<[string, string]>(({ family, write }) => [family, write(['lookup', 'Rome'])]),
  ])('%s', async (_, text) => {
    const { run, calls, messages } = await answeredBy(saying(text))
    expect(calls).toEqual([rome])
    expect(messages).toEqual([])
    expect(run.status).toBe('requires_action')
  })

  test.each([
    [
      'Hermes',
      `<tool_call>${spoken('lookup', 'Rome')}</tool_call>\n<tool_call>${spoken('lookup', 'Oslo')}</tool_call>`,
    ],
    ['Llama 3.1', `<|python_tag|>${spoken('lookup', 'Rome')}; ${spoken('lookup', 'Oslo')}`],
    ['Llama 3.2', `${spoken('lookup', 'Rome')}\n${spoken('lookup', 'Oslo')}`],
    ['Mistral 7B', `[TOOL_CALLS][${spoken('lookup', 'Rome')}, ${spoken('lookup', 'Oslo')}]`],
    ['Mistral Small 3.2', '[TOOL_CALLS]lookup[ARGS]{"q":"Rome"}[TOOL_CALLS]lookup[ARGS]{"q":"Oslo"}'],
    [
      'DeepSeek V3.1',
      `<｜tool▁calls▁begin｜>${['Rome', 'Oslo'].map((q) => `<｜tool▁call▁begin｜>lookup<｜tool▁sep｜>{"q":"${q}"}<｜tool▁call▁end｜>`).join('\n')}<｜tool▁calls▁end｜>`,
    ],
  ])('and so are two of them (%s)', async (_, text) => {
    const { calls, messages } = await answeredBy(saying(text))
    expect(calls).toEqual([rome, oslo])
    expect(messages).toEqual([])
  })

  test('the text around it stays text, in a message before the calls', async () => {
    const text = `I look it up.\n<tool_call>${spoken('lookup', 'Rome')}</tool_call>\nOne moment.`
    const { texts, calls, steps } = await answeredBy(saying(text))
    expect(texts).toEqual(['I look it up.\n\nOne moment.'])
    expect(calls).toEqual([rome])
    expect(steps.map(({ type }) => type)).toEqual(['message_creation', 'tool_calls'])
  })

  test('after a thought', async () => {
    const { texts, calls } = await answeredBy(
      saying(`<think>I could <tool_call> now.</think>\n\n<tool_call>${spoken('lookup', 'Rome')}</tool_call>`),
    )
    expect([texts, calls]).toEqual([[], [rome]])
  })

  test('parameters in tags get the types of their schema', async () => {
    const properties = { q: { type: 'string' }, n: { type: 'integer' }, list: { type: 'array' } }
    const tool = { type: 'function' as const, function: { name: 'lookup', parameters: { type: 'object', properties } } }
    const values = { q: '12', n: '12', list: '["a"]', other: 'so <b>so</b>' }
    const tags = Object.entries(values).map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`)
    const { calls } = await answeredBy(saying(`<function=lookup>\n${tags.join('')}</function>`), { tools: [tool] })
    expect(JSON.parse(calls[0]?.arguments ?? '')).toEqual({ q: '12', n: 12, list: ['a'], other: 'so <b>so</b>' })
  })

  test('in an answer without a stream (llama.cpp without --jinja)', async () => {
    const message = { role: 'assistant', content: `<tool_call>\n${spoken('lookup', 'Rome')}\n</tool_call>` }
    const body = { object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] }
    expect((await answeredBy(whole(body))).calls).toEqual([rome])
  })

  test.each([
    ['as it was written', rome.arguments],
    ['with the blanks of Python', '{"q": "Rome"}'],
  ])('that the server has found too is one call, %s', async (_, found) => {
    const { calls } = await answeredBy(
      streaming(
        chunk({ content: `<tool_call>${spoken('lookup', 'Rome')}</tool_call>` }),
        chunk({ tool_calls: [{ index: 0, id: 'a', function: { name: 'lookup', arguments: found } }] }, 'tool_calls'),
      ),
    )
    expect(calls).toEqual([{ name: 'lookup', arguments: found }])
  })
})

describe('anything else stays text', () => {
  test.each([
    ['a call of a function that the request did not have', `<tool_call>${spoken('delete', 'Rome')}</tool_call>`],
    ['the JSON of one', spoken('delete', 'Rome')],
    ['one known call and one unknown', `[TOOL_CALLS][${spoken('lookup', 'Rome')}, ${spoken('delete', 'Rome')}]`],
    ['talk of a tag', 'Write <tool_call> before it and </tool_call> after it.'],
    ['talk of a tag in the middle of a word', 'a<function=b>c</function> [TOOL_CALLS] <|python_tag|>'],
    ['a tag that is not closed and has no call', '<tool_call>{"name": "look'],
    ['a tag with something else in it', '<tool_call>{"a": 1}</tool_call> and so on'],
    ['JSON with a name that is no function', '{"name": "Rome", "parameters": {"population": 3}}'],
    ['JSON with the name of a function and no arguments', '{"name": "lookup", "kind": "verb"}'],
    ['the JSON of a call with words after it', `${spoken('lookup', 'Rome')} is how to call it.`],
    ['code in a fence', '```json\n{"a": [1, 2]}\n```'],
    ['the beginning of a tag at the end', 'a < b, and <tool'],
    ['nothing but blanks', ' \n '],
  ])('%s', async (_, text) => {
    const { run, texts, calls } = await answeredBy(saying(text))
    expect([texts, calls]).toEqual([[text], []])
    expect(run.status).toBe('completed')
  })

  const call = `<tool_call>${spoken('lookup', 'Rome')}</tool_call>`

  test.each([
    ['without tools', { tools: [] }],
    ['that may call none', { tools: [lookupTool], tool_choice: 'none' as const }],
  ])('a call in the answer to a request %s', async (_, body) => {
    expect(await answeredBy(saying(call), body)).toMatchObject({ texts: [call], calls: [] })
  })

  test('a call that the model had no tokens to finish', async () => {
    const text = `<tool_call>${spoken('lookup', 'Rome').slice(0, -2)}`
    const { run, texts } = await answeredBy(saying(text, 'length'))
    expect(texts).toEqual([text])
    expect(run.status).toBe('incomplete')
  })
})
