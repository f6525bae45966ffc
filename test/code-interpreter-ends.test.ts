import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { startApp } from './harness/app.ts'
import { askCode, busySandboxes, codeOf, coding, logsOf, sandboxes } from './harness/code.ts'
import { atRest, checkEnded, eventsOf, madeBy, until } from './harness/engine.ts'
import { saying, toldIn } from './harness/search.ts'
import { sharedApp } from './harness/shared-app.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const h = sharedApp({ CODE_INTERPRETER: 'pyodide', CODE_INTERPRETER_TIMEOUT_SECONDS: '5' })

const fresh = 'This ran in a new session: variables and files of earlier calls are gone.'

/** A thread whose session has run code already, and so is there. */
async function withSession() {
  const asked = await askCode(h)
  await asked.complete(coding('x = 1'), saying('.'))
  h.backend.requests.length = 0
  return asked
}

/** A run in the middle of endless code, and the process of that. */
async function busy(code = 'print("begun")\nwhile True: pass') {
  const asked = await withSession()
  h.backend.turns.push(coding('print(x)', code))
  const begun = await asked.run()
  const shown = async () => logsOf((await madeBy(h.client, begun)).steps)
  await expect.poll(shown, { interval: 5, timeout: 10_000 }).toEqual(['1\n', ''])
  await expect.poll(() => busySandboxes().length, { interval: 5, timeout: 10_000 }).toBeGreaterThan(0)
  return { ...asked, begun, processes: busySandboxes() }
}

const gone = (processes: readonly number[]) =>
  expect.poll(() => sandboxes().filter((pid) => processes.includes(pid)), { interval: 5, timeout: 10_000 }).toEqual([])

describe('code that goes too far ends its call and not the run, and clients and the model are told', () => {
  test.each<[how: string, code: string, logs: RegExp, keeps?: boolean]>([
    ['in time', 'print("begun")\nwhile True: pass', /^begun\nThe code was stopped because it took too long\.\n$/],
    [
      'in output',
      'while True: print("x" * 10_000)',
      /x\nThe code was stopped because it printed or wrote too much\.\n$/,
      true,
    ],
    [
      'in memory',
      'import js\nkept = []\nwhile True: kept.append(js.Uint8Array.new(50_000_000).fill(1))',
      /^The code was stopped because it used too much memory\.\n$/,
    ],
    ['by its end', 'import js\nprint("begun")\njs.Deno.exit(0)', /^begun\nThe Python process ended unexpectedly\.\n$/],
  ])('%s', async (_, code, logs, keeps = false) => {
    const { complete } = await withSession()
    const { run, steps, told } = await complete(
      coding(code),
      coding('try: print(x)\nexcept NameError: print("none")'),
      saying('.'),
    )
    expect(run).toMatchObject({ status: 'completed', last_error: null })
    expect(steps.map(({ status }) => status)).toEqual(['completed', 'completed', 'completed'])
    const [shown = '', second = ''] = logsOf(steps)
    expect(shown.slice(-100)).toMatch(logs)
    expect(told[0]?.slice(-100)).toContain(shown.slice(-50).trimEnd())
    // Python itself ends what prints too much.
    expect([second, told[1]]).toEqual(keeps ? ['1\n', '1'] : ['none\n', `none\n${fresh}`])
  })

  test('by a MemoryError, of which there is a traceback', async () => {
    const { complete } = await withSession()
    const { run, steps } = await complete(coding('y = bytearray(2_000_000_000)'), coding('print(x)'), saying('.'))
    expect(run.status).toBe('completed')
    expect(logsOf(steps)).toEqual([expect.stringMatching(/^Traceback .*MemoryError\n$/s), '1\n'])
  })
})

test('code that cannot be run at all does not end the run either, and the next can be', async () => {
  const { complete } = await askCode(h)
  // Processes are not found any more.
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  const { run, steps, told } = await complete(coding('print(1)'), saying('.'))
  const text = 'The code could not be run, for a reason that is not in it.'
  expect(run.status).toBe('completed')
  expect([logsOf(steps), told]).toEqual([[text], [text]])
  vi.unstubAllEnvs()
  expect((await complete(coding('print(1)'), saying('.'))).told).toEqual([`1\n${fresh}`])
})

