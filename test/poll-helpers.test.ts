import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { upload } from './harness/search.ts'

const fileOf = (name: string, text: string) => new File([text], name)
const good = () => fileOf('good.txt', 'apples')
const bad = () => fileOf('bad.zip', 'PK')
const idle = { in_progress: 0, completed: 0, failed: 0, cancelled: 0, total: 0 }

async function given(ingesting = true) {
  const h = await startApp({ ingesting })
  const { id } = await h.client.vectorStores.create({})
  return { h, id, files: h.client.vectorStores.files, batches: h.client.vectorStores.fileBatches }
}

/** So long may a helper poll. */
const soon = () => ({ signal: AbortSignal.timeout(15_000) })

/** A client that asks so many times and no more. */
function patient({ client }: Harness, times: number) {
  const { fetch: original } = client as unknown as { fetch: typeof fetch }
  let asked = 0
  return client.withOptions({
    fetch: (...request) => (++asked > times ? Promise.reject(new Error('It asks for ever.')) : original(...request)),
  })
}

/** A file that a cancelled batch leaves behind. */
async function cancelledIn(h: Harness, vector_store_id: string) {
  const file_ids = await upload(h, { 'a.txt': 'apples' })
  const { fileBatches } = h.client.vectorStores
  const batch = await fileBatches.create(vector_store_id, { file_ids })
  await fileBatches.cancel(batch.id, { vector_store_id })
  return { batch, file_id: file_ids[0] ?? '' }
}

describe("the SDK's poll helpers end", () => {
  test('files.uploadAndPoll', async () => {
    const { id, files } = await given()
    expect(await files.uploadAndPoll(id, good(), soon())).toMatchObject({ status: 'completed' })
    const last_error = { code: 'unsupported_file' }
    expect(await files.uploadAndPoll(id, bad(), soon())).toMatchObject({ status: 'failed', last_error })
  })

  test('files.createAndPoll, also for a file that was there already', async () => {
    const { h, id, files } = await given()
    const [file_id = ''] = await upload(h, { 'a.txt': 'apples' })
    for (const _ of ['first', 'again']) {
      expect(await files.createAndPoll(id, { file_id }, soon())).toMatchObject({ id: file_id, status: 'completed' })
    }
  })

  test('fileBatches.uploadAndPoll, some or all of whose files fail', async () => {
    const { h, id, batches } = await given()
    const fileIds = await upload(h, { 'more.txt': 'pears' })
    const mixed = await batches.uploadAndPoll(id, { files: [good(), bad()], fileIds }, soon())
    expect(mixed).toMatchObject({ status: 'completed', file_counts: { ...idle, completed: 2, failed: 1, total: 3 } })
    const none = await batches.uploadAndPoll(id, { files: [bad(), bad()] }, soon())
    expect(none).toMatchObject({ status: 'completed', file_counts: { ...idle, failed: 2, total: 2 } })
  })

  test('fileBatches.createAndPoll of a batch that is cancelled meanwhile', async () => {
    const { h, id, batches } = await given(false)
    const file_ids = await upload(h, { 'a.txt': 'apples', 'b.txt': 'pears' })
    const batch = await batches.create(id, { file_ids })
    const polling = batches.poll(id, batch.id, { ...soon(), pollIntervalMs: 5 })
    await batches.cancel(batch.id, { vector_store_id: id })
    expect(await polling).toMatchObject({ status: 'cancelled', file_counts: { ...idle, cancelled: 2, total: 2 } })
  })

  test('files.poll of a file whose batch is cancelled', async () => {
    const { h, id, files } = await given(false)
    const { file_id } = await cancelledIn(h, id)
    // To this helper a file that says `cancelled` is neither in progress nor at its end: it asks at once, for ever.
    const polled = await patient(h, 20).vectorStores.files.poll(id, file_id)
    expect(polled).toMatchObject({ id: file_id, status: 'failed' })
    expect(await files.retrieve(file_id, { vector_store_id: id })).toMatchObject({ status: 'cancelled' })
  })

  test('files.createAndPoll of a file that was cancelled: it is read now', async () => {
    const { h, id, files } = await given()
    await h.services.ingestor.stop()
    const { file_id } = await cancelledIn(h, id)
    h.services.ingestor.start()
    expect(await files.createAndPoll(id, { file_id }, soon())).toMatchObject({ status: 'completed' })
  })

  test.each(['file', 'store'])('when the %s is deleted meanwhile, with a 404', async (what) => {
    const { h, id, files } = await given(false)
    const [file_id = ''] = await upload(h, { 'a.txt': 'apples' })
    await files.create(id, { file_id })
    const polling = files.poll(id, file_id, { ...soon(), pollIntervalMs: 5 })
    const ended = expect(polling).rejects.toMatchObject({ status: 404 })
    await (what === 'file' ? h.client.files.delete(file_id) : h.client.vectorStores.delete(id))
    await ended
  })
})

describe('old SDKs, which call beta.vectorStores', () => {
  test('find every path where it was, with the header of the beta', async () => {
    const { h, id } = await given(false)
    const [file_id = ''] = await upload(h, { 'a.txt': 'apples' })
    const beta = { 'openai-beta': 'assistants=v2' }
    const ask = async (method: string, path: string, body?: object) => {
      const answer = await h.send(method, `/v1/vector_stores${path}`, body, beta)
      return [answer.status, ((await answer.json()) as { object: string }).object]
    }
    expect(await ask('GET', '?limit=1')).toEqual([200, 'list'])
    expect(await ask('POST', '', { name: 'x', expires_after: { anchor: 'last_active_at', days: 7 } })).toEqual([
      200,
      'vector_store',
    ])
    expect(await ask('POST', `/${id}/files`, { file_id })).toEqual([200, 'vector_store.file'])
    expect(await ask('GET', `/${id}/files/${file_id}`)).toEqual([200, 'vector_store.file'])
    expect(await ask('GET', `/${id}/files?filter=in_progress`)).toEqual([200, 'list'])
    const made = await h.send('POST', `/v1/vector_stores/${id}/file_batches`, { file_ids: [file_id] }, beta)
    const batch = (await made.json()) as { id: string }
    expect(await ask('GET', `/${id}/file_batches/${batch.id}/files`)).toEqual([200, 'list'])
    expect(await ask('POST', `/${id}/file_batches/${batch.id}/cancel`)).toEqual([200, 'vector_store.files_batch'])
    expect(await ask('DELETE', `/${id}/files/${file_id}`)).toEqual([200, 'vector_store.file.deleted'])
    expect(await ask('DELETE', `/${id}`)).toEqual([200, 'vector_store.deleted'])
  })
})
