import { type TSchema, Type } from '@sinclair/typebox'
import fc from 'fast-check'
import type { Run } from 'openai/resources/beta/threads/runs/runs'
import { expect, test } from 'vitest'
import { CreateAssistant, ModifyAssistant } from '../src/schemas/assistants.ts'
import { CompleteUpload, CreateUpload } from '../src/schemas/files.ts'
import { CreateMessage, ModifyMessage } from '../src/schemas/messages.ts'
import { CreateRun, CreateThreadAndRun, ModifyRun, SubmitToolOutputs } from '../src/schemas/runs.ts'
import { CreateThread, ModifyThread } from '../src/schemas/threads.ts'
import {
  CreateFileBatch,
  CreateVectorStore,
  CreateVectorStoreFile,
  ModifyVectorStore,
  ModifyVectorStoreFile,
  SearchVectorStore,
} from '../src/schemas/vector-stores.ts'
import { type Harness, startApp } from './harness/app.ts'
import { bodyOf, formOf } from './harness/arbitrary.ts'
import { checkAnswer } from './harness/openapi.ts'
import { flawOf } from './harness/refusal.ts'

const count = Number(process.env.FUZZ_REQUESTS ?? 20_000)
const seed = Number(process.env.FUZZ_SEED ?? 20_260_826)
/** An answer that takes longer counts as none. */
const patienceMs = 10_000

/** The demo model calls the function, so that the run waits for its output. */
const waiting = {
  assistant_id: '{asst}',
  thread: { messages: [{ role: 'user', content: 'Hi' }] },
  tools: [{ type: 'function', function: { name: 'look_up' } }],
  tool_choice: 'required',
}

/** Announces as much as the parts have that are generated. */
const announced = Type.Object({ ...CreateUpload.properties, bytes: Type.Integer({ minimum: 1, maximum: 2 }) })

const operations: [method: string, path: string, body?: TSchema | 'file' | 'part'][] = [
  ['POST', '/v1/assistants', CreateAssistant],
  ['GET', '/v1/assistants'],
  ['GET', '/v1/assistants/{asst}'],
  ['POST', '/v1/assistants/{asst}', ModifyAssistant],
  ['DELETE', '/v1/assistants/{asst}'],
  ['POST', '/v1/threads', CreateThread],
  ['GET', '/v1/threads'],
  ['GET', '/v1/threads/{thread}'],
  ['POST', '/v1/threads/{thread}', ModifyThread],
  ['DELETE', '/v1/threads/{thread}'],
  ['POST', '/v1/threads/{thread}/messages', CreateMessage],
  ['GET', '/v1/threads/{thread}/messages'],
  ['GET', '/v1/threads/{thread}/messages/{msg}'],
  ['POST', '/v1/threads/{thread}/messages/{msg}', ModifyMessage],
  ['DELETE', '/v1/threads/{thread}/messages/{msg}'],
  ['POST', '/v1/threads/{thread}/runs', CreateRun],
  ['POST', '/v1/threads/runs', CreateThreadAndRun],
  ['POST', '/v1/threads/runs', Type.Unsafe({ const: waiting })],
  ['GET', '/v1/threads/{thread}/runs'],
  ['GET', '/v1/threads/{thread}/runs/stream'],
  ['GET', '/v1/threads/{thread}/runs/{run}'],
  ['POST', '/v1/threads/{thread}/runs/{run}', ModifyRun],
  ['POST', '/v1/threads/{thread}/runs/{run}/cancel'],
  ['POST', '/v1/threads/{thread}/runs/{run}/submit_tool_outputs', SubmitToolOutputs],
  ['GET', '/v1/threads/{thread}/runs/{run}/stream'],
  ['GET', '/v1/threads/{thread}/runs/{run}/steps'],
  ['GET', '/v1/threads/{thread}/runs/{run}/steps/{step}'],
  ['POST', '/v1/files', 'file'],
  ['GET', '/v1/files'],
  ['GET', '/v1/files/{file}'],
  ['GET', '/v1/files/{file}/content'],
  ['DELETE', '/v1/files/{file}'],
  ['POST', '/v1/uploads', announced],
  ['POST', '/v1/uploads/{upload}/parts', 'part'],
  ['POST', '/v1/uploads/{upload}/complete', CompleteUpload],
  ['POST', '/v1/uploads/{upload}/cancel'],
  ['POST', '/v1/vector_stores', CreateVectorStore],
  ['GET', '/v1/vector_stores'],
  ['GET', '/v1/vector_stores/{vs}'],
  ['POST', '/v1/vector_stores/{vs}', ModifyVectorStore],
  ['DELETE', '/v1/vector_stores/{vs}'],
  ['POST', '/v1/vector_stores/{vs}/search', SearchVectorStore],
  ['POST', '/v1/vector_stores/{vs}/files', CreateVectorStoreFile],
  ['GET', '/v1/vector_stores/{vs}/files'],
  ['GET', '/v1/vector_stores/{vs}/files/{file}'],
  ['POST', '/v1/vector_stores/{vs}/files/{file}', ModifyVectorStoreFile],
  ['DELETE', '/v1/vector_stores/{vs}/files/{file}'],
  ['GET', '/v1/vector_stores/{vs}/files/{file}/content'],
  ['POST', '/v1/vector_stores/{vs}/file_batches', CreateFileBatch],
  ['GET', '/v1/vector_stores/{vs}/file_batches/{vsfb}'],
  ['POST', '/v1/vector_stores/{vs}/file_batches/{vsfb}/cancel'],
  ['GET', '/v1/vector_stores/{vs}/file_batches/{vsfb}/files'],
  ['GET', '/v1/models'],
  ['GET', '/v1/models/demo'],
  ['GET', '/healthz'],
]