describe('a run that ends in the middle of code', () => {
  test.each(['cancelled', 'expired'] as const)(
    'because it is %s ends so at once, and its process with it',
    async (status) => {
      const { begun, processes, complete } = await busy()
      const events = eventsOf(h, begun)
      if (status === 'cancelled') await h.client.beta.threads.runs.cancel(begun.id, { thread_id: begun.thread_id })
      else {
        h.time.now += 601_000
        await h.services.executor.beat()
      }
      const { data } = await until(await events, `thread.run.${status}`)
      const made = await checkEnded(h, begun)
      expect(data).toEqual(made.run)
      expect(made.run).toMatchObject({ status, usage: { total_tokens: 15 } })
      expect(made.steps).toMatchObject([{ status, usage: { total_tokens: 15 } }])
      // What the call before has brought is kept.
      expect(logsOf(made.steps)).toEqual(['1\n', ''])
      await gone(processes)
      expect(h.backend.requests).toHaveLength(1)
      const next = await complete(coding('print("x" in globals())'), saying('.'))
      expect(logsOf(next.steps)).toEqual(['False\n'])
    },
  )

  test('tells so to its stream', async () => {
    const { stream, thread } = await withSession()
    h.backend.turns.push(coding('while True: pass'))
    const live = allEvents(await stream())
    await expect.poll(() => busySandboxes().length, { interval: 5, timeout: 10_000 }).toBeGreaterThan(0)
    const run = await h.services.store.runs.active(thread.id)
    await h.client.beta.threads.runs.cancel(run?.id ?? '', { thread_id: thread.id })
    expect(namesOf(await live)).toBe(
      'R.created R.queued R.in_progress S.created S.in_progress S.delta R.cancelling S.cancelled R.cancelled done',
    )
  })

  test('because its thread is deleted stops', async () => {
    const { thread, processes } = await busy()
    await h.client.beta.threads.delete(thread.id)
    await gone(processes)
    await expect(h.client.beta.threads.retrieve(thread.id)).rejects.toThrow('404')
  })

  test('while the model still writes it, runs none of it', async () => {
    const { run, thread } = await withSession()
    const stopped = Promise.withResolvers<void>()
    h.backend.turns.push(async ({ chunk, closed }) => {
      const written = { name: 'code_interpreter', arguments: '{"code":"print(1)' }
      chunk({ tool_calls: [{ index: 0, id: 'call_0', type: 'function', function: written }] })
      await closed
      stopped.resolve()
    })
    const begun = await run()
    const open = () => JSON.stringify(h.services.executor.draftOf(begun.id)?.open)
    await expect.poll(open, { interval: 2, timeout: 10_000 }).toContain('print(1)')
    await h.client.beta.threads.runs.cancel(begun.id, { thread_id: thread.id })
    await stopped.promise
    const { steps, run: ended } = await checkEnded(h, begun)
    expect(ended.status).toBe('cancelled')
    expect(codeOf(steps)).toEqual([{ input: 'print(1)', outputs: [] }])
    expect(busySandboxes()).toEqual([])
  })
})

test('a thread that is deleted takes its session with it, and no other', async () => {
  const others = sandboxes()
  const { thread } = await withSession()
  const own = sandboxes().filter((pid) => !others.includes(pid))
  expect(own).not.toEqual([])
  await h.client.beta.threads.delete(thread.id)
  expect(sandboxes()).toEqual(others)
})

test('a session that nobody uses is gone after its time, and the model is told in the same run', async () => {
  const brief = await startApp({ env: { CODE_INTERPRETER: 'pyodide', CODE_INTERPRETER_IDLE_SECONDS: '1' } })
  const others = sandboxes()
  const { run } = await askCode(brief)
  const own = () => sandboxes().filter((pid) => !others.includes(pid)).length
  const waiting = Promise.withResolvers<void>()
  brief.backend.turns.push(coding('x = 1\nopen("a.txt", "w").write("a")'), async (exchange) => {
    await waiting.promise
    coding('import os\nprint("x" in globals(), os.listdir())')(exchange)
  })
  const begun = await run()
  await brief.backend.requested(2)
  expect(own()).toBeGreaterThan(0)
  await expect.poll(own, { timeout: 10_000 }).toBe(0)
  waiting.resolve()
  await atRest(brief.client, begun)
  const { steps } = await madeBy(brief.client, begun)
  expect(logsOf(steps)[1]).toBe('False []\n')
  expect(toldIn(brief, 2)[1]).toBe(`False []\n${fresh}`)
})

test('a session that is gone when the next run begins: its model, which sees the calls of the one before, is told', async () => {
  const { complete, thread } = await withSession()
  await h.services.codeSandbox.endSession(thread.id)
  const next = await complete(coding('print("x" in globals())'), saying('.'))
  expect(toldIn(h, 0)).toEqual(['The code ran and printed nothing.'])
  expect(next.told).toEqual([`False\n${fresh}`])
})
