import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { aFolder, type Harness, startApp } from './harness/app.ts'
import { ingest, storeOf } from './harness/search.ts'

describe('nothing stays on disk of what is deleted', () => {
  const secret = 'Xylophonewarehouse'
  /** The files below the folder that have the word in them, in any case: the index may keep words as it likes. */
  const traces = ({ folder }: Harness) =>
    globSync('**/*', { cwd: folder, withFileTypes: true })
      .filter((one) => one.isFile() && !one.name.startsWith('assistants.db'))
      .filter(({ parentPath, name }) => /xylophonewarehouse/i.test(readFileSync(join(parentPath, name), 'latin1')))
      .map(({ name }) => name)

  async function given() {
    const h = await startApp({ folder: aFolder() })
    const text = `The ${secret} is closed on Mondays. `.repeat(200)
    return { h, ...(await storeOf(h, { 'a.txt': text, 'b.txt': 'Something else.' })) }
  }

  test('of a file: neither its bytes nor its words, in all stores that had it', async () => {
    const { h, id, file_ids } = await given()
    const [file = ''] = file_ids
    const other = await h.client.vectorStores.create({ file_ids })
    await ingest(h)
    expect(traces(h)).not.toEqual([])
    await h.client.files.delete(file)
    for (const store of [id, other.id]) {
      expect((await h.client.vectorStores.search(store, { query: secret })).data).toEqual([])
      expect((await h.client.vectorStores.files.list(store)).data.map((one) => one.id)).toEqual([file_ids[1]])
      expect(await h.client.vectorStores.retrieve(store)).toMatchObject({ file_counts: { completed: 1, total: 1 } })
    }
    await h.services.ingestor.erased()
    await h.services.ingestor.erased()
    await h.close()
    expect(traces(h)).toEqual([])
  })

  test('of a store: the bytes of its files alone', async () => {
    const { h, id, file_ids } = await given()
    await h.client.vectorStores.delete(id)
    await h.services.ingestor.erased()
    await h.services.ingestor.erased()
    await h.close()
    expect(traces(h)).toEqual([file_ids[0]])
  })

  test('of a file in a store: its bytes alone', async () => {
    const { h, id, file_ids } = await given()
    await h.client.vectorStores.files.delete(file_ids[0] ?? '', { vector_store_id: id })
    expect((await h.client.vectorStores.search(id, { query: secret })).data).toEqual([])
    await h.services.ingestor.erased()
    await h.services.ingestor.erased()
    await h.close()
    expect(traces(h)).toEqual([file_ids[0]])
  })

  test('of the only file there is, when it expires', async () => {
    const h = await startApp({ folder: aFolder() })
    const expires_after = { anchor: 'created_at' as const, seconds: 3600 }
    const file = await h.client.files.create({
      file: new File([`The ${secret}`], 'a.txt'),
      purpose: 'assistants',
      expires_after,
    })
    const { id } = await h.client.vectorStores.create({ file_ids: [file.id] })
    await ingest(h)
    expect((await h.client.vectorStores.search(id, { query: secret })).data).toHaveLength(1)
    h.time.now = Date.now() + 4 * 3_600_000
    await h.services.files.sweep()
    expect((await h.client.vectorStores.retrieve(id)).file_counts.total).toBe(0)
    await h.services.ingestor.erased()
    await h.services.ingestor.erased()
    await h.close()
    expect(traces(h)).toEqual([])
  })
})
