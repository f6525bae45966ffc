import { describe, expect, test } from 'vitest'
import { answeredBy, chunk, counted, streaming, whole } from './harness/answers.ts'
import { startApp } from './harness/app.ts'

/** Chunks of text, three characters each. */
const said = (text: string) => (text.match(/.{1,3}/gsu) ?? []).map((content) => chunk({ content }))
const stop = chunk({}, 'stop')
const saying = (text: string, reason = 'stop') => streaming(...said(text), chunk({}, reason))

describe('what a model thinks is not in the answer', () => {
  test.each([
    [
      'DeepSeek, SGLang, llama.cpp: reasoning_content',
      [
        chunk({ role: 'assistant', content: null, reasoning_content: 'Hm' }),
        chunk({ content: null, reasoning_content: '.' }),
        ...said('Hello.'),
        stop,
      ],
    ],
    [
      'Ollama, OpenRouter, vLLM since 0.11: reasoning',
      [
        chunk({ role: 'assistant', content: '', reasoning: 'Hm.' }),
        chunk({ content: 'Hello.', reasoning: null, reasoning_details: [] }),
        stop,
      ],
    ],
    [
      'vLLM: blank lines between the two',
      [chunk({ reasoning_content: 'Hm.' }), chunk({ content: '\n\n' }), ...said('Hello.'), stop],
    ],
    [
      'Mistral (Magistral): a list of parts',
      [
        chunk({ content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] }] }),
        chunk({ content: [{ type: 'text', text: 'Hello.' }] }),
        stop,
      ],
    ],
    ['Ollama before 0.9, LM Studio: think tags', [...said('<think>\nHm.\n</think>\n\nHello.'), stop]],
    ['tags with blanks before them', [...said('\n<think>Hm.</think>Hello.'), stop]],
    ['thinking tags', [...said('<thinking>Hm.</thinking>\nHello.'), stop]],
    ['Gemini: thought tags', [...said('<thought>Hm.</thought>Hello.'), stop]],
    ['Seed-OSS: tags with a name space', [...said('<seed:think>Hm.</seed:think>Hello.'), stop]],
    ['Command R7B: tags with bars', [...said('<|START_THINKING|>Hm.<|END_THINKING|>Hello.'), stop]],
    ['Gemma 4: a channel', [...said('<|channel>thought\nHm.<channel|>Hello.'), stop]],
    [
      'gpt-oss: channels',
      [...said('<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Hello.'), stop],
    ],
    ['llama.cpp with Magistral: tags in brackets', [...said('[THINK]Hm.[/THINK]Hello.'), stop]],
    ['Qwen3 with /no_think: nothing between the tags', [...said('<think>\n\n</think>\n\nHello.'), stop]],
    ['two thoughts', [...said('<think>Hm.</think>\n<think>Hm, hm.</think>Hello.'), stop]],
    ['a tag within a thought', [...said('<think>What is <think> and </b>?</think>Hello.'), stop]],
  ])('%s', async (_, chunks) => {
    const { run, texts } = await answeredBy(streaming(...chunks), { tools: [] })
    expect(texts).toEqual(['Hello.'])
    expect(run.status).toBe('completed')
  })

  test('and goes out at no time, while the answer goes out as it comes', async () => {
    const { events } = await answeredBy(
      streaming(
        ...['<th', 'ink>a', ' <b </', 'think', '>', 'He', 'llo <', 'th', 'ink.'].map((content) => chunk({ content })),
        stop,
      ),
      { tools: [] },
    )
    const deltas = events.filter(({ event }) => event === 'thread.message.delta')
    expect(deltas.map(({ data }) => data.delta.content[0].text.value)).toEqual(['He', 'llo <', 'th', 'ink.'])
  })

  test.each([
    ['in a field', [chunk({ reasoning_content: 'Hm.' }), stop]],
    ['in tags', [...said('<think>Hm.</think>\n\n'), stop]],
    ['in a tag that is not closed', [...said('<think>Hm'), stop]],
  ])('an answer of nothing but a thought is an empty answer (%s)', async (_, chunks) => {
    const { run, texts } = await answeredBy(streaming(...chunks))
    expect(texts).toEqual([''])
    expect(run.status).toBe('completed')
  })

  test('nor is a thought that the model had no tokens to finish', async () => {
    const { run, texts } = await answeredBy(saying('<think>Hm', 'length'))
    expect(texts).toEqual([''])
    expect(run).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_completion_tokens' } })
  })

  test.each([
    'In HTML there is no <think> tag.',
    'Use `</think>` to close it.',
    '<thin>ice</thin>',
    '<b>bold</b>',
    '[THIN]',
    'a < b',
    '<',
  ])('what an answer says of tags stays in it: %s', async (text) => {
    expect((await answeredBy(saying(text))).texts).toEqual([text])
  })
})

describe('a thought whose opening tag was written by the chat template', () => {
  const stray = 'Hm, hm.\n</think>\n\nHello.'

  test('is kept out of an answer that comes in one piece', async () => {
    expect((await answeredBy(streaming(chunk({ content: stray }), stop))).texts).toEqual(['Hello.'])
    const message = { role: 'assistant', content: stray }
    const body = { object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: counted }
    expect((await answeredBy(whole(body))).texts).toEqual(['Hello.'])
  })

  test('is kept out of the answers of a model that is known for it (vLLM without a reasoning parser)', async () => {
    const { texts } = await answeredBy(saying(stray), { model: 'deepseek-ai/DeepSeek-R1-Distill-Qwen-7B' })
    expect(texts).toEqual(['Hello.'])
  })

  test('is seen once in the answer of another model, and kept out from then on', async () => {
    const h = await startApp()
    expect((await answeredBy(saying(stray), {}, h)).texts).toEqual([stray])
    expect((await answeredBy(saying(stray), {}, h)).texts).toEqual(['Hello.'])
    expect((await answeredBy(saying(stray), { model: 'other' }, h)).texts).toEqual([stray])
  })

  test('once a model answers without one, its next answers go out as they come', async () => {
    const h = await startApp()
    const deltas = async () =>
      (await answeredBy(saying('Hello.'), { model: 'qwq:32b' }, h)).events.filter(
        ({ event }) => event === 'thread.message.delta',
      ).length
    expect(await deltas()).toBe(1)
    expect(await deltas()).toBe(2)
  })

  test('is none where an answer speaks of both tags', async () => {
    const h = await startApp()
    const code = 'Look:\n<think>\nHm.\n</think>\nis a thought.'
    for (const model of ['m', 'm', 'qwq:32b']) {
      expect((await answeredBy(saying(code), { model }, h)).texts).toEqual([code])
    }
    expect((await answeredBy(streaming(chunk({ content: code }), stop), {}, h)).texts).toEqual([code])
    const quoted = 'It ends with `</think>`, always.'
    for (const _ of [1, 2]) expect((await answeredBy(saying(quoted), {}, h)).texts).toEqual([quoted])
  })

  test('that the model had no tokens to finish is an empty answer', async () => {
    const { run, texts } = await answeredBy(saying('Hm, hm', 'length'), { model: 'qwq:32b' })
    expect([run.status, texts]).toEqual(['incomplete', ['']])
  })

  test('nothing is held back where the server tells thoughts by itself', async () => {
    const { texts, events } = await answeredBy(
      streaming(chunk({ reasoning_content: 'Hm.' }), ...said('Hello.'), stop),
      { model: 'qwq:32b' },
    )
    expect(texts).toEqual(['Hello.'])
    expect(events.filter(({ event }) => event === 'thread.message.delta')).toHaveLength(2)
  })
})
