import { mkdirSync, readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { shareSnapshot } from './harness/app.ts'
import { ScriptedBackend } from './harness/backend.ts'
import { busySandboxes, codeTool, coding, isAlive, logsOf, sandboxes } from './harness/code.ts'
import { atRest, converse, madeBy } from './harness/engine.ts'
import { aDirectory, startProcess } from './harness/process.ts'
import { callsOf, saying } from './harness/search.ts'

/** The same server again and again, on one database and one folder. */
async function restartable() {
  const backend = await new ScriptedBackend().start()
  onTestFinished(() => backend.stop())
  const dir = aDirectory()
  const [folder, tmp] = [join(dir, 'data'), join(dir, 'tmp')]
  for (const one of [folder, tmp]) mkdirSync(one)
  shareSnapshot(folder)
  // A worker that was killed keeps its runs for so long.
  const env = {
    PATH: process.env.PATH ?? '',
    TMPDIR: tmp,
    OPENAI_BASE_URL: backend.url,
    RUN_LEASE_SECONDS: '1',
    CODE_INTERPRETER: 'pyodide',
  }
  const start = () => startProcess({ dir, env })
  return { backend, folder, tmp, start }
}

/** Files whose bytes are kept, and what was not finished. */
const blobsIn = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name !== 'sandbox' && !name.startsWith('index'))
    .flatMap((shelf) => readdirSync(join(folder, shelf)).map((name) => join(folder, shelf, name)))

type Client = Awaited<ReturnType<typeof startProcess>>['client']

const filesMade = async (client: Client) =>
  (await client.files.list({ purpose: 'assistants_output', order: 'asc' })).data

test('a SIGKILL in the middle of code ends that with the server; the next process runs it again, and once', {
  timeout: 60_000,
}, async () => {
  const { backend, folder, tmp, start } = await restartable()
  const server = await start()
  const slow =
    'open("out.txt", "w").write("written")\nprint("begun", flush=True)\nimport time\ntime.sleep(1)\nprint("ended")'
  backend.turns.push(coding('print(1)', slow), saying('[Here](sandbox:/mnt/data/out.txt).'))
  const begun = await (await converse(server.client, { tools: [codeTool] })).run()
  const shown = async () => logsOf((await madeBy(server.client, begun)).steps)
  await expect.poll(shown, { interval: 5, timeout: 30_000 }).toEqual(['1\n', ''])
  await expect.poll(() => busySandboxes().length, { interval: 2, timeout: 10_000 }).toBeGreaterThan(0)
  const before = await madeBy(server.client, begun)
  const processes = sandboxes()
  await server.kill()
  await expect.poll(() => processes.filter(isAlive), { timeout: 10_000 }).toEqual([])
  expect(blobsIn(folder)).toEqual([])

  const { client } = await start()
  expect(await atRest(client, begun)).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
  const { steps, messages } = await madeBy(client, begun)
  expect(backend.requests).toHaveLength(2)
  expect(steps.map(({ type, status }) => `${type} ${status}`)).toEqual([
    'tool_calls completed',
    'message_creation completed',
  ])
  expect(callsOf(steps[0]).map(({ id }) => id)).toEqual(callsOf(before.steps[0]).map(({ id }) => id))
  expect(logsOf(steps)).toEqual(['1\n', 'begun\nended\n'])
  const files = await filesMade(client)
  expect(files.map(({ filename }) => filename)).toEqual(['out.txt'])
  const [part] = messages[0]?.content ?? []
  expect(part?.type === 'text' && part.text.annotations).toMatchObject([{ file_path: { file_id: files[0]?.id } }])
  expect(await client.files.content(files[0]?.id ?? '').then((answer) => answer.text())).toBe('written')
  expect([blobsIn(folder).length, readdirSync(tmp)]).toEqual([1, []])
  await client.beta.threads.messages.create(begun.thread_id, { role: 'user', content: 'Next.' })
})

test('a SIGKILL while what code has written is being kept: there is one set of files, and the rest is swept', {
  timeout: 60_000,
}, async () => {
  const { backend, folder, start } = await restartable()
  const server = await start()
  backend.turns.push(coding('for i in range(90): open(f"{i:02}.txt", "w").write(str(i))'), saying('Done.'))
  const begun = await (await converse(server.client, { tools: [codeTool] })).run()
  await expect.poll(() => blobsIn(folder).length, { interval: 1, timeout: 30_000 }).toBeGreaterThan(0)
  const processes = sandboxes()
  await server.kill()
  await expect.poll(() => processes.filter(isAlive), { timeout: 10_000 }).toEqual([])

  const second = await start()
  expect(await atRest(second.client, begun)).toMatchObject({ status: 'completed' })
  const names = Array.from({ length: 90 }, (_, index) => `${String(index).padStart(2, '0')}.txt`)
  const files = await filesMade(second.client)
  expect(files.map(({ filename }) => filename).sort()).toEqual(names)
  // More, unless all of them were kept before the kill came.
  expect(blobsIn(folder).length).toBeGreaterThanOrEqual(90)
  expect(await second.stop()).toBe(0)
  expect(sandboxes()).toEqual([])

  // What belongs to nothing for long is deleted at the next start.
  const old = Date.now() / 1000 - 86_400
  for (const path of blobsIn(folder)) utimesSync(path, old, old)
  const third = await start()
  await expect.poll(() => blobsIn(folder).length, { timeout: 10_000 }).toBe(90)
  for (const { id, filename } of files.slice(0, 3)) {
    const text = await third.client.files.content(id).then((answer) => answer.text())
    expect(text).toBe(String(Number.parseInt(filename, 10)))
  }
})
