import { describe, expect, test } from 'vitest'
import { startApp } from './harness/app.ts'
import {
  accumulated,
  askCode,
  chunksOf,
  codeCall,
  codeOf,
  codeTool,
  coding,
  figure,
  logsOf,
  writing,
} from './harness/code.ts'
import { atRest, checkEnded, lookupTool, madeBy, outputsFor } from './harness/engine.ts'
import { callsOf, dataOf, onlyText, saying, toldIn } from './harness/search.ts'
import { sharedApp } from './harness/shared-app.ts'
import { allEvents, namesOf } from './harness/sse.ts'

const h = sharedApp({ CODE_INTERPRETER: 'pyodide' })

describe('of what code does', () => {
  test('clients are shown what it prints, and the model is told the value of its last line as well', async () => {
    const { complete } = await askCode(h)
    const cases: [code: string, shown: string, told: string][] = [
      ['6 * 7', '', 'Value of the last line: 42'],
      ["print('a')\n'b'", 'a\n', "a\nValue of the last line: 'b'"],
      ['x = 1', '', 'The code ran and printed nothing.'],
      ['None', '', 'The code ran and printed nothing.'],
      ["import sys\nprint('a', file=sys.stderr)\nprint('b')", 'a\nb\n', 'a\nb'],
      ["print('<tag> & 😀 \\x00')", '<tag> & 😀 \0\n', '<tag> & 😀 \0'],
    ]
    const { run, steps, told } = await complete(coding(...cases.map(([code]) => code)), saying('.'))
    expect(run.status).toBe('completed')
    expect(codeOf(steps)).toEqual(
      cases.map(([input, logs]) => ({ input, outputs: logs === '' ? [] : [{ type: 'logs', logs }] })),
    )
    expect(told).toEqual(cases.map(([, , told]) => told))
  })

  test('a traceback is shown and told, and the step and the run complete', async () => {
    const { complete } = await askCode(h)
    const { run, steps, told } = await complete(
      coding('print(1)\ndef f():\n    return {}["k"]\nf()', 'if x'),
      saying('.'),
    )
    expect(run).toMatchObject({ status: 'completed', last_error: null })
    expect(steps[0]).toMatchObject({ status: 'completed', last_error: null })
    expect(logsOf(steps)).toEqual([
      expect.stringMatching(/^1\nTraceback .*return \{\}\["k"\].*KeyError: 'k'\n$/s),
      expect.stringMatching(/SyntaxError: expected ':'\n$/),
    ])
    expect(told).toEqual(logsOf(steps).map((logs) => logs.trimEnd()))
  })

  test('the model reads the beginning and the end of long logs, clients all of them', async () => {
    const { complete } = await askCode(h)
    const { steps, told } = await complete(coding("print('a' * 30000 + '😀' * 10000)"), saying('.'))
    expect(logsOf(steps)).toEqual([`${'a'.repeat(30_000)}${'😀'.repeat(10_000)}\n`])
    const [text = ''] = told
    expect(text.length).toBeLessThan(21_000)
    expect(text.isWellFormed()).toBe(true)
    expect(text).toMatch(/^a{10000}\n\[30001 characters are left out here\.\]\n.?(😀)+$/u)
  })
})

describe('code arrives exactly as it was written', () => {
  const text = '"\\ " é ü€😀👩‍🚀 {"code": "x"} </script> \n \ttab'
  const line = `s = '''"\\\\ \\" \\u00e9 ü€😀👩‍🚀 {"code": "x"} </script> \\n \ttab'''\r\n`
  const code = `${line.repeat(1500)}print(len(s))\nprint(s)`
  const printed = `${[...text].length}\n${text}\n`

  test('100 kB with quotes, backslashes, unicode and carriage returns: to clients, to GET and to Python', async () => {
    expect(code.length).toBeGreaterThan(100_000)
    const { stream } = await askCode(h)
    h.backend.turns.push(writing(chunksOf(codeCall(code).arguments, 97)), saying('.'))
    const events = await allEvents(await stream())
    const { steps } = await madeBy(h.client, dataOf(events, 'thread.run.created')[0])
    expect(codeOf(steps)[0]?.input === code).toBe(true)
    expect(codeOf((await accumulated(events)).steps)).toEqual(codeOf(steps))
    expect((await accumulated(events)).byDeltas).toEqual([steps[0]?.step_details])
    expect(logsOf(steps)).toEqual([printed])
    expect(toldIn(h, 1)).toEqual([printed.trimEnd()])
  })

  test('with all but ASCII escaped, in pieces of one character', async () => {
    const { complete } = await askCode(h)
    const written = '{"code":"print(\\"\\ud83d\\ude00 \\u00e9\\\\n\\")\\r\\n","timeout":5}'
    const { steps, told } = await complete(writing(chunksOf(written, 1)), saying('.'))
    expect(codeOf(steps)[0]?.input).toBe('print("😀 é\\n")\r\n')
    expect(told).toEqual(['😀 é'])
  })

  test('also as small models write it', async () => {
    const { complete } = await askCode(h)
    const written = [
      '"print(\\"a string alone\\")"',
      'print("nothing but the code")',
      '{"code":"import re\\nprint(re.sub(r\'\\d\', \\"\\", \'an escape that JSON does not know 1\'))"}',
      '{"code":"x = \'a line end that is not escaped\'\nprint(x)"}',
    ]
    const { told } = await complete(...written.map((one) => writing(chunksOf(one, 3))), saying('.'))
    expect(told).toEqual([
      'a string alone',
      'nothing but the code',
      'an escape that JSON does not know',
      'a line end that is not escaped',
    ])
  })

  test.each(['{}', '', '{"code":""}', '{"code":"  \\n"}', '{"query":"x"}', '\n'])(
    'and of %j the model is told that there was none',
    async (written) => {
      const { complete } = await askCode(h)
      const { run, steps, told } = await complete(writing([written]), saying('.'))
      expect([run.status, codeOf(steps)[0]?.outputs]).toEqual(['completed', []])
      expect(told).toEqual([expect.stringMatching(/^There was no code\./)])
    },
  )
})

