import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { createExtractor, type Document, type Extractor, type ExtractorOptions } from '../src/retrieval/extract.ts'
import { documentOf } from './harness/documents.ts'
import { hostileFiles } from './harness/hostile-files.ts'

const isLinux = process.platform === 'linux'
const sizes = { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 }
const never = new AbortController().signal
const folder = join(import.meta.dirname, 'documents')
const demo = join(import.meta.dirname, '../src/demo/documents')

const extractors: Extractor[] = []
afterEach(async () => {
  for (const extractor of extractors.splice(0)) await extractor.close()
})

function start(options: Partial<ExtractorOptions> = {}): Extractor {
  const extractor = createExtractor({ concurrency: 2, timeoutMs: 30_000, memoryMiB: 512, ...options })
  extractors.push(extractor)
  return extractor
}

const textOf = async (filename: string, content: string | Uint8Array, extractor: Extractor) =>
  (await extractor.chunksOf(documentOf(filename, content), sizes, never)).join('\f')

const errors = {
  unsupported: { code: 'unsupported_file', message: 'The file type is not supported.' },
  broken: { code: 'invalid_file', message: 'The file could not be parsed.' },
  tooLarge: { code: 'invalid_file', message: 'The file could not be parsed because it is too large.' },
  internal: { code: 'server_error', message: 'An internal error occurred.' },
}

/** The processes that this one or another one started and that still run. */
function childrenOf(pid: number | 'self'): string[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean))
    .filter(isRunning)
}

const isRunning = (pid: string) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

const keeper = 'The lighthouse keeper of Skagen counts the ships that pass.'

