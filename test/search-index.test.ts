import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SearchIndex } from '../src/retrieval/search-index.ts'
import { slipsBetween } from '../src/retrieval/spelling.ts'
import { createSqliteIndex, type SqliteIndexOptions } from '../src/retrieval/sqlite-index/sqlite-index.ts'
import { searchIndexSuite } from './search-index-suite.ts'

searchIndexSuite('the SQLite index', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'search-index-'))
  const index = createSqliteIndex({ file: join(folder, 'search.db') })
  return {
    index,
    destroy: async () => {
      await index.close()
      rmSync(folder, { recursive: true })
    },
  }
})

describe('the file of the SQLite index', () => {
  let folder: string
  let file: string
  const open: SearchIndex[] = []
  const errors: Error[] = []
  const create = (options: Partial<SqliteIndexOptions> = {}) => {
    const index = createSqliteIndex({ file, onError: (error) => errors.push(error), ...options })
    open.push(index)
    return index
  }
  const find = (index: SearchIndex, text: string) => index.search({ stores: [1], queries: [{ text }], limit: 10 })

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'search-index-'))
    file = join(folder, 'data', 'search.db')
    errors.length = 0
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((index) => index.close()))
    rmSync(folder, { recursive: true })
  })

  test('is not made before the index is used, and is all that is left once it is closed', async () => {
    const index = create()
    expect(readdirSync(folder)).toEqual([])
    await index.put({ store: 1, entry: 1 }, ['walrus'])
    await find(index, 'walrus')
    await index.close()
    expect(readdirSync(join(folder, 'data'))).toEqual(['search.db'])
  })

  test('keeps what was put', async () => {
    const first = create()
    await first.put({ store: 1, entry: 1 }, ['walrus'])
    await first.close()
    const second = create()
    expect(await find(second, 'walrus')).toHaveLength(1)
    expect(errors).toEqual([])
  })

  test('has nothing of a removed entry or store', async () => {
    const index = create()
    const secrets = Array.from(
      { length: 120 },
      (_, at) => `Zanzibarium xylophonist ${at} hushword${at} 機密 naïveté getSecretKey`,
    )
    await index.put({ store: 1, entry: 1 }, secrets)
    await index.put({ store: 1, entry: 2 }, ['walrus', 'zanzibarian'])
    await index.put({ store: 2, entry: 3 }, secrets)
    await index.put({ store: 2, entry: 4 }, ['quixotry'])
    await index.put({ store: 3, entry: 5 }, ['quixotry'])
    await index.put({ store: 3, entry: 5 }, ['other'])
    await index.remove({ store: 1, entry: 1 })
    await index.removeStore(2)
    expect(await find(index, 'zanzibarium')).toMatchObject([{ entry: 2 }])
    await index.close()
    const bytes = readFileSync(file)
    const traces = ['anzibariu', 'ylophonis', 'hushword', '機密', 'getSecret', 'getsecret', 'secretkey', 'uixotr']
    expect(traces.filter((trace) => bytes.includes(trace))).toEqual([])
    expect(bytes.includes('walrus')).toBe(true)
  })

  test('counts again as before once all is removed', async () => {
    const index = create()
    for (let entry = 1; entry <= 5; entry++) await index.put({ store: 1, entry }, ['walrus', 'penguin', 'seal'])
    await index.put({ store: 1, entry: 1 }, ['otter'])
    for (let entry = 1; entry <= 5; entry++) await index.remove({ store: 1, entry })
    await index.close()
    const db = new Database(file, { readonly: true })
    const left = ['entries', 'chunks', 'vectors', 'vocabulary'].map((table) =>
      db.prepare(`SELECT * FROM ${table}`).all(),
    )
    expect(left).toEqual([[], [], [], []])
    expect(db.prepare('SELECT chunks FROM totals').pluck().get()).toBe(0)
    db.close()
  })

  test.each([
    ['no database', () => Buffer.from('not a database at all, and long enough to have a header'.repeat(20))],
    ['cut off', (bytes: Buffer) => bytes.subarray(0, 5000)],
    ['scribbled over', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 100), Buffer.alloc(bytes.length - 100, 7)])],
  ])('is made anew when it is %s, and that is told', async (_, spoil) => {
    const first = create()
    await first.put({ store: 1, entry: 1 }, ['walrus'])
    await first.close()
    writeFileSync(file, spoil(readFileSync(file)))
    const second = create()
    expect(await second.entries()).toEqual([])
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('made anew')])
    await second.put({ store: 1, entry: 1 }, ['penguin'])
    expect(await find(second, 'penguin')).toHaveLength(1)
  })

  test('is made anew when it has another format', async () => {
    await create().put({ store: 1, entry: 1 }, ['walrus'])
    await open.pop()?.close()
    const db = new Database(file)
    db.pragma('user_version = 999')
    db.close()
    expect(await create().entries()).toEqual([])
    expect(errors.map(({ cause }) => String(cause))).toEqual([expect.stringContaining('format 999')])
    expect(readdirSync(join(folder, 'data')).filter((name) => name.endsWith('.aside'))).toEqual([])
  })

  test('is put aside, not deleted, when it is some other database', async () => {
    file = join(folder, 'other.db')
    const db = new Database(file)
    db.exec('CREATE TABLE precious (thing)')
    db.close()
    expect(await create().entries()).toEqual([])
    const aside = new Database(`${file}.aside`, { readonly: true })
    expect(aside.prepare('SELECT * FROM precious').all()).toEqual([])
    aside.close()
  })

  test('is made anew when it turns out to be broken in use', async () => {
    const first = create()
    const texts = Array.from({ length: 300 }, (_, at) => `walrus ${at} `.repeat(50))
    await first.put({ store: 1, entry: 1 }, texts)
    await first.close()
    const bytes = readFileSync(file)
    // The first pages, which are read at the start, stay as they are.
    writeFileSync(file, bytes.fill(0x5a, 16 * 4096))
    const second = create()
    await expect(find(second, 'walrus')).rejects.toThrow()
    expect(errors).toHaveLength(1)
    expect(await second.entries()).toEqual([])
    await second.put({ store: 1, entry: 1 }, ['penguin'])
    expect(await find(second, 'penguin')).toHaveLength(1)
  })

  test('threads that were let go are started again', async () => {
    const index = create({ idleMs: 0 })
    await index.put({ store: 1, entry: 1 }, ['walrus'])
    for (let round = 0; round < 5; round++) {
      await new Promise(setImmediate)
      expect(await find(index, 'walrus')).toHaveLength(1)
      await index.put({ store: 1, entry: round + 2 }, ['seal'])
    }
  })

  test('a put that was killed is not found, its words are cleared, and the next put stands', async () => {
    const module = new URL('../src/retrieval/sqlite-index/sqlite-index.ts', import.meta.url).href
    const program = `
      const { createSqliteIndex } = await import(${JSON.stringify(module)})
      const index = createSqliteIndex({ file: ${JSON.stringify(file)} })
      await index.put({ store: 1, entry: 1 }, ['walrus'])
      const chunks = Array.from({ length: 20_000 }, (_, at) => 'halfway zanzibar ' + at)
      index.put({ store: 1, entry: 1 }, chunks)
      index.put({ store: 1, entry: 2 }, chunks)
      console.log('putting')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    const reader = new Database(file, { readonly: true })
    const written = reader.prepare('SELECT count(*) FROM chunks').pluck()
    while ((written.get() as number) < 200) await new Promise(setImmediate)
    reader.close()
    child.kill('SIGKILL')
    await once(child, 'exit')

    const index = create()
    expect(await find(index, 'zanzibar')).toEqual([])
    expect(await index.content({ store: 1, entry: 1 })).toEqual(['walrus'])
    expect(await index.entries()).toEqual([{ store: 1, entry: 1, model: null }])
    await index.put({ store: 1, entry: 2 }, ['penguin'])
    // It waits for all that is to be cleared.
    await index.remove({ store: 1, entry: 3 })
    await index.close()
    expect(errors).toEqual([])
    expect(readFileSync(file).includes('zanzibar')).toBe(false)
  })
})

test.each([
  ['refund', 'refund', 0],
  ['refnud', 'refund', 1],
  ['refud', 'refund', 1],
  ['refunds', 'refund', 1],
  ['rexund', 'refund', 1],
  ['erfudn', 'refund', 2],
  ['abcdef', 'refund', 3],
  ['', 'refund', 3],
  ['re', 'refund', 3],
])('from %o to %o the slips are %i, more than two counting as three', (a, b, slips) => {
  expect(slipsBetween(a, b, 2)).toBe(slips)
})
