import type { RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, lookupTool } from './harness/engine.ts'

const other = { type: 'function' as const, function: { name: 'other', parameters: { type: 'object', properties: {} } } }
const forced = { type: 'function' as const, function: { name: 'lookup' } }

/** As llama.cpp (b11434) and Ollama (0.17.4) list a model. */
const listed = (owned_by: string) => ({ object: 'list', data: [{ id: 'm', object: 'model', created: 1, owned_by }] })

/** What the backend was asked by a run with two tools. */
async function asked(h: Harness, body: Partial<RunCreateParamsNonStreaming>): Promise<ChatCompletionCreateParams> {
  const { run } = await converse(h.client, { tools: [lookupTool, other] })
  await atRest(h.client, await run(body))
  const last = h.backend.requests.at(-1)
  if (!last) throw new Error('The backend was not asked.')
  return last
}

const textsIn = ({ messages }: ChatCompletionCreateParams) => JSON.stringify(messages)

/** What llama.cpp's server says of its template, at its root. */
const props = (supports_tools: boolean) => ({
  chat_template_caps: { supports_tools, supports_tool_calls: supports_tools },
})

describe('a tool_choice that a server passes over without a word', () => {
  test('llama.cpp, which takes a forced function for auto: it is told of that function alone, and that it has to call', async () => {
    const h = await startApp()
    h.backend.models = listed('llamacpp')
    h.backend.turns.push(({ calls }) => calls({ name: 'lookup', arguments: '{}' }))
    expect(await asked(h, { tool_choice: forced })).toMatchObject({ tool_choice: 'required', tools: [lookupTool] })
  })

  test.each(['required', 'none', 'auto'] as const)('llama.cpp is sent %s as it is', async (tool_choice) => {
    const h = await startApp()
    h.backend.models = listed('llamacpp')
    const sent = await asked(h, { tool_choice })
    expect(sent).toMatchObject({ tool_choice, tools: [lookupTool, other] })
  })

  test.each([
    ['required', 'Call at least one function now.'],
    [forced, "Call the function 'lookup' now."],
  ] as const)('Ollama, which knows none, is asked for %j by the instructions', async (tool_choice, words) => {
    const h = await startApp()
    h.backend.models = listed('library')
    const sent = await asked(h, { tool_choice })
    expect(sent.tool_choice).toBeUndefined()
    expect(textsIn(sent)).toContain(words)
    expect(sent.tools).toEqual(tool_choice === forced ? [lookupTool] : [lookupTool, other])
  })

  test('Ollama is known by any model of its library among those of users', async () => {
    const h = await startApp()
    h.backend.models = { object: 'list', data: [...listed('somebody').data, ...listed('library').data] }
    expect((await asked(h, { tool_choice: 'required' })).tool_choice).toBeUndefined()
  })

  test('Ollama is not told of tools that may not be called', async () => {
    const h = await startApp()
    h.backend.models = listed('library')
    const sent = await asked(h, { tool_choice: 'none' })
    expect([sent.tools, sent.tool_choice]).toEqual([undefined, undefined])
  })

  test('what the operator says goes before what is known of a server', async () => {
    const h = await startApp({
      backends: (baseURL) => ({
        backends: { local: { baseURL } },
        models: [{ match: '*', backend: 'local', can: { toolChoice: true } }],
      }),
    })
    h.backend.models = listed('llamacpp')
    expect(await asked(h, { tool_choice: forced })).toMatchObject({ tool_choice: forced, tools: [lookupTool, other] })
  })

  test('other servers are sent a forced function as it is, also when they list nothing', async () => {
    const h = await startApp()
    h.backend.models = { object: 'list', data: [] }
    expect(await asked(h, { tool_choice: forced })).toMatchObject({ tool_choice: forced, tools: [lookupTool, other] })
  })
})

describe('a template of llama.cpp that has no place for tools', () => {
  test('has them told in the instructions, and calls are read from the text', async () => {
    const h = await startApp()
    h.backend.models = listed('llamacpp')
    h.backend.beside.set('/props', props(false))
    h.backend.turns.push(({ text }) =>
      text('<tool_call>\n{"name": "lookup", "arguments": {"q": "Rome"}}\n</tool_call>'),
    )
    const { run } = await converse(h.client)
    const waiting = await atRest(h.client, await run())
    expect(waiting.required_action?.submit_tool_outputs.tool_calls).toMatchObject([
      { function: { name: 'lookup', arguments: '{"q":"Rome"}' } },
    ])
    const [sent] = h.backend.requests
    expect(sent?.tools).toBeUndefined()
    expect(sent && textsIn(sent)).toContain('<tools>')
  })

  test('has a forced function told alone', async () => {
    const h = await startApp()
    h.backend.models = listed('llamacpp')
    h.backend.beside.set('/props', props(false))
    const sent = await asked(h, { tool_choice: forced })
    expect(textsIn(sent)).toContain("Call the function 'lookup' now.")
    expect(textsIn(sent)).not.toContain('other')
  })

  test('is asked about once, and not for runs without tools', async () => {
    const h = await startApp()
    h.backend.models = listed('llamacpp')
    h.backend.beside.set('/props', props(false))
    const { run } = await converse(h.client, { tools: [] })
    await atRest(h.client, await run())
    expect(h.backend.askedBeside).toEqual([])
    await atRest(h.client, await run({ tools: [lookupTool] }))
    await atRest(h.client, await run({ tools: [lookupTool] }))
    expect(h.backend.askedBeside).toEqual(['/props'])
  })

  test('that has one, or is not told of, leaves tools as they are', async () => {
    for (const said of [props(true), {}, undefined]) {
      const h = await startApp()
      h.backend.models = listed('llamacpp')
      if (said) h.backend.beside.set('/props', said)
      expect(await asked(h, {})).toMatchObject({ tools: [lookupTool, other], tool_choice: 'auto' })
    }
  })
})
