import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createSqliteStore } from '../src/store/sqlite/sqlite-store.ts'
import type { Store } from '../src/store/store.ts'
import { aMessage, anAnswer, anAssistant, aRun, aThread } from './harness/objects.ts'
import { testStore } from './store-suite.ts'

testStore('sqlite', (clock) => createSqliteStore({ file: ':memory:', synchronous: 'NORMAL' }, clock))

/** Opens stores on one file, which is removed with the test. */
function onFile() {
  const dir = mkdtempSync(join(tmpdir(), 'store-'))
  const stores = new Set<Store>()
  onTestFinished(async () => {
    for (const store of stores) await store.close()
    rmSync(dir, { recursive: true })
  })
  const time = { now: 1_790_000_000_000 }
  return {
    time,
    open() {
      const store = createSqliteStore({ file: join(dir, 'a.db'), synchronous: 'NORMAL' }, () => time.now)
      stores.add(store)
      return store
    },
    async close(store: Store) {
      stores.delete(store)
      await store.close()
    },
  }
}

test('everything is there when the file is opened again, lists in their order and leases as they were', async () => {
  const file = onFile()
  const store = file.open()
  const [assistant, thread] = [anAssistant(), aThread()]
  const messages = ['a', 'b', 'c'].map((text) => aMessage(thread.id, text))
  const run = aRun(thread.id)
  await store.assistants.insert(assistant)
  await store.runs.insert(run, messages, thread)
  const claim = await store.runs.claim(file.time.now + 1000)
  await store.runs.commit(run.id, { to: 'in_progress', open: anAnswer(run) }, claim?.lease_id)
  const snapshot = await store.runs.snapshot({ run_id: run.id })
  await file.close(store)

  const again = file.open()
  expect(await again.assistants.get(assistant.id)).toEqual(assistant)
  expect(await again.threads.get(thread.id)).toEqual(thread)
  expect(await again.messages.page(thread.id, { limit: 3, order: 'asc' })).toMatchObject({ data: messages })
  expect(await again.runs.snapshot({ run_id: run.id })).toEqual(snapshot)
  expect(await again.runs.claim(file.time.now + 1000)).toBeUndefined()
  file.time.now += 1000
  expect((await again.runs.claim(file.time.now + 1000))?.run.id).toBe(run.id)
})

test('two stores on one file see each other, and one of two runs on a thread wins', async () => {
  const file = onFile()
  const [one, other] = [file.open(), file.open()]
  const thread = aThread()
  await one.threads.insert(thread, [])
  const runs = [aRun(thread.id), aRun(thread.id)] as const
  const answers = await Promise.all([one.runs.insert(runs[0], []), other.runs.insert(runs[1], [])])
  expect(answers.filter((answer) => 'refused' in answer)).toHaveLength(1)
  const claims = await Promise.all([one, other].map((store) => store.runs.claim(file.time.now + 1000)))
  expect(claims.filter(Boolean)).toHaveLength(1)
})

test('a store that is closed does not answer pings', async () => {
  const file = onFile()
  const store = file.open()
  await file.close(store)
  await expect(store.ping()).rejects.toThrow()
})
