import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { outputOf } from './examples/programs.ts'
import { shareSnapshot } from './harness/app.ts'
import { ScriptedBackend } from './harness/backend.ts'
import { chunksOf, codeCall, figure, png, writing } from './harness/code.ts'
import { aDirectory, startProcess } from './harness/process.ts'
import { saying } from './harness/search.ts'

const python = process.env.PYTHON || 'python3'
const isThere = spawnSync(python, ['-c', 'import openai']).status === 0

if (!isThere) {
  console.warn(`The Python SDK's test did NOT run: '${python}' has no openai package. Name one that has by PYTHON.`)
}

/** Code as a model might write it, and what it prints. */
const code = `${figure()}rows = open("/mnt/data/numbers.csv").read().split()
total = sum(int(one) for one in rows[1].split(","))
print(f"{total} = 'sieben' \\"7\\" é😀")
open("sum.txt", "w").write(str(total))`
const printed = `7 = 'sieben' "7" é😀`
const link = 'sandbox:/mnt/data/sum.txt'

describe.runIf(isThere)(`the Python SDK (needs the openai package in '${python}')`, () => {
  test('an AssistantEventHandler hears code, logs, an image and links, and downloads what was made', {
    timeout: 60_000,
  }, async () => {
    const backend = await new ScriptedBackend().start()
    onTestFinished(() => backend.stop())
    const dir = aDirectory()
    mkdirSync(join(dir, 'data'))
    shareSnapshot(join(dir, 'data'))
    const env = { PATH: process.env.PATH ?? '', OPENAI_BASE_URL: backend.url, CODE_INTERPRETER: 'pyodide' }
    const { url } = await startProcess({ dir, env })
    backend.turns.push(writing(chunksOf(codeCall(code).arguments, 20)), saying(`It is 7: [sum](${link}).`))
    const example = new URL('./examples/code_interpreter.py', import.meta.url).pathname
    const output = await outputOf(python, ['-W', 'ignore::DeprecationWarning', example], `${url}/v1`)
    expect(output.split('\n')).toEqual([
      'assistant > code_interpreter',
      '',
      ...code.split('\n'),
      '',
      'output >',
      '',
      printed,
      '',
      'run step done > tool_calls completed',
      '',
      `assistant > It is 7: [sum](${link}).`,
      `link > ${link} True`,
      'run step done > message_creation completed',
      'final run > completed',
      'accumulated input is the stored one > True',
      'accumulated outputs are the stored ones > True',
      `image > figure-1-1.png ${png.length} bytes`,
      'file > sum.txt assistants_output 7',
      '',
    ])
  })
})
