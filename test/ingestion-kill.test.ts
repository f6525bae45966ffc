import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { contentsOf, textsBy, uploadTexts } from './harness/ingestion.ts'
import { aDirectory, type ServerProcess, startProcess } from './harness/process.ts'
import { randomBy } from './harness/random.ts'

const seed = Number(process.env.KILL_SEED ?? 1)
const files = Number(process.env.INGEST_FILES ?? 20)
const kills = 5

/** A client's request may meet a server that is just being killed. */
async function completedIn({ client }: ServerProcess, id: string): Promise<number> {
  const { file_counts } = await client.vectorStores.retrieve(id)
  return file_counts.completed
}

test(`${files} files and ${kills} SIGKILLs at random moments: all end completed, and no chunk is there twice`, {
  timeout: 300_000,
}, async () => {
  const random = randomBy(seed)
  const dir = aDirectory()
  const start = () => startProcess({ dir, env: { RUN_LEASE_SECONDS: '1' } })
  const texts = textsBy(seed, files)
  let server = await start()
  const file_ids = await uploadTexts(server.client, texts)
  const { id } = await server.client.vectorStores.create({})
  await server.client.vectorStores.fileBatches.create(id, { file_ids })
  for (let kill = 0; kill < kills; kill++) {
    const done = await completedIn(server, id)
    // Some kills come before anything is taken up again, the others in the middle of a file.
    const more = random.chance(0.8) ? 1 + random.below(Math.max(1, (files - done) / (kills - kill))) : 0
    const target = Math.min(files - 1, done + more)
    const { client } = server
    await expect
      .poll(() => completedIn({ client } as ServerProcess, id), { timeout: 60_000, interval: 1 })
      .toBeGreaterThanOrEqual(target)
    await server.kill()
    server = await start()
  }
  const { client } = server
  const statusOf = async () => (await client.vectorStores.retrieve(id)).status
  await expect.poll(statusOf, { timeout: 120_000, interval: 20 }).toBe('completed')
  const store = await client.vectorStores.retrieve(id)
  expect(store.file_counts).toEqual({ in_progress: 0, completed: files, failed: 0, cancelled: 0, total: files })
  const contents = await contentsOf(client, id, file_ids)

  // The same files, read without being disturbed.
  const fresh = await client.vectorStores.create({ file_ids })
  await expect
    .poll(async () => (await client.vectorStores.retrieve(fresh.id)).status, { timeout: 120_000 })
    .toBe('completed')
  expect(await contentsOf(client, fresh.id, file_ids)).toEqual(contents)
  expect((await client.vectorStores.retrieve(fresh.id)).usage_bytes).toBe(store.usage_bytes)
  for (const [n, chunks] of contents.entries()) expect(chunks[0]?.startsWith(`File ${n}.`)).toBe(true)
  const { data } = await client.vectorStores.search(id, { query: `File ${files - 1}`, max_num_results: 50 })
  expect(new Set(data.map(({ content }) => content[0]?.text)).size).toBe(data.length)
  expect(await server.stop()).toBe(0)

  const index = new Database(join(dir, 'data', 'search.db'), { readonly: true })
  // Of both stores, and nothing that a process left in part.
  const chunks = 2 * contents.flat().length
  const count = (sql: string) => index.prepare(sql).pluck().get()
  expect(count('SELECT count(*) FROM entries')).toBe(2 * files)
  expect(count('SELECT count(*) FROM chunks')).toBe(chunks)
  expect(count('SELECT chunks FROM totals')).toBe(chunks)
  index.close()
})