describe('formats', () => {
  const extractor = createExtractor({ concurrency: 1, timeoutMs: 30_000, memoryMiB: 512 })
  afterAll(() => extractor.close())

  const sample = (name: string) => textOf(name, readFileSync(join(folder, name)), extractor)

  test('a PDF gives its pages, and its paragraphs as such', async () => {
    expect(await sample('sample.pdf')).toBe(
      `The Lighthouse\n${keeper}\n\nOn the second page he falls asleep: naïve café.`,
    )
  })

  test('a Word document gives its paragraphs, and its tables with tabs', async () => {
    expect(await sample('sample.docx')).toBe(`The Lighthouse\n\n${keeper}\n\nShip\tFlag\nAurora\tNorway\n\nNaïve café.`)
  })

  test('a presentation gives its slides as they are shown, with notes', async () => {
    expect(await sample('sample.pptx')).toBe(
      `Shown first\n\nThe Lighthouse\n${keeper}\nSpeak slowly here.\n\nShips\nShip\tFlag\nAurora\tNorway`,
    )
  })

  test('a workbook gives its sheets by name, dates as dates', async () => {
    expect(await sample('sample.xlsx')).toBe(
      'Ships\nShip\tFlag\tPassed\tTons\nAurora\tNorway\t2026-03-01\t1200.5\n' +
        'Øresund\tDenmark\t2026-03-02 14:30:00\tTRUE\n\nKeepers\nThe lighthouse keeper of Skagen',
    )
  })

  test('OpenDocument texts, spreadsheets and presentations give their text', async () => {
    expect(await sample('sample.odt')).toBe(`The Lighthouse\n\n${keeper}\n\nShip\tFlag\nAurora\tNorway`)
    expect(await sample('sample.ods')).toBe('Ships\nShip\tFlag\nAurora\tNorway')
    expect(await sample('sample.odp')).toBe(keeper)
  })

  test('a page gives what a reader sees', async () => {
    const page = `<!doctype html><html><head><title>Ships &amp; more</title><style>p { color: red }</style></head><body>
      <script>alert("no")</script><nav><ul><li>Home<li>About</ul></nav>
      <h1>The   <em>Light</em>house</h1><p>One<br>two &eacute; <img alt="a ship" src="x"> three.</p>
      <table><tr><th>Ship</th><th>Flag</th></tr><tr><td><p>Aurora</p></td><td><p>Norway</p><p>North</p></td></tr></table>
      <pre>a\n  b</pre><noscript>no</noscript></body></html>`
    expect(await textOf('page.html', page, extractor)).toBe(
      'Ships & more\n\nHome\nAbout\n\nThe Lighthouse\n\nOne\ntwo é a ship three.\n\nShip\tFlag\nAurora\tNorway North\n\na\n  b',
    )
  })

  test('text, code and data come as they stand', async () => {
    const text = '# Title\n\n\tif (a < b) { "ünïcode": 1 }  \n'
    for (const name of [
      'a.md',
      'a.txt',
      'a.JSON',
      'a.tex',
      'a.py',
      'a.csv',
      'a.xml',
      'a.yml',
      'a.log',
      'Makefile',
      'a.unheard-of',
    ]) {
      expect(await textOf(name, text, extractor)).toBe(text)
    }
  })

  test('UTF-8 and UTF-16 are told apart, with a byte order mark and without', async () => {
    const text = 'Skål, 灯台 🚢 and more of the same.\n'
    const little = Buffer.from(text, 'utf16le')
    const big = Buffer.from(little).swap16()
    for (const bytes of [
      Buffer.from(text),
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]),
      little,
      big,
      Buffer.concat([Buffer.from([0xff, 0xfe]), little]),
      Buffer.concat([Buffer.from([0xfe, 0xff]), big]),
    ]) {
      expect(await textOf('a.txt', bytes, extractor)).toBe(text)
    }
    const latin = Buffer.from('<meta charset="windows-1252"><p>Sk\xe5l</p>', 'latin1')
    expect(await textOf('a.html', latin, extractor)).toBe('Skål')
    await expect(textOf('a.txt', Buffer.from('Sk\xe5l', 'latin1'), extractor)).rejects.toMatchObject(errors.broken)
  })

  test('pictures, sounds, archives and programs are not supported, nor is what is called a text and is none', async () => {
    for (const name of ['a.png', 'a.mp3', 'a.zip', 'a.exe', 'a.doc', 'archive.tar.gz']) {
      await expect(textOf(name, 'text', extractor)).rejects.toMatchObject(errors.unsupported)
    }
    const zipped = readFileSync(join(folder, 'sample.docx'))
    for (const name of ['a.txt', 'a.md', 'a']) {
      await expect(textOf(name, zipped, extractor)).rejects.toMatchObject(errors.unsupported)
    }
    await expect(textOf('a.pdf', zipped, extractor)).rejects.toMatchObject(errors.broken)
    await expect(textOf('a.docx', 'text', extractor)).rejects.toMatchObject(errors.broken)
  })

  test('an encrypted file says that it is encrypted', async () => {
    await expect(sample('encrypted.pdf')).rejects.toMatchObject({
      code: 'invalid_file',
      message: 'The file could not be parsed because it is encrypted.',
    })
  })

  test('the documents of the demo can be read', async () => {
    const facts = { 'plan.pdf': '7 September 2026', 'budget.docx': '4.8 million euros', 'notes.md': 'Utrecht alone' }
    for (const [name, fact] of Object.entries(facts)) {
      const filename = `project-phoenix-${name}`
      expect(await textOf(filename, readFileSync(join(demo, filename)), extractor)).toContain(fact)
    }
  })
})

