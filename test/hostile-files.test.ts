import { readdirSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExtractor, ExtractionError } from '../src/retrieval/extract.ts'
import { documentOf } from './harness/documents.ts'
import { type Fate, type HostileFile, hostileFiles } from './harness/hostile-files.ts'

const timeoutMs = 30_000
const memoryMiB = 512
const sizes = { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 }
const isLinux = process.platform === 'linux'

const extractor = createExtractor({ concurrency: 2, timeoutMs, memoryMiB })
let peakMiB = 0
let sampler: NodeJS.Timeout

beforeAll(() => {
  if (isLinux) sampler = setInterval(samplePeak, 10)
})
afterAll(async () => {
  clearInterval(sampler)
  await extractor.close()
})

/** The most memory that any of our processes had so far. */
function samplePeak(): void {
  for (const task of readdirSync('/proc/self/task')) {
    for (const child of readFileSync(`/proc/self/task/${task}/children`, 'utf8').trim().split(' ')) {
      peakMiB = Math.max(peakMiB, residentPeakOf(child))
    }
  }
}

function residentPeakOf(pid: string): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024
  } catch {
    return 0 // It has ended in between.
  }
}

const outcomes: Record<Exclude<Fate, 'chunks'>, { code: string; message: string }> = {
  unsupported: { code: 'unsupported_file', message: 'The file type is not supported.' },
  unparsable: { code: 'invalid_file', message: 'The file could not be parsed.' },
  'too large': { code: 'invalid_file', message: 'The file could not be parsed because it is too large.' },
  empty: { code: 'invalid_file', message: 'The file could not be parsed because it is empty.' },
  encrypted: { code: 'invalid_file', message: 'The file could not be parsed because it is encrypted.' },
}

async function outcomeOf({ filename, bytes }: HostileFile) {
  try {
    const chunks = await extractor.chunksOf(documentOf(filename, bytes()), sizes, new AbortController().signal)
    return { chunks }
  } catch (error) {
    if (!(error instanceof ExtractionError)) throw error
    return { code: error.code, message: error.message }
  }
}

test.each(hostileFiles)(
  '$filename ends as $fate within the limits, and harms no other file',
  { timeout: 60_000 },
  async (file) => {
    peakMiB = 0
    const start = performance.now()
    const good = documentOf('good.html', '<h1>Good</h1><p>Nothing wrong here.')
    const [outcome, chunks] = await Promise.all([
      outcomeOf(file),
      extractor.chunksOf(good, sizes, new AbortController().signal),
    ])
    expect(performance.now() - start).toBeLessThan(timeoutMs)
    expect(peakMiB).toBeLessThan(memoryMiB)
    expect(chunks).toEqual(['Good\n\nNothing wrong here.'])
    if (file.fate !== 'chunks') return expect(outcome).toEqual(outcomes[file.fate])
    expect(outcome.chunks?.length).toBeGreaterThan(0)
    expect(outcome.chunks?.every((chunk) => chunk.isWellFormed() && chunk.trim() !== '')).toBe(true)
  },
)
