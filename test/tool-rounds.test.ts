import { expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import { atRest, checkEnded, converse, outputsFor } from './harness/engine.ts'

test('a run whose model does nothing but call tools fails after so many rounds, and says so', async () => {
  const h = await startApp({ env: { RUN_TOOL_ROUNDS: '3' } })
  h.backend.otherwise = ({ calls }) => calls({ name: 'file_search', arguments: '{"query":"more"}' })
  const { run } = await converse(h.client, { tools: [{ type: 'file_search' }] })
  const ended = await atRest(h.client, await run())
  expect(ended).toMatchObject({
    status: 'failed',
    last_error: { code: 'server_error', message: 'The model called tools 3 times without coming to an answer.' },
  })
  expect(h.backend.requests).toHaveLength(3)
  await checkEnded(h, ended)
})

test('rounds that the client answers count, too', async () => {
  const h = await startApp({ env: { RUN_TOOL_ROUNDS: '2' } })
  h.backend.otherwise = ({ calls }) => calls({ name: 'lookup', arguments: '{}' })
  const { thread, run } = await converse(h.client)
  let current = await atRest(h.client, await run())
  while (current.status === 'requires_action') {
    const body = { thread_id: thread.id, tool_outputs: outputsFor(current) }
    current = await atRest(h.client, await h.client.beta.threads.runs.submitToolOutputs(current.id, body))
  }
  expect(current.status).toBe('failed')
  expect(h.backend.requests).toHaveLength(2)
})
