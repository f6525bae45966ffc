import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { call, requestText } from './connection.ts'
import { eventNames, hold, rate, streamedRun, timesTo } from './load.ts'
import { cpuSeconds, isPinned, type Process, pinSelf, residentMiB, start, startArgs } from './processes.ts'
import {
  atLeast,
  below,
  type Figure,
  isMissed,
  markdownTable,
  median,
  none,
  quantile,
  timesAtLeast,
  timesAtMost,
} from './table.ts'

const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values
const plan = quick
  ? { starts: 2, rounds: 2, sliceMs: 1000, firstDeltas: 100, streams: 200, chunks: 120, rampMs: 2000 }
  : { starts: 5, rounds: 5, sliceMs: 2000, firstDeltas: 200, streams: 1000, chunks: 800, rampMs: 20_000 }
const chunkMs = 50

const folder = mkdtempSync(join(tmpdir(), 'assistants-bench-'))
const say = (text: string) => process.stderr.write(`${text}\n`)

pinSelf()
const backend = await start(['bench/backend.ts'], { isServer: false, log: join(folder, 'backend.log') })

let databases = 0
const startServer = () =>
  start(startArgs(), {
    isServer: true,
    log: join(folder, 'server.log'),
    env: {
      DATABASE_URL: `sqlite:${join(folder, `server-${++databases}.db`)}`,
      OPENAI_BASE_URL: `http://127.0.0.1:${backend.port}/v1`,
      OPENAI_API_KEY: 'bench',
      RUN_CONCURRENCY: '1200',
    },
  })
const startReference = () =>
  start(['bench/reference.ts'], {
    isServer: true,
    log: join(folder, 'reference.log'),
    env: { DATABASE: join(folder, 'reference.db'), OPENAI_BASE_URL: `http://127.0.0.1:${backend.port}/v1` },
  })

/** How long it takes to start, and how much memory it has a second after. */
async function measureStarts(): Promise<Figure[]> {
  const startsMs: number[] = []
  const idleMiB: number[] = []
  for (let count = 0; count < plan.starts; count++) {
    const server = await startServer()
    startsMs.push(server.startMs)
    await new Promise((resolve) => setTimeout(resolve, 1000))
    idleMiB.push(residentMiB(server.pid))
    await server.stop()
  }
  return [
    { name: 'Idle memory, MiB', ours: median(idleMiB), target: below(100) },
    { name: 'Start to first answer, ms', ours: median(startsMs), target: below(1000) },
  ]
}

interface Side {
  process: Process
  /** Ids of an assistant for each script of the backend. */
  assistant(model: string): Promise<string>
}

function sideOf(process: Process): Side {
  const ids = new Map<string, Promise<string>>()
  const create = async (model: string) => {
    const body = { model, instructions: 'You tell the time.' }
    return (await call<{ id: string }>(process.port, 'POST', '/v1/assistants', body)).id
  }
  return {
    process,
    assistant(model) {
      const id = ids.get(model) ?? create(model)
      ids.set(model, id)
      return id
    },
  }
}

/** Measures the two sides in turn, so that a drift of the machine meets both. The first round is for warming up. */
async function alternately<T>(sides: readonly Side[], measure: (side: Side, isWarmUp: boolean) => Promise<T>) {
  const found: T[][] = sides.map(() => [])
  for (let round = 0; round <= plan.rounds; round++) {
    for (const [index, side] of sides.entries()) {
      const value = await measure(side, round === 0)
      if (round > 0) found[index]?.push(value)
    }
  }
  return found
}

/** Processor time per request is less disturbed by whatever else the machine does than requests per second are. */
const costs: string[] = []

async function compareRates(
  sides: readonly Side[],
  name: string,
  connections: number,
  request: (side: Side) => Promise<string>,
) {
  say(name)
  const found = await alternately(sides, async (side, isWarmUp) => {
    const { pid, port } = side.process
    const text = await request(side)
    const cpuBefore = cpuSeconds(pid)
    const startedAt = performance.now()
    const perSecond = await rate(port, connections, isWarmUp ? plan.sliceMs / 3 : plan.sliceMs, text)
    const busy = (1000 * (cpuSeconds(pid) - cpuBefore)) / (performance.now() - startedAt)
    return { perSecond, busy, costMs: (1000 * busy) / perSecond }
  })
  const medians = (key: 'perSecond' | 'busy' | 'costMs') =>
    found.map((slices) => median(slices.map((slice) => slice[key])))
  const [ours = Number.NaN, reference = Number.NaN] = medians('perSecond')
  const percent = medians('busy').map((busy) => `${(100 * busy).toFixed(0)} %`)
  const each = medians('costMs').map((ms) => `${ms.toFixed(3)} ms`)
  costs.push(`${name}: ${each.join(' and ')} each, ${percent.join(' and ')} busy`)
  return { name, ours, reference, target: timesAtLeast(0.5) } satisfies Figure
}