const often = <T>(usual: T, weight: number, ...others: T[]) =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, fc.constantFrom(...others))

const badIds = [
  'undefined',
  '',
  '%',
  '%00',
  '%ff',
  '..',
  '%2e%2e',
  '*',
  'é',
  `thread_${'x'.repeat(600)}`,
  "run_'--",
  'asst_',
]
const verbs = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND', 'TRACE']
const queries = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'limit',
        'order',
        'after',
        'before',
        'run_id',
        'filter',
        'purpose',
        'include[]',
        '__proto__',
        '%',
        'x',
      ),
      fc.constantFrom(
        '1',
        '100',
        '0',
        '-1',
        '1e9',
        'asc',
        'desc',
        '{msg}',
        '{run}',
        '{thread}',
        '{file}',
        'completed',
        'assistants',
        '',
        '%',
        '%00',
        'é',
        "'",
      ),
    ),
    { maxLength: 4 },
  )
  .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'))

interface Sent {
  operation: string
  method: string
  url: string
  headers: Record<string, string>
  body: string | Buffer | undefined
  /** Which of the known objects the ids are of. */
  pick: number
}

const requests: fc.Arbitrary<Sent> = fc.oneof(
  ...operations.map(([method, path, schema]) =>
    fc.record<Sent>({
      operation: fc.constant(`${method} ${path}`),
      method: often(method, 30, ...verbs),
      url: fc
        .tuple(often('', 15, ...badIds), fc.nat(), queries, often('', 10, '/', '//'))
        .map(([bad, at, query, end]) => {
          const places = path.match(/\{\w+\}/g) ?? []
          const place = places[at % (places.length || 1)] ?? '/v1'
          return `${bad ? path.replace(place, bad) : path}${end}${query && `?${query}`}`
        }),
      headers: fc.record({
        'content-type': often(
          typeof schema === 'string' ? 'multipart/form-data; boundary=x' : 'application/json',
          30,
          ...['text/plain', '', 'application/json;charset=x', 'multipart/form-data', 'a/b/c', ';'],
        ),
        authorization: often('Bearer sk-test-001', 30, '', 'Bearer', 'Basic x'),
        'content-length': often('', 60, '0', '1', '-1', 'x', '99999999999'),
      }),
      body:
        typeof schema === 'string'
          ? formOf(schema)
          : schema
            ? bodyOf(schema)
            : often<string | undefined>(undefined, 10, '', '{', '{}', '{"a":1}'),
      pick: fc.nat(),
    }),
  ),
)

type Ids = Partial<Record<string, string>>

/** What earlier answers have told of: the ids of objects that exist, each with those of what it belongs to. */
function createKnown() {
  let known: Ids[] = []

  function learn(body: unknown) {
    const { object, id = '', thread_id: thread = '', run_id: run, vector_store_id: vs = '', deleted } = body as Ids
    // The file stays.
    if (object === 'vector_store.file.deleted') return
    if (object === 'list') for (const item of (body as { data: unknown[] }).data) learn(item)
    if (deleted) known = known.filter((ids) => !Object.values(ids).includes(id))
    else if (object === 'assistant') known.push({ asst: id })
    else if (object === 'thread') known.push({ thread: id })
    else if (object === 'thread.message') known.push({ thread, msg: id, ...(run && { run }) })
    else if (object === 'thread.run.step' && run) known.push({ thread, run, step: id })
    else if (object === 'thread.run') {
      const call = (body as Run).required_action?.submit_tool_outputs.tool_calls[0]?.id
      known.push({ thread, run: id, ...(call && { call }) })
    } else if (object === 'file') known.push({ file: id })
    else if (object === 'vector_store') known.push({ vs: id })
    else if (object === 'vector_store.file') known.push({ vs, file: id })
    else if (object === 'vector_store.files_batch') known.push({ vs, vsfb: id })
    else if (object === 'upload' && (body as Ids).status === 'pending') known.push({ upload: id })
    else if (object === 'upload') known = known.filter(({ upload }) => upload !== id)
    else if (object === 'upload.part') known.push({ upload: (body as Ids).upload_id, part: id })
    known = known.slice(-500)
  }

  const withAll = (names: string[]) => known.filter((ids) => names.every((name) => name in ids)).slice(-20)
  const chosen = (list: Ids[], pick: number): Ids => list[pick % list.length] ?? {}

  /** A function that puts ids for the names in braces; those of the path fit together if there is such an object. */
  function filler(path: string, pick: number) {
    const names = namesIn(path).filter((name) => name !== 'asst')
    const usual = ['asst', 'file', 'vs'].map((name) => [name, chosen(withAll([name]), pick)[name]])
    const wanted = path.endsWith('/submit_tool_outputs') ? 'call' : path.endsWith('/complete') ? 'part' : undefined
    const better = wanted ? withAll([...names, wanted]) : []
    const ids: Ids = { ...Object.fromEntries(usual), ...chosen(better.length > 0 ? better : withAll(names), pick) }
    return (text: string) =>
      namesIn(text).reduce((to, name) => to.replaceAll(`{${name}}`, ids[name] ?? `${name}_x`), text)
  }

  return { learn, filler }
}

