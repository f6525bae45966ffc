import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Connection, call, requestText } from '../connection.ts'
import { start, startArgs } from '../processes.ts'
import { type Figure, isMissed, markdownTable, quantile, timesAtMost } from '../table.ts'
import { createText } from './text.ts'

/*
 * What other clients notice while files are read and searched: the times of plain requests at a steady rate, when the
 * server does nothing else and when it reads a batch of files and answers searches without a pause.
 */

const files = 300
const wordsPerFile = 5000
const searchers = 2
const probeMs = 10
const idleSeconds = 15

const text = createText(1)
const folder = mkdtempSync(join(tmpdir(), 'assistants-bench-'))
const server = await start(startArgs(), {
  isServer: false,
  isPinned: false,
  log: join(folder, 'log'),
  env: { DATABASE_URL: `sqlite:${join(folder, 'bench.db')}`, DATA_DIR: join(folder, 'data'), LOG_LEVEL: 'warn' },
})
const { port } = server
const base = `http://127.0.0.1:${port}/v1`

async function upload(name: string, content: string): Promise<string> {
  const form = new FormData()
  form.set('purpose', 'assistants')
  form.set('file', new File([content], name))
  const answer = await fetch(`${base}/files`, {
    method: 'POST',
    headers: { authorization: 'Bearer bench' },
    body: form,
  })
  return ((await answer.json()) as { id: string }).id
}

const assistant = await call<{ id: string }>(port, 'POST', '/v1/assistants', { model: 'demo' })
const thread = await call<{ id: string }>(port, 'POST', '/v1/threads', {})
const probes = {
  'GET assistant': requestText('GET', `/v1/assistants/${assistant.id}`),
  'POST message': requestText('POST', `/v1/threads/${thread.id}/messages`, { role: 'user', content: 'Hello' }),
}

/** The times (ms) of each kind of request, sent one after the other at a steady rate, until `isOver`. */
async function probe(isOver: () => boolean): Promise<Record<string, number[]>> {
  const measured = Object.entries(probes).map(async ([name, request]) => {
    const connection = new Connection(port)
    const times: number[] = []
    while (!isOver()) {
      const sentAt = performance.now()
      await connection.send(request)
      times.push(performance.now() - sentAt)
      await delay(probeMs)
    }
    connection.close()
    return [name, times] as const
  })
  return Object.fromEntries(await Promise.all(measured))
}

/** Searches without a pause until `isOver`; the times (ms). */
async function search(store: string, questions: readonly string[], isOver: () => boolean): Promise<number[]> {
  const connection = new Connection(port)
  const times: number[] = []
  for (let at = 0; !isOver(); at++) {
    const query = questions[at % questions.length] ?? ''
    const sentAt = performance.now()
    await connection.send(requestText('POST', `/v1/vector_stores/${store}/search`, { query }))
    times.push(performance.now() - sentAt)
  }
  connection.close()
  return times
}

const contents = Array.from({ length: files }, () => text.chunk(wordsPerFile))
const ids: string[] = []
for (const [index, content] of contents.entries()) ids.push(await upload(`file-${index}.txt`, content))
const store = await call<{ id: string }>(port, 'POST', '/v1/vector_stores', { file_ids: ids.slice(0, 10) })
const inProgress = async () =>
  (await call<{ file_counts: { in_progress: number } }>(port, 'GET', `/v1/vector_stores/${store.id}`)).file_counts
    .in_progress
while ((await inProgress()) > 0) await delay(100)

// The first requests of a process are its slowest.
const warmUntil = performance.now() + 2000
await probe(() => performance.now() > warmUntil)
const idleUntil = performance.now() + idleSeconds * 1000
const idle = await probe(() => performance.now() > idleUntil)

let isRead = false
const questions = contents.slice(0, 50).map((content) => text.question(content))
const startedAt = performance.now()
await call(port, 'POST', `/v1/vector_stores/${store.id}/file_batches`, { file_ids: ids.slice(10) })
const searching = Array.from({ length: searchers }, () => search(store.id, questions, () => isRead))
const probing = probe(() => isRead)
while ((await inProgress()) > 0) await delay(250)
const seconds = (performance.now() - startedAt) / 1000
isRead = true
const busy = await probing
const searched = (await Promise.all(searching)).flat()
const { data } = await call<{ data: object[] }>(port, 'GET', `/v1/vector_stores/${store.id}/files/${ids[20]}/content`)
await server.stop()
rmSync(folder, { recursive: true })

const figures = Object.keys(probes).flatMap((name): Figure[] => {
  const of = (part: number) => ({
    ours: quantile(busy[name] ?? [], part),
    reference: quantile(idle[name] ?? [], part),
    digits: 2,
  })
  return [
    { name: `${name}, median, ms`, ...of(0.5) },
    { name: `${name}, p99, ms`, ...of(0.99), target: timesAtMost(3) },
  ]
})
figures.push(
  { name: 'searches/s meanwhile', ours: searched.length / seconds },
  { name: 'a search meanwhile, median, ms', ours: quantile(searched, 0.5), digits: 1 },
  { name: 'files read/s', ours: (files - 10) / seconds, digits: 1 },
  { name: 'chunks read/s', ours: ((files - 10) * data.length) / seconds },
)
process.stdout.write(`${markdownTable(figures)}\n`)
if (figures.some(isMissed)) process.exitCode = 1
