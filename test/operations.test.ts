import { expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { unvalidated } from './harness/openapi.ts'
import { ingest, searching } from './harness/search.ts'

type Json = { id: string; status: string }

/** Sends a request that must succeed. */
const asking = (h: Harness) => async (method: string, path: string, body?: object) => {
  const answer = await h.send(method, `/v1${path}`, body)
  expect([method, path, answer.status]).toEqual([method, path, 200])
  return (await answer.json()) as Json
}
type Ask = ReturnType<typeof asking>

const aFile = (text: string) => new File([text], 'notes.txt')

async function filesAndUploads(h: Harness, ask: Ask) {
  const file = await h.client.files.create({ file: aFile('Apples are in the cellar.'), purpose: 'assistants' })
  await ask('GET', '/files')
  await ask('GET', `/files/${file.id}`)
  expect((await h.send('GET', `/v1/files/${file.id}/content`)).status).toBe(200)
  const announced = { filename: 'a.txt', purpose: 'assistants', bytes: 1, mime_type: 'text/plain' }
  const [one, two] = [await ask('POST', '/uploads', announced), await ask('POST', '/uploads', announced)]
  const part = await h.client.uploads.parts.create(one.id, { data: aFile('a') })
  await ask('POST', `/uploads/${one.id}/complete`, { part_ids: [part.id] })
  await ask('POST', `/uploads/${two.id}/cancel`)
  return file.id
}

async function vectorStores(h: Harness, ask: Ask, file_id: string) {
  const { id } = await ask('POST', '/vector_stores', { name: 'Notes', file_ids: [file_id] })
  const url = `/vector_stores/${id}`
  await ask('GET', '/vector_stores')
  await ask('POST', url, { metadata: { a: 'b' } })
  const batch = await ask('POST', `${url}/file_batches`, { file_ids: [file_id] })
  await ask('GET', `${url}/file_batches/${batch.id}`)
  await ask('GET', `${url}/file_batches/${batch.id}/files`)
  await ask('POST', `${url}/file_batches/${batch.id}/cancel`)
  await ask('POST', `${url}/files`, { file_id, attributes: { a: 1 } })
  await ingest(h)
  await ask('GET', url)
  await ask('GET', `${url}/files`)
  await ask('GET', `${url}/files/${file_id}`)
  await ask('POST', `${url}/files/${file_id}`, { attributes: { b: true } })
  await ask('GET', `${url}/files/${file_id}/content`)
  await ask('POST', `${url}/search`, { query: 'apples' })
  return id
}

async function runs(h: Harness, ask: Ask, assistant_id: string, thread_id: string) {
  const url = `/threads/${thread_id}/runs`
  const restOf = async ({ id }: Json) => {
    const get = () => ask('GET', `${url}/${id}`)
    await expect.poll(async () => (await get()).status).not.toMatch(/queued|in_progress|cancelling/)
    return get()
  }
  h.backend.turns.push(searching('apples'), ({ calls }) => calls({ name: 'look_up', arguments: '{}' }))
  const waiting = (await restOf(await ask('POST', url, { assistant_id }))) as Awaited<ReturnType<typeof restOf>> & {
    required_action: { submit_tool_outputs: { tool_calls: Json[] } }
  }
  const tool_outputs = waiting.required_action.submit_tool_outputs.tool_calls.map(({ id }) => ({ tool_call_id: id }))
  expect((await restOf(await ask('POST', `${url}/${waiting.id}/submit_tool_outputs`, { tool_outputs }))).status).toBe(
    'completed',
  )
  await ask('POST', `${url}/${waiting.id}`, { metadata: { a: 'b' } })
  await ask('GET', url)
  const steps = (await ask('GET', `${url}/${waiting.id}/steps`)) as Json & { data: Json[] }
  for (const step of steps.data) await ask('GET', `${url}/${waiting.id}/steps/${step.id}`)
  // A model that never answers.
  h.backend.turns.push(() => {})
  const { id } = await ask('POST', url, { assistant_id })
  await ask('POST', `${url}/${id}/cancel`)
  const messages = [{ role: 'user', content: 'Hi' }]
  await ask('POST', '/threads/runs', { assistant_id, thread: { messages } })
}

test('every operation of the published document answers as it says', async () => {
  const h = await startApp()
  const ask = asking(h)
  const file_id = await filesAndUploads(h, ask)
  const store = await vectorStores(h, ask, file_id)
  const tools = [{ type: 'file_search' }, { type: 'function', function: { name: 'look_up' } }]
  const tool_resources = { file_search: { vector_store_ids: [store] } }
  const assistant = await ask('POST', '/assistants', { model: 'm', tools, tool_resources })
  await ask('GET', '/assistants')
  await ask('GET', `/assistants/${assistant.id}`)
  await ask('POST', `/assistants/${assistant.id}`, { name: 'Ada' })
  const thread = await ask('POST', '/threads', {})
  await ask('GET', `/threads/${thread.id}`)
  await ask('POST', `/threads/${thread.id}`, { metadata: { a: 'b' } })
  const messages = `/threads/${thread.id}/messages`
  const message = await ask('POST', messages, { role: 'user', content: 'Where are the apples?' })
  await ask('GET', messages)
  await ask('GET', `${messages}/${message.id}`)
  await ask('POST', `${messages}/${message.id}`, { metadata: { a: 'b' } })
  await runs(h, ask, assistant.id, thread.id)
  await ask('DELETE', `${messages}/${message.id}`)
  await ask('DELETE', `/threads/${thread.id}`)
  await ask('DELETE', `/assistants/${assistant.id}`)
  await ask('DELETE', `/vector_stores/${store}/files/${file_id}`)
  await ask('DELETE', `/vector_stores/${store}`)
  await ask('DELETE', `/files/${file_id}`)
  await ask('GET', '/models')
  await ask('GET', '/models/demo')
  // Bytes, of which the document says that they are JSON, are not checked.
  expect(unvalidated().filter((operation) => operation !== 'get /files/{file_id}/content')).toEqual([])
})
