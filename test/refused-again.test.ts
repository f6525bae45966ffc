import type { RunCreateParamsNonStreaming } from 'openai/resources/beta/threads/runs/runs'
import { expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, outputsFor } from './harness/engine.ts'
import { openAIError, refuseAs } from './harness/refusals.ts'

const withTools = 'Function tools with reasoning_effort are not supported for m in /v1/chat/completions.'
const passBack = 'The reasoning_content in the thinking mode must be passed back to the API.'
const noExtras = 'messages.1.reasoning_content: Extra inputs are not permitted'

const startAs = (can: object) =>
  startApp({
    backends: (baseURL) => ({ backends: { b: { baseURL, retries: 0 } }, models: [{ match: '*', backend: 'b', can }] }),
  })

/** Refuses each call, in these words by turns; but lets a call pass that would be one of many, so that the test ends. */
function refuseAlways(h: Harness, ...words: ((count: number) => string)[]) {
  const before = h.backend.requests.length
  h.backend.otherwise = (exchange) => {
    const count = h.backend.requests.length - before
    const said = words[count % words.length]?.(count) ?? ''
    return count > 20 ? exchange.text('Enough.') : refuseAs(400, openAIError(said))(exchange)
  }
}

const refused = (message: string) => ({ status: 'failed', last_error: { code: 'invalid_prompt', message } })

test.for<[string, object, Partial<RunCreateParamsNonStreaming>]>([
  ['no effort may be sent', { reasoningEffort: false }, {}],
  ['the effort may not be none', { reasoningEffort: ['low'] }, { reasoning_effort: 'low' }],
])('tools that are refused with any effort, where %s', async ([, can, body]) => {
  const h = await startAs(can)
  refuseAlways(h, () => withTools)
  const { run } = await converse(h.client)
  expect(await atRest(h.client, await run(body))).toMatchObject(refused(withTools))
  expect(h.backend.requests).toHaveLength(2)
})

test('another keyword each time, of which none was sent', async () => {
  const h = await startAs({})
  refuseAlways(h, (count) => `Unknown name "x${count}" at 'tools[0].function.parameters': Cannot find field.`)
  const { run } = await converse(h.client)
  expect(await atRest(h.client, await run())).toMatchObject({ status: 'failed' })
  expect(h.backend.requests).toHaveLength(1)
})

test.for([
  ['to be without thoughts', [passBack], passBack],
  ['with and without thoughts', [passBack, noExtras], noExtras],
] as const)('calls that are said %s, whatever is sent', async ([, words, last]) => {
  const h = await startAs({})
  h.backend.turns = [({ calls }) => calls({ name: 'lookup', arguments: '{}' })]
  const { thread, run } = await converse(h.client)
  const waiting = await atRest(h.client, await run())
  refuseAlways(h, ...words.map((word) => () => word).reverse())
  const tool_outputs = outputsFor(waiting)
  await h.client.beta.threads.runs.submitToolOutputs(waiting.id, { thread_id: thread.id, tool_outputs })
  expect(await atRest(h.client, waiting)).toMatchObject(refused(last))
  expect(h.backend.requests).toHaveLength(3)
})
