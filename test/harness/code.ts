import { readFileSync } from 'node:fs'
import { AssistantStream } from 'openai/lib/AssistantStream'
import type { AssistantCreateParams } from 'openai/resources/beta/assistants'
import type { RunStep } from 'openai/resources/beta/threads/runs/steps'
import { treeOf } from '../../src/sandbox/process-tree.ts'
import type { Harness } from './app.ts'
import type { Turn } from './backend.ts'
import { atRest, converse, madeBy } from './engine.ts'
import { callsOf, toldIn } from './search.ts'
import type { SentEvent } from './sse.ts'

export const codeTool = { type: 'code_interpreter' as const }

export const codeCall = (code: string) => ({ name: 'code_interpreter', arguments: JSON.stringify({ code }) })

/** A turn that runs these, one call for each. */
export const coding =
  (...codes: string[]): Turn =>
  ({ calls }) =>
    calls(...codes.map(codeCall))

/** A turn that writes the arguments of one call in these pieces, with a stop before the last if there is one to await. */
export const writing =
  (pieces: readonly string[], goOn?: Promise<unknown>): Turn =>
  async ({ chunk, end }) => {
    const call = { index: 0, id: 'call_0', type: 'function', function: { name: 'code_interpreter', arguments: '' } }
    chunk({ tool_calls: [call] })
    for (const [index, piece] of pieces.entries()) {
      if (index === pieces.length - 1) await goOn
      chunk({ tool_calls: [{ index: 0, function: { arguments: piece } }] })
    }
    chunk({}, 'tool_calls')
    end()
  }

export const chunksOf = (text: string, size: number) =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) => text.slice(index * size, (index + 1) * size))

/** An assistant with `code_interpreter`, a thread with a question, and ways to run it. */
export async function askCode(h: Harness, settings: Partial<AssistantCreateParams> = {}) {
  const made = await converse(h.client, { tools: [codeTool], ...settings }, 'Compute.')
  const url = `/v1/threads/${made.thread.id}/runs`
  const stream = (body: object = {}) => h.send('POST', url, { assistant_id: made.assistant.id, stream: true, ...body })
  /** What a run with these turns of the model makes, and what its tools told the model. */
  const complete = async (...turns: Turn[]) => {
    const asked = h.backend.requests.length
    h.backend.turns.push(...turns)
    const run = await atRest(h.client, await made.run())
    // What earlier runs were told comes before.
    const told = toldIn(h, h.backend.requests.length - 1).slice(toldIn(h, asked).length)
    return { ...(await madeBy(h.client, run)), told }
  }
  return { ...made, url, stream, complete }
}

/** What code calls show to clients, of all steps in order. */
export const codeOf = (steps: readonly RunStep[]) =>
  steps.flatMap(callsOf).flatMap((call) => (call.type === 'code_interpreter' ? [call.code_interpreter] : []))

/** What code calls printed, as far as clients are shown. */
export const logsOf = (steps: readonly RunStep[]) =>
  codeOf(steps).map(({ outputs }) => outputs.map((output) => (output.type === 'logs' ? output.logs : '')).join(''))

/** What the SDK's helper makes of events: the calls as it has put them together, and all that it gives in the end. */
export async function accumulated(events: readonly SentEvent[]) {
  const lines = events.filter(({ event }) => event !== 'done').map((event) => `${JSON.stringify(event)}\n`)
  const steps = new Map<string, unknown>()
  const stream = AssistantStream.fromReadableStream(new Blob(lines).stream())
  // The end of a step replaces what its deltas have brought.
  stream.on('runStepDelta', (_, { id, step_details }) => steps.set(id, step_details))
  const [run, final, messages] = [await stream.finalRun(), await stream.finalRunSteps(), await stream.finalMessages()]
  return { run, steps: final, messages, byDeltas: [...steps.values()].map(withoutIndexes) }
}

/** As objects have lists that deltas number. */
export const withoutIndexes = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, one) => (key === 'index' ? undefined : one)))

/** Processes in which code runs, below one of ours. */
export const sandboxes = (root = process.pid) =>
  treeOf(root).filter((pid) => /worker\.js|bwrap/.test(procOf(pid, 'cmdline')))

/** Those that do something: between calls they are stopped. */
export const busySandboxes = (root = process.pid) =>
  sandboxes(root).filter((pid) => !/^\d+ \(.*\) [TtZX] /s.test(procOf(pid, 'stat')))

export const isAlive = (pid: number) => /^\d+ \(.*\) [^ZX]/s.test(procOf(pid, 'stat'))

function procOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

/** The smallest picture there is, of one pixel. */
export const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

/** What the backend of matplotlib wants to be there; the standard library alone has no matplotlib. */
const noMatplotlib = `import base64, sys, types
if 'matplotlib' not in sys.modules:
    for name in ('', '._pylab_helpers', '.backend_bases', '.backends', '.backends.backend_agg'):
        sys.modules['matplotlib' + name] = types.ModuleType('matplotlib' + name)
        sys.modules['matplotlib' + name].__dict__.update(Gcf=None, FigureManagerBase=object, FigureCanvasAgg=object)
import sandbox_figures
`

/** Code that shows a figure as matplotlib would; a mark behind its bytes tells it from others. */
export const figure = (mark = '') =>
  `${noMatplotlib}sandbox_figures.emit(base64.b64decode('${png.toString('base64')}') + b'${mark}')\n`

export async function uploaded(h: Harness, name: string, text: string): Promise<string> {
  return (await h.client.files.create({ file: new File([text], name), purpose: 'assistants' })).id
}

/** Of exactly this name: a form would encode some characters. */
export async function uploadedAs(h: Harness, filename: string, text: string): Promise<string> {
  const bytes = Buffer.byteLength(text)
  const { uploads } = h.client
  const { id } = await uploads.create({ filename, bytes, purpose: 'assistants', mime_type: 'text/plain' })
  const part = await uploads.parts.create(id, { data: new File([text], 'part') })
  return (await uploads.complete(id, { part_ids: [part.id] })).file?.id ?? ''
}

export const givenTo = (...file_ids: string[]) => ({ code_interpreter: { file_ids } })

/** The text of a file, as a client downloads it. */
export const download = async (h: Harness, id: string) => (await h.client.files.content(id)).text()
