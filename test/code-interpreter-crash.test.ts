import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { createServices, type Services } from '../src/services.ts'
import { aFolder, type Harness, startApp } from './harness/app.ts'
import {
  askCode,
  busySandboxes,
  codeCall,
  codeTool,
  coding,
  download,
  figure,
  logsOf,
  sandboxes,
} from './harness/code.ts'
import { atRest, checkEnded, lookupTool, madeBy, outputsFor } from './harness/engine.ts'
import { callsOf, saying, toldIn } from './harness/search.ts'

/** The server on a database in a file, whose runs nobody takes without being asked to, and whose leases are short. */
const startShared = () =>
  startApp({ started: false, leaseMs: 1000, folder: aFolder(), env: { CODE_INTERPRETER: 'pyodide' } })

/** Another process's worker on the same database and folder, with sandboxes of its own. */
function anotherWorker(h: Harness): Services {
  const overrides = { clock: () => h.time.now, leaseMs: 1000, beatMs: 3_600_000 }
  const services = createServices(h.services.config, pino({ level: 'silent' }), overrides)
  onTestFinished(async () => {
    await services.executor.stop(0)
    await services.close()
  })
  return services
}

/** Writes and draws, and takes its time before it ends. */
const slow = `print("begun")
open("out.txt", "w").write("written")
${figure()}import time
time.sleep(0.5)
print("ended")`
const link = 'sandbox:/mnt/data/out.txt'

const filesMade = async (h: Harness) => {
  const { data } = await h.client.files.list({ purpose: 'assistants_output', order: 'asc' })
  return data.map(({ filename }) => filename)
}

/** All files whose bytes are kept, whether they are files of the API or not. */
const blobsIn = ({ folder }: Harness) =>
  readdirSync(folder)
    .filter((name) => name.length === 2)
    .flatMap((shelf) => readdirSync(join(folder, shelf)))

const begunCode = (before: readonly number[]) =>
  expect
    .poll(() => busySandboxes().filter((pid) => !before.includes(pid)).length, { interval: 5, timeout: 10_000 })
    .toBeGreaterThan(0)

test('a worker that is lost in the middle of code is followed by one that runs it again; nothing is doubled', async () => {
  const h = await startShared()
  const { run } = await askCode(h, { tools: [codeTool, lookupTool] })
  h.backend.turns.push(
    ({ calls }) => calls(codeCall('print(1)'), codeCall(slow), { name: 'lookup', arguments: '{}' }),
    saying(`[Here](${link}).`),
  )
  const begun = await run()
  const lost = h.services.executor.tick()
  const shown = async () => logsOf((await madeBy(h.client, begun)).steps)
  await expect.poll(shown, { interval: 5, timeout: 15_000 }).toEqual(['1\n', ''])
  const { steps: before } = await madeBy(h.client, begun)
  await begunCode([])

  h.time.now += 1000
  const other = anotherWorker(h)
  expect(await other.executor.tick()).toBe(true)
  const waiting = await atRest(h.client, begun)
  expect(h.backend.requests).toHaveLength(1)
  expect(waiting.required_action?.submit_tool_outputs.tool_calls).toHaveLength(1)
  // What the lost one brings in the end is nobody's business any more.
  await lost
  expect(await h.client.beta.threads.runs.retrieve(begun.id, { thread_id: begun.thread_id })).toEqual(waiting)

  const body = { thread_id: begun.thread_id, tool_outputs: outputsFor(waiting) }
  await h.client.beta.threads.runs.submitToolOutputs(begun.id, body)
  expect(await other.executor.tick()).toBe(true)
  const made = await checkEnded(h, begun)
  expect(made.run).toMatchObject({ status: 'completed', usage: { total_tokens: 30 } })
  expect(callsOf(made.steps[0]).map(({ id }) => id)).toEqual(callsOf(before[0]).map(({ id }) => id))
  // What had been answered was not asked again, and the model is told that what ran again stood alone.
  expect(logsOf(made.steps)).toEqual(['1\n', 'begun\nended\n'])
  expect(toldIn(h, 1)).toEqual(['1', expect.stringContaining('This ran in a new session'), 'sunny'])
  const [image, text] = made.messages[0]?.content ?? []
  expect(image?.type).toBe('image_file')
  const [note] = text?.type === 'text' ? text.text.annotations : []
  expect(await download(h, note?.type === 'file_path' ? note.file_path.file_id : '')).toBe('written')
  expect(await filesMade(h)).toEqual(['out.txt', 'figure-1-1.png'])
  h.time.now = Date.now() + 4 * 3_600_000
  await h.services.files.sweep()
  expect(blobsIn(h)).toHaveLength(2)
})

test('a stop in the middle of code ends its process and gives the run back; the next start runs it again', async () => {
  const h = await startShared()
  const { run } = await askCode(h)
  h.backend.turns.push(coding(slow), saying('Done.'))
  const begun = await run()
  h.services.executor.start()
  await h.backend.requested(1)
  await expect.poll(async () => callsOf((await madeBy(h.client, begun)).steps[0]), { timeout: 10_000 }).toHaveLength(1)
  await begunCode([])
  await h.services.executor.stop(0)
  expect(sandboxes()).toEqual([])
  const before = await madeBy(h.client, begun)
  expect(before.run.status).toBe('in_progress')
  expect(await filesMade(h)).toEqual([])

  expect(await anotherWorker(h).executor.tick()).toBe(true)
  const made = await checkEnded(h, begun)
  expect(made.run.status).toBe('completed')
  expect(made.messages.map((message) => message.content.map(({ type }) => type))).toEqual([['image_file', 'text']])
  expect(await filesMade(h)).toEqual(['out.txt', 'figure-1-1.png'])
  expect(h.backend.requests).toHaveLength(2)
})

test('a server that ends leaves no process behind, whether its sessions are idle or busy', async () => {
  const h = await startApp({ folder: aFolder(), env: { CODE_INTERPRETER: 'pyodide' } })
  const idle = await askCode(h)
  await idle.complete(coding('x = 1'), saying('.'))
  const before = sandboxes()
  expect(before).not.toEqual([])
  const { run } = await askCode(h)
  h.backend.turns.push(coding('while True: pass'))
  await run()
  await begunCode(before)
  await h.close()
  expect(sandboxes()).toEqual([])
})
