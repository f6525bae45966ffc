import { expect, test } from 'vitest'
import { startApp } from './harness/app.ts'

const tool = { type: 'function' as const, function: { name: 'look_up' } }

async function refusal(body: object) {
  const h = await startApp({ started: false })
  const assistant = await h.client.beta.assistants.create({ model: 'm', instructions: 'Be brief.', tools: [tool] })
  const thread = await h.client.beta.threads.create()
  const answer = await h.send('POST', `/v1/threads/${thread.id}/runs`, { assistant_id: assistant.id, ...body })
  return { status: answer.status, ...((await answer.json()) as object) }
}

test('last_messages wants a number of messages', async () => {
  const param = 'truncation_strategy.last_messages'
  const message = `Missing required parameter: '${param}'.`
  expect(await refusal({ truncation_strategy: { type: 'last_messages' } })).toMatchObject({
    status: 400,
    error: { message, param, code: 'missing_required_parameter' },
  })
})

test.each([
  [{ type: 'function', function: { name: 'look_down' } }, 'look_down'],
  [{ type: 'code_interpreter' }, 'code_interpreter'],
])('a choice of a tool that the run does not have is refused: %j', async (tool_choice, name) => {
  const message = `Tool choice '${name}' not found in 'tools' parameter.`
  expect(await refusal({ tool_choice })).toMatchObject({ status: 400, error: { message, param: 'tool_choice' } })
})

test('a json format is refused together with tools that are no functions', async () => {
  const message = 'Invalid tools: all tools must be of type `function` when `response_format` is of type `json_object`.'
  const body = { response_format: { type: 'json_object' }, tools: [{ type: 'file_search' }] }
  expect(await refusal(body)).toMatchObject({ status: 400, error: { message } })
})
