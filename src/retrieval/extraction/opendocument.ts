import type { Archive } from './archive.ts'
import { unparsable } from './error.ts'
import { parseXml, skipping } from './markup.ts'
import { createTextWriter } from './text-writer.ts'

/** Tracked changes keep what was deleted; the number of a page is none before there are pages. */
const unread = new Set([
  'tracked-changes',
  'annotation',
  'automatic-styles',
  'font-face-decls',
  'scripts',
  'forms',
  'page-number',
])

/** Texts, presentations and spreadsheets of OpenDocument share one part and the names in it. */
export async function textOfOpenDocument(archive: Archive): Promise<string> {
  if (!archive.has('content.xml')) throw unparsable()
  if (await isEncrypted(archive)) throw unparsable('encrypted')
  const writer = createTextWriter()
  let paragraphs = 0
  let tables = 0
  /** What parts the next text from that before it in its table: a cell or a paragraph of the same. */
  let gap = ''
  let isRowBegun = false
  let isSpreadsheet = false
  const write = (text: string) => {
    writer.write(gap + text)
    gap = ''
    isRowBegun = true
  }
  await parseXml(
    archive.read('content.xml'),
    skipping(unread, {
      open(name, attributes) {
        if (name === 'spreadsheet') isSpreadsheet = true
        else if (name === 'p' || name === 'h') {
          if (paragraphs++ === 0 && tables > 0 && isRowBegun) gap ||= ' '
        } else if (name === 's') write(' '.repeat(Math.min(Number(attributes['text:c'] ?? 1) || 1, 100)))
        else if (name === 'tab') write('\t')
        else if (name === 'line-break') writer.end(1)
        else if (name === 'table') {
          if (tables++ === 0 && isSpreadsheet) writer.write(attributes['table:name'] ?? '')
          writer.end(1)
        } else if (name === 'table-row') {
          isRowBegun = false
          gap = ''
        } else if (name === 'table-cell' && isRowBegun) gap = '\t'
      },
      close(name) {
        if (name === 'p' || name === 'h') {
          paragraphs--
          if (tables === 0) writer.end(2)
        } else if (name === 'table-row') writer.end(1)
        else if (name === 'page') writer.end(2)
        else if (name === 'table' && --tables === 0) {
          gap = ''
          writer.end(2)
        }
      },
      text(text) {
        if (paragraphs === 0) return
        write(text.replace(/\s+/g, ' '))
      },
    }),
  )
  return writer.text()
}

async function isEncrypted(archive: Archive): Promise<boolean> {
  let found = false
  await parseXml(archive.read('META-INF/manifest.xml'), {
    open(name) {
      if (name === 'encryption-data') found = true
    },
  })
  return found
}
