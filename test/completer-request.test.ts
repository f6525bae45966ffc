import type { RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, lookupTool, madeBy, outputsFor } from './harness/engine.ts'

const ranOn = async (h: Harness, body: Partial<RunCreateParamsNonStreaming> = {}) =>
  atRest(h.client, await (await converse(h.client)).run(body))

describe('what the backend is asked', () => {
  const schema = { type: 'object', properties: { answer: { type: 'string' } } }
  const format = { type: 'json_schema' as const, json_schema: { name: 'reply', schema, strict: true } }

  test('is the parameters of the run and nothing else, with the key of this server', async () => {
    const h = await startApp()
    const keys: unknown[] = []
    h.backend.turns.push(({ request, text }) => {
      keys.push(request.headers.authorization)
      text('{}')
    })
    await ranOn(h, {
      model: 'org/other',
      instructions: 'Be brief.',
      additional_instructions: 'Rhyme.',
      additional_messages: [{ role: 'assistant', content: 'Yes?' }],
      temperature: 0,
      top_p: 0.25,
      reasoning_effort: 'low',
      max_completion_tokens: 300,
      parallel_tool_calls: false,
      tool_choice: 'required',
      response_format: format,
    })
    expect(h.backend.requests).toEqual([
      {
        model: 'org/other',
        messages: [
          { role: 'system', content: 'Be brief.\n\nRhyme.' },
          { role: 'user', content: 'Hi' },
          { role: 'assistant', content: 'Yes?' },
        ],
        temperature: 0,
        top_p: 0.25,
        tools: [lookupTool],
        tool_choice: 'required',
        parallel_tool_calls: false,
        response_format: format,
        reasoning_effort: 'low',
        max_completion_tokens: 300,
        stream: true,
        stream_options: { include_usage: true },
      },
    ])
    expect(keys).toEqual(['Bearer sk-backend'])
  })

  test('has no key for what the run leaves open', async () => {
    const h = await startApp()
    await ranOn(h, { tools: [] })
    expect(h.backend.requests).toEqual([
      {
        model: 'm',
        messages: [{ role: 'user', content: 'Hi' }],
        temperature: 1,
        top_p: 1,
        stream: true,
        stream_options: { include_usage: true },
      },
    ])
  })

  test.each([
    ['required', 'required'],
    [
      { type: 'function' as const, function: { name: 'lookup' } },
      { type: 'function', function: { name: 'lookup' } },
    ],
  ] as const)(
    'forces %o in the first turn alone, brings outputs by their ids, and what is left of the budget',
    async (tool_choice, forced) => {
      const h = await startApp()
      const calls = [
        { name: 'lookup', arguments: '{"q":"Rome"}' },
        { name: 'lookup', arguments: '{"q":' },
      ]
      h.backend.turns.push((exchange) => {
        exchange.chunk({ content: 'Let me see.' })
        exchange.calls(...calls)
      })
      const { run } = await converse(h.client)
      const waiting = await atRest(h.client, await run({ tool_choice, max_completion_tokens: 256 }))
      const asked = waiting.required_action?.submit_tool_outputs.tool_calls ?? []
      const [rome, half] = outputsFor(waiting)
      const tool_outputs = [{ ...half, output: 'rain' }, rome ?? {}]
      const { id, thread_id } = waiting
      await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs })
      const ended = await atRest(h.client, waiting)
      const [first, second] = h.backend.requests
      expect(first).toMatchObject({ tool_choice: forced, max_completion_tokens: 256 })
      expect(second).toMatchObject({ tool_choice: 'auto', max_completion_tokens: 251 })
      expect(second?.messages).toEqual([
        { role: 'user', content: 'Hi' },
        {
          role: 'assistant',
          content: 'Let me see.',
          // Backends read the arguments back, and some fail at what is no JSON.
          tool_calls: ['{"q":"Rome"}', '{}'].map((written, index) => ({
            id: asked[index]?.id,
            type: 'function',
            function: { name: 'lookup', arguments: written },
          })),
        },
        { role: 'tool', tool_call_id: asked[0]?.id, content: 'sunny' },
        { role: 'tool', tool_call_id: asked[1]?.id, content: 'rain' },
      ])
      expect(ended.usage).toMatchObject({ prompt_tokens: 20, completion_tokens: 10, total_tokens: 30 })
    },
  )

  test.each([
    ['max_completion_tokens', { max_completion_tokens: 256 }, { completion_tokens: 256 }],
    ['max_prompt_tokens', { max_prompt_tokens: 256 }, { prompt_tokens: 300 }],
  ] as const)('is nothing more once %s is used up', async (reason, budget, spent) => {
    const h = await startApp()
    h.backend.turns.push(({ chunk, end }) => {
      chunk({ tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'lookup', arguments: '{}' } }] })
      chunk({}, 'tool_calls')
      end({ prompt_tokens: 1, completion_tokens: 1, total_tokens: 2, ...spent })
    })
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run(budget))
    const { id, thread_id } = waiting
    await h.client.beta.threads.runs.submitToolOutputs(id, { thread_id, tool_outputs: outputsFor(waiting) })
    const { run: ended, steps } = await madeBy(h.client, await atRest(h.client, waiting))
    expect(ended).toMatchObject({ status: 'incomplete', incomplete_details: { reason }, usage: spent })
    expect(steps.map(({ status }) => status)).toEqual(['completed'])
    expect(h.backend.requests).toHaveLength(1)
  })

  test('names no format where that is plain text: not every backend knows the parameter', async () => {
    const h = await startApp()
    await ranOn(h, { response_format: { type: 'text' } })
    expect(h.backend.requests[0]).not.toHaveProperty('response_format')
  })

  test('goes back as many messages as last_messages says, but keeps the instructions', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client, { instructions: 'Be brief.' }, 'one')
    await h.client.beta.threads.messages.create(thread.id, { role: 'assistant', content: 'two' })
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'three' })
    await atRest(h.client, await run({ truncation_strategy: { type: 'last_messages', last_messages: 2 } }))
    expect(h.backend.requests[0]?.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'assistant', content: 'two' },
      { role: 'user', content: 'three' },
    ])
  })

  test('has the images of a message, by web address and as data', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client)
    const [web, data] = ['https://example.com/a.png', 'data:image/png;base64,iVBORw0KGgo=']
    await h.client.beta.threads.messages.create(thread.id, {
      role: 'user',
      content: [
        { type: 'text', text: 'What are these?' },
        { type: 'image_url', image_url: { url: web, detail: 'low' } },
        { type: 'image_url', image_url: { url: data } },
      ],
    })
    await atRest(h.client, await run())
    expect(h.backend.requests[0]?.messages.at(-1)).toEqual({
      role: 'user',
      content: [
        { type: 'text', text: 'What are these?' },
        { type: 'image_url', image_url: { url: web, detail: 'low' } },
        { type: 'image_url', image_url: { url: data, detail: 'auto' } },
      ],
    })
  })
})
