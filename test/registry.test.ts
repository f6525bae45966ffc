import { describe, expect, test } from 'vitest'
import type { ServerCall } from '../src/schemas/run-steps.ts'
import type { Run } from '../src/schemas/runs.ts'
import { createRegistry, isAnswered, type ServerTool } from '../src/tools/registry.ts'
import { aRun } from './harness/objects.ts'

/** A tool that is told and never called. */
const aTool = (type: ServerCall['type']): ServerTool => ({
  type,
  describe: async () => ({ type: 'function', function: { name: type } }),
  begin: (_run, id) =>
    type === 'file_search'
      ? { id, type, file_search: { results: [] } }
      : { id, type, code_interpreter: { input: '', outputs: [] } },
  ready: async () => {},
  answer: async (call) => call,
})
const search = aTool('file_search')
const code = aTool('code_interpreter')

const ranking_options = { ranker: 'auto' as const, score_threshold: 0, hybrid_search: null }
const fileSearch: Run['tools'][number] = { type: 'file_search', file_search: { ranking_options } }
const codeInterpreter: Run['tools'][number] = { type: 'code_interpreter' }
const aFunction = (name: string): Run['tools'][number] => ({
  type: 'function',
  function: { name, parameters: {}, strict: false },
})
const runWith = (...tools: Run['tools']) => aRun('thread_1', { tools })

describe('the registry', () => {
  test('refuses two tools of one type', () => {
    expect(() => createRegistry([search, code, aTool('file_search')])).toThrow(
      "Two tools have the same type: 'file_search'.",
    )
    expect(() => createRegistry([search, search])).toThrow("Two tools have the same type: 'file_search'.")
  })

  test('gives a run the tools that it enables, by the names that the model knows', () => {
    const registry = createRegistry([search, code])
    expect([...registry.of(runWith(fileSearch))]).toEqual([['file_search', search]])
    expect([...registry.of(runWith(codeInterpreter, aFunction('f'), fileSearch))]).toEqual([
      ['code_interpreter', code],
      ['file_search', search],
    ])
    expect([...registry.of(runWith(aFunction('f')))]).toEqual([])
    expect([...registry.of(runWith())]).toEqual([])
  })

  test('has nothing for what is enabled and not there', () => {
    expect([...createRegistry([search]).of(runWith(codeInterpreter, fileSearch))]).toEqual([['file_search', search]])
    expect([...createRegistry([]).of(runWith(codeInterpreter, fileSearch))]).toEqual([])
  })

  test("lets a function of the client's by the same name go first", () => {
    const registry = createRegistry([search, code])
    const run = runWith(fileSearch, codeInterpreter, aFunction('file_search'))
    expect([...registry.of(run)]).toEqual([['code_interpreter', code]])
    expect([...registry.of(runWith(aFunction('file_search')))]).toEqual([])
  })
})

test('a call is answered once it has an output, be it an empty one', () => {
  const called = (output: string | null) => ({ name: 'f', arguments: '', output })
  expect(isAnswered({ id: 'c', type: 'function', function: called(null) })).toBe(false)
  expect(isAnswered({ id: 'c', type: 'function', function: called('') })).toBe(true)
  const found = { results: [] }
  const model_call = (output: string | null) => ({ arguments: '', output })
  expect(isAnswered({ id: 'c', type: 'file_search', file_search: found })).toBe(false)
  expect(isAnswered({ id: 'c', type: 'file_search', file_search: found, model_call: model_call(null) })).toBe(false)
  expect(isAnswered({ id: 'c', type: 'file_search', file_search: found, model_call: model_call('') })).toBe(true)
})
