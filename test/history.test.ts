import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { atRest, converse, outputsFor } from './harness/engine.ts'

const roles = (messages: readonly { role: string }[] = []) => messages.map(({ role }) => role).join(' ')

describe('a later run of a thread', () => {
  test('sees what earlier runs called and were told, in the order in which it was', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client, { instructions: 'Be brief.' }, 'How is it in Rome?')
    h.backend.turns = [
      (exchange) => {
        exchange.chunk({ content: 'Let me see.' })
        exchange.calls({ name: 'lookup', arguments: '{"q":"Rome"}' }, { name: 'lookup', arguments: '{"q":"Ostia"}' })
      },
      ({ text }) => text('It is sunny.'),
    ]
    const waiting = await atRest(h.client, await run())
    const [first, second] = outputsFor(waiting)
    const tool_outputs = [
      { ...first, output: 'sun' },
      { ...second, output: 'wind' },
    ]
    await h.client.beta.threads.runs.submitToolOutputs(waiting.id, { thread_id: thread.id, tool_outputs })
    await atRest(h.client, waiting)
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'And tomorrow?' })
    await atRest(h.client, await run())

    const call = (q: string, id: string | undefined) => ({
      id,
      type: 'function',
      function: { name: 'lookup', arguments: JSON.stringify({ q }) },
    })
    expect(h.backend.requests[2]?.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'How is it in Rome?' },
      {
        role: 'assistant',
        content: 'Let me see.',
        tool_calls: [call('Rome', first?.tool_call_id), call('Ostia', second?.tool_call_id)],
      },
      { role: 'tool', tool_call_id: first?.tool_call_id, content: 'sun' },
      { role: 'tool', tool_call_id: second?.tool_call_id, content: 'wind' },
      { role: 'assistant', content: 'It is sunny.' },
      { role: 'user', content: 'And tomorrow?' },
    ])
  })

  test('is not told what was searched in the files for an earlier question', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client, { tools: [{ type: 'file_search' }] })
    h.backend.turns = [({ calls }) => calls({ name: 'file_search', arguments: '{"query":"apples"}' })]
    await atRest(h.client, await run())
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'More?' })
    await atRest(h.client, await run())
    expect(roles(h.backend.requests[2]?.messages)).toBe('user assistant user')
  })

  test('has no calls that were never answered', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client)
    h.backend.turns = [
      (exchange) => {
        exchange.chunk({ content: 'Let me see.' })
        exchange.calls({ name: 'lookup', arguments: '{}' })
      },
    ]
    const waiting = await atRest(h.client, await run())
    await h.client.beta.threads.runs.cancel(waiting.id, { thread_id: thread.id })
    await atRest(h.client, waiting)
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'Again.' })
    await atRest(h.client, await run())
    expect(h.backend.requests[1]?.messages).toEqual([
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Let me see.' },
      { role: 'user', content: 'Again.' },
    ])
  })

  test('by another assistant sees the answers of the first as answers', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client, { instructions: 'You are A.', tools: [] })
    await atRest(h.client, await run())
    const other = await h.client.beta.assistants.create({ model: 'm', instructions: 'You are B.' })
    const second = await h.client.beta.threads.runs.create(thread.id, { assistant_id: other.id })
    await atRest(h.client, second)
    expect(h.backend.requests[1]?.messages).toEqual([
      { role: 'system', content: 'You are B.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello.' },
    ])
  })

  test('is sent what goes before the messages it wants only with these', async () => {
    const h = await startApp()
    const { thread, run } = await converse(h.client)
    h.backend.turns = [({ calls }) => calls({ name: 'lookup', arguments: '{}' })]
    const waiting = await atRest(h.client, await run())
    const body = { thread_id: thread.id, tool_outputs: outputsFor(waiting) }
    await h.client.beta.threads.runs.submitToolOutputs(waiting.id, body)
    await atRest(h.client, waiting)
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'More?' })
    const last = (last_messages: number) => run({ truncation_strategy: { type: 'last_messages', last_messages } })
    await atRest(h.client, await last(1))
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: 'More?' })
    await atRest(h.client, await last(4))
    expect(roles(h.backend.requests[2]?.messages)).toBe('user')
    expect(roles(h.backend.requests[3]?.messages)).toBe('assistant tool assistant user assistant user')
  })
})
