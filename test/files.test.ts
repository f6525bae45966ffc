import { globSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import OpenAI, { toFile } from 'openai'
import { expect, test } from 'vitest'
import { createFolderBlobs } from '../src/blobs.ts'
import { type Harness, startApp } from './harness/app.ts'
import { refusal, refusalOf } from './harness/refusal.ts'

const hello = () => toFile(Buffer.from('Hello, wörld'), 'grüße.md')
const bytesIn = (h: Harness) => globSync('**/*', { cwd: h.folder, withFileTypes: true }).filter((one) => one.isFile())

test('a file is answered, listed, downloaded and deleted, once', async () => {
  const h = await startApp()
  const { files } = h.client
  const file = await files.create({ file: await hello(), purpose: 'assistants' })
  expect(file).toEqual({
    id: expect.stringMatching(/^file-\w{24}$/),
    object: 'file',
    purpose: 'assistants',
    filename: 'grüße.md',
    bytes: 13,
    created_at: 1_790_000_000,
    status: 'processed',
  })
  expect(await files.retrieve(file.id)).toEqual(file)
  const content = await files.content(file.id)
  expect(content.headers.get('content-type')).toBe('application/octet-stream')
  expect(content.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''gr%C3%BC%C3%9Fe.md")
  expect(await content.text()).toBe('Hello, wörld')
  expect(await files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true })
  const gone = refusal(`No such File object: ${file.id}`, { status: 404, param: 'id' })
  for (const [method, path] of [
    ['GET', file.id],
    ['DELETE', file.id],
    ['GET', `${file.id}/content`],
  ] as const) {
    expect(await refusalOf(await h.send(method, `/v1/files/${path}`))).toEqual(gone)
  }
  expect(bytesIn(h)).toEqual([])
})

test('files are listed newest first, by purpose and page by page', async () => {
  const h = await startApp()
  const { files } = h.client
  const purposes = ['assistants', 'vision', 'assistants', 'batch'] as const
  const ids: string[] = []
  for (const purpose of purposes) ids.unshift((await files.create({ file: await hello(), purpose })).id)
  expect((await files.list()).data.map(({ id }) => id)).toEqual(ids)
  expect((await files.list({ purpose: 'assistants' })).data.map(({ id }) => id)).toEqual([ids[1], ids[3]])
  const all: string[] = []
  for await (const { id } of files.list({ limit: 1, order: 'asc' })) all.unshift(id)
  expect(all).toEqual(ids)
})

test('the fields of a form may come in any order, and the time a file is kept with them', async () => {
  const h = await startApp()
  const field = (name: string, text: string) =>
    `--x\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${text}\r\n`
  const bytes = `--x\r\ncontent-disposition: form-data; name="file"; filename="x.txt"\r\n\r\nabc\r\n`
  const body = `${bytes}${field('expires_after[seconds]', '3600')}${field('expires_after[anchor]', 'created_at')}${field('purpose', 'vision')}--x--\r\n`
  const answer = await h.send('POST', '/v1/files', body, { 'content-type': 'multipart/form-data; boundary=x' })
  expect(await answer.json()).toMatchObject({
    filename: 'x.txt',
    bytes: 3,
    purpose: 'vision',
    expires_at: 1_790_003_600,
  })

  const expires_after = { anchor: 'created_at' as const, seconds: 3600 }
  const file = await h.client.files.create({ file: await hello(), expires_after, purpose: 'user_data' })
  expect(file.expires_at).toBe(file.created_at + 3600)
  h.time.now += 3_600_000
  await expect(h.client.files.retrieve(file.id)).rejects.toMatchObject({ status: 404 })
  await h.services.files.sweep()
  expect((await h.client.files.list()).data).toEqual([])
})

test.each([
  ['an unknown purpose', 'world_domination', 'x', { param: 'purpose', code: null }],
  ['an empty file', 'assistants', '', { param: 'file', code: null }],
])('%s is refused and leaves nothing behind', async (_, purpose, text, where) => {
  const h = await startApp()
  const creating = h.client.files.create({ file: new File([text], 'x.txt'), purpose: purpose as 'assistants' })
  await expect(creating).rejects.toMatchObject({ status: 400, ...where })
  expect((await h.client.files.list()).data).toEqual([])
  expect(bytesIn(h)).toEqual([])
})

test('a body that is no form is refused', async () => {
  const h = await startApp()
  expect((await h.send('POST', '/v1/files', { purpose: 'assistants' })).status).toBe(415)
})

const half = (text: string) => toFile(Buffer.from(text), 'part')

async function started(h: Harness) {
  const { uploads } = h.client
  const upload = await uploads.create({ bytes: 11, filename: 'a.txt', mime_type: 'text/plain', purpose: 'assistants' })
  const [world, greeting] = await Promise.all(
    ['world', 'hello '].map(async (text) => uploads.parts.create(upload.id, { data: await half(text) })),
  )
  return { uploads, upload, part_ids: [greeting?.id ?? '', world?.id ?? ''] }
}

test('the parts of an upload become a file in the order that its end gives', async () => {
  const h = await startApp()
  const { uploads, upload, part_ids } = await started(h)
  expect(upload).toMatchObject({ status: 'pending', expires_at: upload.created_at + 3600 })
  expect(upload).not.toHaveProperty('file')
  h.time.now += 5000
  const completed = await uploads.complete(upload.id, { part_ids, md5: '5eb63bbbe01eeed093cb22bb8f5acdc3' })
  expect(completed).toMatchObject({ status: 'completed', file: { bytes: 11, created_at: upload.created_at } })
  expect(await (await h.client.files.content(completed.file?.id ?? '')).text()).toBe('hello world')
  expect(bytesIn(h)).toHaveLength(1)
  await expect(uploads.cancel(upload.id)).rejects.toMatchObject({ status: 400 })
})

test('parts that are not what was announced leave the upload pending', async () => {
  const h = await startApp()
  const { uploads, upload, part_ids } = await started(h)
  const [first = ''] = part_ids
  for (const [body, param] of [
    [{ part_ids: [first] }, 'part_ids'],
    [{ part_ids: [first, first] }, 'part_ids[1]'],
    [{ part_ids: [first, 'part_none'] }, 'part_ids[1]'],
    [{ part_ids, md5: '0'.repeat(32) }, 'md5'],
  ] as const) {
    const completing = uploads.complete(upload.id, { ...body, part_ids: [...body.part_ids] })
    await expect(completing).rejects.toMatchObject({ status: 400, param })
  }
  expect(bytesIn(h)).toHaveLength(2)
  expect((await uploads.complete(upload.id, { part_ids })).status).toBe('completed')
})

test('an upload that is completed twice at once becomes one file', async () => {
  const h = await startApp()
  const { uploads, upload, part_ids } = await started(h)
  const ends = await Promise.allSettled([1, 2].map(() => uploads.complete(upload.id, { part_ids })))
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect((await h.client.files.list()).data).toHaveLength(1)
  expect(bytesIn(h)).toHaveLength(1)
})

test('a cancelled upload is over, and its bytes are gone', async () => {
  const h = await startApp()
  const { uploads, upload, part_ids } = await started(h)
  expect(await uploads.cancel(upload.id)).toMatchObject({ id: upload.id, status: 'cancelled' })
  expect(bytesIn(h)).toEqual([])
  const adding = half('x').then((data) => uploads.parts.create(upload.id, { data }))
  await expect(adding).rejects.toBeInstanceOf(OpenAI.BadRequestError)
  await expect(uploads.complete(upload.id, { part_ids })).rejects.toMatchObject({ status: 400 })
})

test('an upload that nobody completes is over after an hour, and its bytes with the next sweep but one', async () => {
  const h = await startApp()
  const { uploads, upload, part_ids } = await started(h)
  h.time.now += 3_600_000
  await expect(uploads.complete(upload.id, { part_ids })).rejects.toThrow(`Upload '${upload.id}' is expired`)
  // Blobs are dated by the true clock.
  h.time.now = Date.now() + 7_300_000
  await h.services.files.sweep()
  expect(bytesIn(h)).toEqual([])
})

test('a sweep removes what a process that died has left, and nothing else', async () => {
  const h = await startApp()
  const file = await h.client.files.create({ file: await hello(), purpose: 'assistants' })
  await createFolderBlobs(h.folder).put('file-orphan', Readable.from([Buffer.from('x')]), 10)
  writeFileSync(join(h.folder, 'unfinished/half'), 'x')
  for (const { name, parentPath } of bytesIn(h)) utimesSync(join(parentPath, name), 0, 0)
  h.time.now = Date.now()
  await h.services.files.sweep()
  expect(bytesIn(h).map(({ name }) => name)).toEqual([file.id])
})

test('a blob past its limit, or whose source breaks off, is none', async () => {
  const h = await startApp()
  const blobs = createFolderBlobs(h.folder)
  async function* source(breaksOff: boolean) {
    yield Buffer.alloc(600)
    if (breaksOff) throw new Error('gone')
    yield Buffer.alloc(600)
  }
  await expect(blobs.put('file-big', source(false), 1000)).rejects.toThrow()
  await expect(blobs.put('file-broken', source(true), 10_000)).rejects.toThrow('gone')
  expect(bytesIn(h)).toEqual([])
  expect(await blobs.get('file-big')).toBeUndefined()
})