describe('processes', () => {
  /** A document whose bytes come only when they are let. */
  function heldBack(filename = 'held.txt') {
    const opened = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const document: Document = {
      filename,
      bytes: 4,
      open: async () => {
        opened.resolve()
        await released.promise
        return documentOf(filename, 'text').open()
      },
    }
    return { document, opened: opened.promise, release: released.resolve }
  }

  test('no more documents are read at once than the concurrency says, and all are read in the end', async () => {
    const extractor = start({ concurrency: 2 })
    const held = Array.from({ length: 5 }, () => heldBack())
    let open = 0
    let most = 0
    const all = held.map(async ({ document, opened, release }) => {
      const chunks = extractor.chunksOf(document, sizes, never)
      void opened.then(() => {
        most = Math.max(most, ++open)
      })
      return await chunks.finally(() => open--).then(() => release)
    })
    await Promise.all(held.slice(0, 2).map(({ opened }) => opened))
    for (const { release } of held) release()
    await Promise.all(all)
    expect(most).toBe(2)
  })

  test.runIf(isLinux)('a process is used again, and ends when it has long had nothing to do', async () => {
    expect(childrenOf('self')).toEqual([])
    const extractor = start({ idleMs: 300 })
    await textOf('a.txt', 'one', extractor)
    const first = childrenOf('self')
    await textOf('b.txt', 'two', extractor)
    expect(childrenOf('self')).toEqual(first)
    expect(first).toHaveLength(1)
    await expect.poll(() => childrenOf('self')).toEqual([])
    expect(await textOf('c.txt', 'three', extractor)).toBe('three')
  })

  test.runIf(isLinux)('a process is told nothing of our environment', async () => {
    process.env.EXTRACTION_TEST_SECRET = 'secret'
    onTestFinished(() => {
      delete process.env.EXTRACTION_TEST_SECRET
    })
    await textOf('a.txt', 'one', start())
    const [child] = childrenOf('self')
    expect(readFileSync(`/proc/${child}/environ`, 'utf8')).not.toMatch(/EXTRACTION_TEST_SECRET|PATH=|HOME=/)
  })

  test('a document that takes too long fails alone', async () => {
    const extractor = start({ timeoutMs: 2000 })
    const { document, opened } = heldBack()
    const stuck = extractor.chunksOf(document, sizes, never)
    await opened
    expect(await textOf('a.txt', 'one', extractor)).toBe('one')
    await expect(stuck).rejects.toMatchObject(errors.tooLarge)
    expect(await textOf('b.txt', 'two', extractor)).toBe('two')
  })

  test('a document that takes too much memory fails alone', async () => {
    const extractor = start({ concurrency: 1, memoryMiB: 256 })
    const bomb = hostileFiles.find(({ filename }) => filename === 'flate-bomb.pdf')
    await expect(textOf('bomb.pdf', bomb?.bytes() ?? '', extractor)).rejects.toMatchObject(errors.tooLarge)
    expect(await textOf('b.txt', 'two', extractor)).toBe('two')
  })

  test.runIf(isLinux)('a process that is killed fails its document alone', async () => {
    const extractor = start({ concurrency: 1 })
    const { document, opened } = heldBack()
    const outcome = extractor.chunksOf(document, sizes, never)
    await opened
    for (const child of childrenOf('self')) process.kill(Number(child), 'SIGKILL')
    await expect(outcome).rejects.toMatchObject({ code: 'invalid_file' })
    expect(await textOf('b.txt', 'two', extractor)).toBe('two')
  })

  test.runIf(isLinux)('a signal to all processes leaves it to the server when they end', async () => {
    const extractor = start({ concurrency: 1 })
    const { document, opened, release } = heldBack()
    const outcome = extractor.chunksOf(document, sizes, never)
    await opened
    for (const child of childrenOf('self')) {
      process.kill(Number(child), 'SIGINT')
      process.kill(Number(child), 'SIGTERM')
    }
    release()
    expect(await outcome).toEqual(['text'])
  })

  test('bytes that are gone or cannot be read are our error, and leave the next document alone', async () => {
    const extractor = start({ concurrency: 1 })
    const gone: Document = { filename: 'a.txt', bytes: 5, open: async () => undefined }
    await expect(extractor.chunksOf(gone, sizes, never)).rejects.toMatchObject(errors.internal)
    const broken: Document = {
      filename: 'a.txt',
      bytes: 5,
      open: async () =>
        (async function* () {
          yield Buffer.from('te')
          throw new Error('disk')
        })(),
    }
    await expect(extractor.chunksOf(broken, sizes, never)).rejects.toMatchObject(errors.internal)
    expect(await textOf('b.txt', 'two', extractor)).toBe('two')
  })

  test('no more is read of a document that has more bytes than announced', async () => {
    let isReleased = false
    const endless: Document = {
      filename: 'a.txt',
      bytes: 5,
      open: async () =>
        (async function* () {
          try {
            for (;;) yield Buffer.alloc(65_536, 'a')
          } finally {
            isReleased = true
          }
        })(),
    }
    const extractor = start({ concurrency: 1 })
    await expect(extractor.chunksOf(endless, sizes, never)).rejects.toMatchObject(errors.internal)
    expect(await textOf('b.txt', 'two', extractor)).toBe('two')
    expect(isReleased).toBe(true)
  })

  test('a document that its name or its length condemns is not opened', async () => {
    const extractor = start()
    const open = () => Promise.reject(new Error('opened'))
    const refused = (filename: string, bytes: number) => extractor.chunksOf({ filename, bytes, open }, sizes, never)
    await expect(refused('a.png', 5)).rejects.toMatchObject(errors.unsupported)
    await expect(refused('a.txt', 2 ** 29)).rejects.toMatchObject(errors.tooLarge)
    await expect(refused('a.txt', 0)).rejects.toMatchObject({ code: 'invalid_file' })
  })

  test('who gives up hears their own reason, in the line and at work, and the others go on', async () => {
    const extractor = start({ concurrency: 1 })
    const atWork = new AbortController()
    const inLine = new AbortController()
    const { document, opened } = heldBack()
    const first = extractor.chunksOf(document, sizes, atWork.signal)
    await opened
    const second = extractor.chunksOf(documentOf('b.txt', 'two'), sizes, inLine.signal)
    const third = extractor.chunksOf(documentOf('c.txt', 'three'), sizes, never)
    inLine.abort('no more wanted')
    await expect(second).rejects.toBe('no more wanted')
    atWork.abort('deleted')
    await expect(first).rejects.toBe('deleted')
    expect(await third).toEqual(['three'])
    await expect(extractor.chunksOf(documentOf('d.txt', 'four'), sizes, atWork.signal)).rejects.toBe('deleted')
  })

  test.runIf(isLinux)('closing ends all processes at once, and is no fault of the documents', async () => {
    const extractor = start({ concurrency: 1 })
    const { document, opened } = heldBack()
    const atWork = expect(extractor.chunksOf(document, sizes, never)).rejects.toThrow('The extractor is closed.')
    const inLine = expect(extractor.chunksOf(document, sizes, never)).rejects.toThrow('The extractor is closed.')
    await opened
    await extractor.close()
    await atWork
    await inLine
    await expect(textOf('a.txt', 'one', extractor)).rejects.toThrow('The extractor is closed.')
    expect(childrenOf('self')).toEqual([])
  })

  /** A server in short, which has a process busy with a document of 20 MB. */
  const serverCode = `
    import { createExtractor } from ${JSON.stringify(new URL('../src/retrieval/extract.ts', import.meta.url).href)}
    const extractor = createExtractor({ concurrency: 1, timeoutMs: 30000, memoryMiB: 512 })
    const bytes = Buffer.alloc(20e6, 'a ')
    const open = async () => (async function* () { yield bytes; console.log('sent') })()
    extractor.chunksOf({ filename: 'a.txt', bytes: bytes.length, open }, ${JSON.stringify(sizes)}, new AbortController().signal)
  `

  test.runIf(isLinux)('no process outlives the server, even when that is killed while they are busy', async () => {
    const server = spawn(process.execPath, ['--input-type=module', '--eval', serverCode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(server.stdout, 'data')
    const children = childrenOf(server.pid ?? 0)
    expect(children).toHaveLength(1)
    server.kill('SIGKILL')
    await expect.poll(() => children.filter(isRunning)).toEqual([])
  })

  test('a process that is idle keeps nobody from ending', () => {
    const ended = serverCode.replace('20e6', '20') // Its extractor is never closed.
    const begin = performance.now()
    execFileSync(process.execPath, ['--input-type=module', '--eval', ended], { timeout: 9000 })
    expect(performance.now() - begin).toBeLessThan(9000)
  })
})