const namesIn = (text: string) =>
  [...text.matchAll(/\{(asst|thread|run|msg|step|call|file|vs|vsfb|upload|part)\}/g)].map(([, name = '']) => name)

/** The whole answer; of a stream that has no end, its beginning. */
async function answerTo(h: Harness, { method, url, headers, body }: Sent) {
  const leaving = new AbortController()
  const late = AbortSignal.timeout(patienceMs)
  const answer = await h.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(body !== undefined && { payload: body }),
    payloadAsStream: true,
    signal: AbortSignal.any([leaving.signal, late]),
  })
  const isEndless = url.includes('/runs/stream')
  let text = ''
  for await (const bytes of answer.stream()) {
    text += bytes
    if (isEndless) break
  }
  leaving.abort()
  if (late.aborted) throw new Error('the answer does not end')
  return { status: answer.statusCode, type: String(answer.headers['content-type']), text }
}

/** What is wrong with an answer. */
function wrongWith({ method, url }: Sent, { status, type, text }: Awaited<ReturnType<typeof answerTo>>) {
  if (status >= 500) return 'it is a failure of the server'
  if (status >= 400 && method === 'HEAD') return undefined
  if (status >= 400) {
    if (!type.startsWith('application/json')) return `it is ${type}`
    const flaw = flawOf(JSON.parse(text))
    if (flaw) return flaw
    return text.includes('The request is not valid.') ? 'it does not say what is wrong' : undefined
  }
  if (text.includes('Sorry, something went wrong.')) return 'a run met a failure of the server'
  if (status !== 200) return 'it is neither 200 nor an error'
  if (type.startsWith('text/event-stream')) {
    const isWhole = url.includes('/runs/stream') || text.endsWith('event: done\ndata: [DONE]\n\n') || method === 'HEAD'
    return isWhole ? undefined : 'the stream breaks off'
  }
  if (type === 'application/octet-stream' && url.includes('/content')) return undefined
  const { pathname } = new URL(url, 'http://inject')
  const path = pathname.replace(/\/+/g, '/').replace(/\/$/, '')
  if (method !== 'HEAD') checkAnswer(method, path, status, JSON.parse(text))
  return undefined
}

const shortened = (text: string) => (text.length > 2000 ? `${text.slice(0, 2000)}…` : text)

test(`${count} generated requests get an answer each, never a failure of the server`, {
  timeout: 300_000,
}, async () => {
  const h = await startApp({ env: { OPENAI_BASE_URL: '', OPENAI_API_KEY: '' }, ingesting: true })
  const known = createKnown()
  const succeeded = new Set<string>()

  async function ask({ operation, pick, method, headers, ...generated }: Sent) {
    const { 'content-length': length, ...others } = headers
    const fill = known.filler(operation.split(' ')[1] ?? '', pick)
    const body = typeof generated.body === 'string' ? fill(generated.body) : generated.body
    const sent = { operation, pick, method, url: fill(generated.url), headers: length ? headers : others, body }
    const answer = await answerTo(h, sent)
    const wrong = wrongWith(sent, answer)
    if (wrong)
      throw new Error(`${wrong}: ${answer.status} ${shortened(answer.text)}\nto ${shortened(JSON.stringify(sent))}`)
    if (answer.status !== 200) return
    if (operation === `${method} ${/^[^?]*[^?/]/.exec(generated.url)}`) succeeded.add(operation)
    if (answer.type.startsWith('application/json') && answer.text) known.learn(JSON.parse(answer.text))
  }

  // A failure is printed with its seed; the requests before it matter, so there is no smaller example to look for.
  await fc.assert(fc.asyncProperty(requests, ask), { seed, numRuns: count, endOnFailure: true })
  // Proof that the requests are not all refused at the door.
  if (count >= 10_000) {
    expect([...succeeded].sort()).toEqual([...new Set(operations.map(([method, path]) => `${method} ${path}`))].sort())
  }
  expect((await h.send('GET', '/readyz')).status).toBe(200)
})