describe('a session', () => {
  test('keeps variables and files from call to call, from turn to turn and from run to run of its thread', async () => {
    const { complete } = await askCode(h)
    const first = await complete(
      coding('x = [1]\nopen("kept.txt", "w").write("kept")', 'x.append(2)'),
      coding('import math\nx.append(3)\nprint(x, open("/mnt/data/kept.txt").read())'),
      saying('.'),
    )
    expect(logsOf(first.steps)).toEqual(['', '', '[1, 2, 3] kept\n'])
    expect(first.told.join()).not.toContain('new session')
    const second = await complete(coding('print(x, math.pi, open("kept.txt").read())'), saying('.'))
    expect(logsOf(second.steps)).toEqual(['[1, 2, 3] 3.141592653589793 kept\n'])
    expect(second.told.join()).not.toContain('new session')
  })

  test('never meets that of another thread, also if both run at once', async () => {
    const asked = await Promise.all([askCode(h), askCode(h)])
    const list = 'import os\nprint(secret, sorted(os.listdir()), open("own.txt").read())'
    h.backend.otherwise = ({ body, calls, text }) => {
      const told = body.messages.filter(({ role }) => role === 'tool').length
      const own = JSON.stringify(body.messages[0]?.content)
      if (told === 0)
        calls(codeCall(`import time\nsecret = ${own}\nopen("own.txt", "w").write(secret)\ntime.sleep(0.1)`))
      else if (told === 1) calls(codeCall(list))
      else text('.')
    }
    const runs = await Promise.all(
      asked.map(async ({ run }, index) => {
        const begun = await run({ instructions: `thread ${index}` })
        return madeBy(h.client, await atRest(h.client, begun))
      }),
    )
    h.backend.otherwise = saying('.')
    expect(runs.map(({ steps }) => logsOf(steps)[1])).toEqual([
      "thread 0 ['own.txt'] thread 0\n",
      "thread 1 ['own.txt'] thread 1\n",
    ])
  })
})

