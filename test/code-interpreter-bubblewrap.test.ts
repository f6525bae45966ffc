import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import {
  accumulated,
  askCode,
  busySandboxes,
  codeOf,
  coding,
  download,
  givenTo,
  logsOf,
  sandboxes,
  uploaded,
  withoutIndexes,
} from './harness/code.ts'
import { checkEnded, madeBy } from './harness/engine.ts'
import { findDrivers } from './harness/sandbox.ts'
import { dataOf, saying } from './harness/search.ts'
import { sharedApp } from './harness/shared-app.ts'
import { allEvents } from './harness/sse.ts'

const isThere = (await findDrivers()).some(({ driver }) => driver === 'bubblewrap')
const canDraw = spawnSync('/usr/bin/python3', ['-c', 'import matplotlib']).status === 0

describe.runIf(isThere)('with bubblewrap', () => {
  const h = sharedApp({ CODE_INTERPRETER: 'bubblewrap' })

  test('code reads files of the user, keeps its state, writes files that are linked to, and fails as anywhere', async () => {
    const file = await uploaded(h, 'zahlen für😀.csv', 'a,b\n3,4\n')
    const { stream, complete } = await askCode(h, { tool_resources: givenTo(file) })
    const link = 'sandbox:/mnt/data/sum.txt'
    h.backend.turns.push(
      coding(`rows = open("/mnt/data/zahlen für😀.csv").read()\nprint(rows == open("/mnt/data/${file}").read())`),
      coding('total = sum(int(one) for one in rows.split()[1].split(","))\nopen("sum.txt", "w").write(str(total))'),
      coding('1/0', 'print(total)\ntotal'),
      saying(`See [sum](${link}).`),
    )
    const events = await allEvents(await stream())
    const made = await madeBy(h.client, dataOf(events, 'thread.run.created')[0])
    expect(made.run.status).toBe('completed')
    expect(logsOf(made.steps)).toEqual(['True\n', '', expect.stringMatching(/ZeroDivisionError: .*\n$/), '7\n'])
    const [note] = made.messages.flatMap(({ attachments }) => attachments ?? [])
    expect(await download(h, note?.file_id ?? '')).toBe('7')
    const told = await accumulated(events)
    expect(told.byDeltas).toEqual(made.steps.slice(0, 3).map((step) => step.step_details))
    expect(withoutIndexes(told.messages[0]?.content)).toEqual(made.messages[0]?.content)
    const next = await complete(coding('print(total, open("sum.txt").read())'), saying('.'))
    expect(logsOf(next.steps)).toEqual(['7 7\n'])
  })

  test('a run that is cancelled in the middle of code ends so, and all its processes with it', async () => {
    const { complete, run } = await askCode(h)
    const others = sandboxes()
    await complete(coding('x = 1'), saying('.'))
    h.backend.turns.push(coding('import os\nos.fork()\nwhile True: pass'))
    const begun = await run()
    await expect.poll(() => busySandboxes().length, { interval: 5, timeout: 10_000 }).toBeGreaterThan(0)
    await h.client.beta.threads.runs.cancel(begun.id, { thread_id: begun.thread_id })
    await expect.poll(async () => (await madeBy(h.client, begun)).run.status, { timeout: 10_000 }).toBe('cancelled')
    await expect.poll(() => sandboxes().filter((pid) => !others.includes(pid)), { timeout: 10_000 }).toEqual([])
    await checkEnded(h, begun)
  })

  test.runIf(canDraw)('matplotlib gives figures', async () => {
    const { complete } = await askCode(h)
    const { steps, messages } = await complete(
      coding('import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()\nprint("shown")\nplt.bar([1], [2])'),
      saying('Two plots.'),
    )
    const outputs = codeOf(steps)[0]?.outputs ?? []
    expect(outputs.map(({ type }) => type)).toEqual(['image', 'logs', 'image'])
    const images = outputs.flatMap((output) => (output.type === 'image' ? [output.image.file_id ?? ''] : []))
    for (const id of images) {
      const bytes = Buffer.from(await (await h.client.files.content(id)).arrayBuffer())
      expect(bytes.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n')
      expect(bytes.length).toBeGreaterThan(1000)
    }
    expect(messages[0]?.content).toMatchObject([
      ...images.map((file_id) => ({ type: 'image_file', image_file: { file_id } })),
      { type: 'text', text: { value: 'Two plots.' } },
    ])
  })
})