/** The time to the first delta, less the time that the same answer takes when the backend is asked directly. */
async function compareFirstDeltas(sides: readonly Side[]): Promise<Figure[]> {
  const model = 'scripted-3-5'
  say('First delta')
  const direct = requestText('POST', '/v1/chat/completions', { model, messages: [], stream: true })
  const backendMs: number[] = []
  const [ours = [], reference = []] = await alternately(sides, async (side, isWarmUp) => {
    const request = streamedRun(await side.assistant(model))
    const times = await timesTo('event: thread.message.delta', side.process.port, plan.firstDeltas, request)
    if (!isWarmUp) backendMs.push(...(await timesTo('"content":"1', backend.port, plan.firstDeltas, direct)))
    return times
  })
  const overhead = (times: number[][], part: number) => quantile(times.flat(), part) - median(backendMs)
  return [0.5, 0.99].map((part) => ({
    name: `First delta: time added to the backend's, ${part === 0.5 ? 'median' : 'p99'}, ms`,
    ours: overhead(ours, part),
    reference: overhead(reference, part),
    digits: 2,
    target: timesAtMost(2.5),
  }))
}

async function holdStreams(sides: readonly Side[]): Promise<Figure[]> {
  const { streams, chunks, rampMs } = plan
  say(`${streams} open streams`)
  const held = []
  for (const side of sides) {
    const { pid, port } = side.process
    const request = streamedRun(await side.assistant(`scripted-${chunks}-${chunkMs}`))
    held.push(await hold({ port, streams, chunks, rampMs, request, cpuSeconds: () => cpuSeconds(pid) }))
  }
  const [ours, reference] = held
  if (!ours || !reference) return []
  const name = `${streams.toLocaleString('en')} streams at ${1000 / chunkMs} chunks/s each`
  const delay = (part: number) => ({
    ours: quantile(ours.delaysMs, part),
    reference: quantile(reference.delaysMs, part),
  })
  return [
    { name: `${name}: lost`, ours: ours.lost, reference: reference.lost, target: none },
    { name: 'all open for, s', ours: ours.seconds, reference: reference.seconds, target: atLeast(quick ? 2 : 10) },
    {
      name: 'chunks/s meanwhile',
      ours: ours.chunkRate,
      reference: reference.chunkRate,
      // Nearly all: the first and the last of the time are counted by halves.
      target: atLeast((0.97 * streams * 1000) / chunkMs),
    },
    { name: 'delay of a chunk meanwhile, median, ms', ...delay(0.5) },
    { name: 'delay of a chunk meanwhile, p99, ms', ...delay(0.99) },
    { name: 'processor used meanwhile, %', ours: 100 * ours.busy, reference: 100 * reference.busy },
  ]
}

/** Both must do the same work, or the comparison is worth nothing. */
async function checkEvents(sides: readonly Side[]) {
  const [ours, reference] = await Promise.all(
    sides.map(async (side) => eventNames(side.process.port, streamedRun(await side.assistant('scripted-10-0')))),
  )
  if (String(ours) !== String(reference)) throw new Error(`The events differ:\n${ours}\n${reference}`)
}

say('Starts')
const startFigures = await measureStarts()
const server = await startServer()
const reference = await startReference()
const sides = [sideOf(server), sideOf(reference)]
await checkEvents(sides)

const newThread = async ({ process: { port } }: Side) =>
  (await call<{ id: string }>(port, 'POST', '/v1/threads', {})).id
const run = async (side: Side) => streamedRun(await side.assistant('scripted-10-0'))
const getAssistant = async (side: Side) => requestText('GET', `/v1/assistants/${await side.assistant('scripted-10-0')}`)
const postMessage = async (side: Side) =>
  requestText('POST', `/v1/threads/${await newThread(side)}/messages`, { role: 'user', content: 'How much is it?' })

const figures = [
  await compareRates(sides, 'Streamed runs/s, 16 connections', 16, run),
  await compareRates(sides, 'Streamed runs/s, 64 connections', 64, run),
  ...(await compareFirstDeltas(sides)),
  await compareRates(sides, 'GET assistant, requests/s', 16, getAssistant),
  await compareRates(sides, 'POST message, requests/s', 16, postMessage),
  ...(await holdStreams(sides)),
  ...startFigures,
]
for (const { stop } of [server, reference, backend]) await stop()
rmSync(folder, { recursive: true })

process.stdout.write(`${markdownTable(figures)}\n\n`)
const machine = `Node ${process.versions.node}, ${cpus()[0]?.model ?? 'unknown processor'}`
process.stdout.write(
  `${machine}; the server ${isPinned ? 'on one core, the load on the others' : 'not pinned to a core'}.\n`,
)
process.stdout.write(`Processor time of server and reference:\n${costs.map((line) => `- ${line}\n`).join('')}`)
if (figures.some(isMissed)) process.exitCode = 1