describe('several calls in one turn', () => {
  test('run in order, each from where the one before ended, also after one that failed', async () => {
    const { stream } = await askCode(h)
    h.backend.turns.push(coding('x = 1\nprint(x)', 'x += 1\n1/0', 'print(x)', `x = 5\n${figure()}`), saying('Done.'))
    const events = await allEvents(await stream())
    const made = await madeBy(h.client, dataOf(events, 'thread.run.created')[0])
    expect(logsOf(made.steps)).toEqual(['1\n', expect.stringContaining('ZeroDivisionError'), '2\n', ''])
    expect(namesOf(events)).toMatch(/S.created S.in_progress S.delta S.completed S.created/)
    const told = await accumulated(events)
    expect(told.byDeltas).toEqual([made.steps[0]?.step_details])
    expect(toldIn(h, 1)).toHaveLength(4)
    expect(new Set(callsOf(made.steps[0]).map(({ id }) => id)).size).toBe(4)
  })

  test('are heard by handlers of the SDK, code and logs of each', async () => {
    const { assistant, thread } = await askCode(h)
    h.backend.turns.push(coding('print(1)', 'print(2)'), saying('Done.'))
    const heard = { created: 0, done: 0, input: '', logs: '' }
    const stream = h.client.beta.threads.runs
      .stream(thread.id, { assistant_id: assistant.id })
      .on('toolCallCreated', () => heard.created++)
      .on('toolCallDone', () => heard.done++)
      .on('toolCallDelta', (delta) => {
        if (delta.type !== 'code_interpreter') return
        heard.input += delta.code_interpreter?.input ?? ''
        for (const one of delta.code_interpreter?.outputs ?? []) if (one.type === 'logs') heard.logs += one.logs
      })
    await stream.finalRun()
    expect(heard).toEqual({ created: 2, done: 2, input: 'print(1)print(2)', logs: '1\n2\n' })
  })

  test('with a client function: the code is run, and its outcome told, before the client is asked', async () => {
    const { stream, url } = await askCode(h, { tools: [lookupTool, codeTool] })
    h.backend.turns.push(
      ({ calls }) => calls(codeCall('print("ours")'), { name: 'lookup', arguments: '{}' }, codeCall('print("again")')),
      saying('Both.'),
    )
    const events = await allEvents(await stream())
    expect(namesOf(events)).toBe(
      'R.created R.queued R.in_progress S.created S.in_progress S.delta R.requires_action done',
    )
    const [waiting] = dataOf(events, 'thread.run.requires_action')
    const before = await madeBy(h.client, waiting)
    expect(logsOf(before.steps)).toEqual(['ours\n', 'again\n'])
    expect(waiting.required_action.submit_tool_outputs.tool_calls).toMatchObject([{ function: { name: 'lookup' } }])

    const body = { tool_outputs: outputsFor(waiting, 'theirs'), stream: true }
    const rest = await allEvents(await h.send('POST', `${url}/${waiting.id}/submit_tool_outputs`, body))
    expect(namesOf(rest)).toBe(
      'S.completed R.queued R.in_progress S.created S.in_progress M.created M.in_progress M.delta M.completed S.completed R.completed done',
    )
    expect(toldIn(h, 1)).toEqual(['ours', 'theirs', 'again'])
    const made = await checkEnded(h, waiting)
    expect(codeOf(made.steps)).toEqual(codeOf(before.steps))
    expect(callsOf(made.steps[0])[1]).toMatchObject({ type: 'function', function: { output: 'theirs' } })
    expect(onlyText(made.messages[0]).value).toBe('Both.')
  })

  test('of which a client asks for its own only by a function of the same name gets that', async () => {
    const own = { type: 'function' as const, function: { name: 'code_interpreter', parameters: { type: 'object' } } }
    const { run } = await askCode(h, { tools: [codeTool, own] })
    h.backend.turns.push(coding('print(1)'))
    const waiting = await atRest(h.client, await run())
    expect(waiting.required_action?.submit_tool_outputs.tool_calls).toMatchObject([{ function: codeCall('print(1)') }])
    expect(h.backend.requests[0]?.tools).toHaveLength(1)
    await h.client.beta.threads.runs.cancel(waiting.id, { thread_id: waiting.thread_id })
  })
})

test('tool_choice {"type":"code_interpreter"} forces the first turn, and it alone', async () => {
  const { run } = await askCode(h, { tools: [lookupTool, codeTool] })
  h.backend.turns.push(coding('print(1)'), saying('One.'))
  const choice = { type: 'code_interpreter' as const }
  expect((await atRest(h.client, await run({ tool_choice: choice }))).status).toBe('completed')
  expect(h.backend.requests.map(({ tool_choice }) => tool_choice)).toEqual([
    { type: 'function', function: { name: 'code_interpreter' } },
    'auto',
  ])
  expect(h.backend.requests[0]?.tools).toMatchObject([
    {
      function: {
        name: 'code_interpreter',
        description: expect.stringContaining('Only the standard library is there'),
        parameters: { type: 'object', properties: { code: { type: 'string' } }, required: ['code'] },
      },
    },
    { function: { name: 'lookup' } },
  ])
})

describe('without code_interpreter', () => {
  test('the model and the client are told so, and the run completes', async () => {
    const off = await startApp()
    const { stream } = await askCode(off)
    off.backend.turns.push(coding('print(1)', '2'), saying('I cannot.'))
    const events = await allEvents(await stream())
    const made = await madeBy(off.client, dataOf(events, 'thread.run.created')[0])
    const text = 'code_interpreter is switched off on this server.'
    expect(codeOf(made.steps)).toEqual([
      { input: 'print(1)', outputs: [{ type: 'logs', logs: text }] },
      { input: '2', outputs: [{ type: 'logs', logs: text }] },
    ])
    expect(toldIn(off, 1)).toEqual([text, text])
    expect(made.run.status).toBe('completed')
    expect((await accumulated(events)).byDeltas).toEqual([made.steps[0]?.step_details])
    const [tool] = off.backend.requests[0]?.tools ?? []
    expect(tool).toMatchObject({
      function: { description: `${text} Do not call this; tell the user, if code would have to be run.` },
    })
  })
})
