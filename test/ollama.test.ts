import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, lookupTool } from './harness/engine.ts'

/** As Ollama (0.17.4) tells of a model. */
const listed = { object: 'list', data: [{ id: 'm:latest', object: 'model', created: 1, owned_by: 'library' }] }
const shown = (capabilities: string[], parameters?: string) => ({
  ...(parameters && { parameters }),
  details: { family: 'llama', quantization_level: 'Q4_1' },
  model_info: { 'general.architecture': 'llama', 'llama.context_length': 8192 },
  capabilities,
})
const running = (context_length: number) => ({
  models: [
    { name: 'other:latest', model: 'other:latest', context_length: 512 },
    { name: 'm:latest', model: 'm:latest', size_vram: 0, context_length },
  ],
})

async function anOllama(beside: Record<string, object>): Promise<Harness> {
  const h = await startApp()
  h.backend.models = listed
  for (const [path, answer] of Object.entries(beside)) h.backend.beside.set(path, answer)
  return h
}

describe('what Ollama would pass over in silence', () => {
  test.each([
    [
      'is',
      ['completion', 'tools', 'vision', 'thinking'],
      { tools: [lookupTool], picture: true, reasoning_effort: 'low' },
    ],
    ['is not', ['completion'], { tools: undefined, picture: false, reasoning_effort: undefined }],
  ])('a model that %s able to: tools, pictures, an effort', async (_, capabilities, expected) => {
    const h = await anOllama({ '/api/show': shown(capabilities) })
    const { thread, run } = await converse(h.client)
    await h.client.beta.threads.messages.create(thread.id, {
      role: 'user',
      content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgo=' } }],
    })
    await atRest(h.client, await run({ reasoning_effort: 'low' }))
    const [sent] = h.backend.requests
    expect({
      tools: sent?.tools,
      picture: JSON.stringify(sent?.messages).includes('image_url'),
      reasoning_effort: sent?.reasoning_effort,
    }).toEqual(expected)
    expect(h.backend.requests).toHaveLength(1)
    expect(JSON.stringify(sent?.messages).includes('<tools>')).toBe(expected.tools === undefined)
  })

  test.each([
    ['of a model that is loaded: what that runs with', { '/api/ps': running(1024), '/api/show': shown([]) }, 1024],
    [
      'of one that is not: what it was made for',
      { '/api/ps': { models: [] }, '/api/show': shown([], 'stop      "."\nnum_ctx                        2048\n') },
      2048,
    ],
    [
      'of one of which nothing is known: the least there is',
      { '/api/ps': { models: [] }, '/api/show': shown([]) },
      4096,
    ],
    ['of a version that tells nothing: the same', {}, 4096],
  ])('the beginning of a prompt that is longer than the window, %s', async (_, beside, window) => {
    const h = await anOllama(beside)
    const { thread, run } = await converse(h.client, { tools: [], instructions: 'Be brief.' })
    for (let n = 0; n < 60; n++) {
      await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: `${n} ${'apple '.repeat(100)}` })
    }
    expect(await atRest(h.client, await run())).toMatchObject({ status: 'completed' })
    const [system, ...messages] = h.backend.requests[0]?.messages ?? []
    expect(system).toEqual({ role: 'system', content: 'Be brief.' })
    // Of a little more than a hundred tokens each; a quarter is left for the answer, a fifth for other tokens.
    const room = window * 0.75 * 0.8
    expect(messages.length * 109).toBeLessThanOrEqual(room)
    expect((messages.length + 2) * 109).toBeGreaterThan(room)
    expect(String(messages.at(-1)?.content)).toMatch(/^59 /)
  })

  test('is asked for once for some minutes, but for what may be loaded by then', async () => {
    const h = await anOllama({ '/api/show': shown([]), '/api/ps': { models: [] } })
    const { run } = await converse(h.client, { tools: [] })
    for (let n = 0; n < 3; n++) await atRest(h.client, await run())
    expect(h.backend.askedBeside.toSorted()).toEqual(['/api/ps', '/api/ps', '/api/ps', '/api/show'])
  })

  test('is not asked of other servers', async () => {
    const h = await startApp()
    const { run } = await converse(h.client)
    await atRest(h.client, await run())
    expect(h.backend.askedBeside).toEqual([])
  })
})
