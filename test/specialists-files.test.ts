import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest } from './harness/engine.ts'
import { askFiles, ingest, onlyText, saying, searching, searchTool, toldIn, upload } from './harness/search.ts'
import { handingOver, lastTold, resultOf, specialistTool } from './harness/specialists.ts'

const notes = { 'notes.md': 'Project Phoenix begins in March. Its leader is Ada.' }
const cited = 'In March【4:0†notes.md】.'
const codeTool = { type: 'code_interpreter' as const }

const coding =
  (code: string): Turn =>
  ({ calls }) =>
    calls({ name: 'code_interpreter', arguments: JSON.stringify({ code }) })

/** A run of an assistant with this tool and specialists, on a thread whose message comes with these files. */
async function runOn(
  h: Harness,
  tool: typeof searchTool | typeof codeTool,
  texts: Record<string, string>,
  turns: Turn[],
) {
  const { assistants, threads } = h.client.beta
  const { id: assistant_id } = await assistants.create({ model: 'm', tools: [tool, specialistTool] })
  const attachments = (await upload(h, texts)).map((file_id) => ({ file_id, tools: [tool] }))
  const thread = await threads.create({ messages: [{ role: 'user', content: 'What is there?', attachments }] })
  await ingest(h)
  h.backend.turns = turns
  const run = await atRest(h.client, await threads.runs.create(thread.id, { assistant_id }))
  return { thread, ...(await resultOf(h, run)) }
}

describe('file_search of a specialist', () => {
  test("finds what is in the files of the parent's thread", async () => {
    const h = await startApp()
    const { run, children, thread } = await runOn(h, searchTool, notes, [
      handingOver({}),
      searching('Phoenix'),
      saying(cited),
      saying('March it is.'),
    ])
    expect(run.status).toBe('completed')
    expect(toldIn(h, 2)[0]).toContain('Project Phoenix begins in March.')
    const [child] = children
    const { tool_resources } = await h.client.beta.threads.retrieve(child?.run.thread_id ?? '')
    expect(tool_resources).toEqual((await h.client.beta.threads.retrieve(thread.id)).tool_resources)
    expect(onlyText(child?.messages[0]).annotations).toMatchObject([
      { type: 'file_citation', text: '【4:0†notes.md】' },
    ])
  })

  test("finds what is in the assistant's stores, and its marks are not told to the run", async () => {
    const h = await startApp()
    const { run } = await askFiles(h, notes, { tools: [searchTool, specialistTool] })
    h.backend.turns = [
      handingOver({}),
      searching('Phoenix'),
      saying(cited),
      saying('In March【4:0†notes.md】, it says.'),
    ]
    const { outputs, children, messages } = await resultOf(h, await atRest(h.client, await run()))
    expect(onlyText(children[0]?.messages[0]).value).toBe(cited)
    expect(outputs).toEqual(['In March.'])
    expect(lastTold(h)).toBe('In March.')
    // What the specialist has found is no source of the run.
    expect(onlyText(messages[0])).toEqual({ value: 'In March, it says.', annotations: [] })
  })

  test('finds nothing any more once a client has deleted its thread, and the files stay', async () => {
    const h = await startApp()
    const { thread, children } = await runOn(h, searchTool, notes, [handingOver({})])
    await h.client.beta.threads.delete(children[0]?.run.thread_id ?? '')
    const { tool_resources } = await h.client.beta.threads.retrieve(thread.id)
    const [store = ''] = tool_resources?.file_search?.vector_store_ids ?? []
    const { data } = await h.client.vectorStores.search(store, { query: 'Phoenix' })
    expect(data).toMatchObject([{ filename: 'notes.md' }])
  })
})

test("code of a specialist has the files of the parent's thread and a session of its own; the run links to what it linked to", async () => {
  const h = await startApp({ env: { CODE_INTERPRETER: 'pyodide' } })
  const link = '[the sum](sandbox:/mnt/data/the%20sum.txt)'
  const { run, children, messages, steps, outputs } = await runOn(h, codeTool, { 'data.csv': '1\n2\n3\n' }, [
    coding('x = 7; open("/mnt/data/mine.txt", "w").write("7")'),
    handingOver({}),
    coding(
      'import os\nprint("x" in globals(), sorted(os.listdir("/mnt/data"))[:1])\n' +
        'total = sum(int(line) for line in open("/mnt/data/data.csv"))\n' +
        'for name in ("the sum", "draft"): open(f"/mnt/data/{name}.txt", "w").write(str(total))',
    ),
    saying(`It is 6: ${link}.`),
    saying(`Six: ${link}, [mine](sandbox:/mnt/data/mine.txt), [draft](sandbox:/mnt/data/draft.txt).`),
  ])
  expect(run.status).toBe('completed')
  expect(toldIn(h, 3)[0]).toMatch(/^False \['data\.csv'\]/)
  expect(outputs).toEqual([`It is 6: ${link}.`])
  expect(JSON.stringify(steps)).not.toContain('written')

  const [theirs] = onlyText(children[0]?.messages[0]).annotations
  if (theirs?.type !== 'file_path') throw new Error('The specialist links to nothing.')
  const { file_id } = theirs.file_path
  expect(await (await h.client.files.content(file_id)).text()).toBe('6')
  expect(onlyText(messages[0]).annotations).toMatchObject([
    { type: 'file_path', text: 'sandbox:/mnt/data/the%20sum.txt', file_path: { file_id } },
    { type: 'file_path', text: 'sandbox:/mnt/data/mine.txt' },
  ])
  expect(messages[0]?.attachments?.[0]).toEqual({ file_id, tools: [codeTool] })
})
