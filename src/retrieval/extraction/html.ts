import { parseHtml, skipping } from './markup.ts'
import { createTextWriter } from './text-writer.ts'

const unread = new Set(['script', 'style', 'template', 'svg', 'math', 'iframe', 'object', 'select', 'noscript'])
const paragraphs = new Set(
  'address article aside blockquote dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav ol p pre section table title ul'.split(
    ' ',
  ),
)
const lines = new Set(
  'br caption dd details div dt figcaption legend li option summary tbody tfoot thead tr'.split(' '),
)

/** The encoding that a page names in its first bytes. */
export function declaredEncoding(bytes: Uint8Array): string | undefined {
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 1024))
  return /(?:charset|encoding)=["']?([\w-]{1,20})/i.exec(start)?.[1]
}

/** What a reader sees: blocks as lines, cells with tabs between, no scripts. */
export function textOfHtml(page: string): string {
  const writer = createTextWriter()
  let preformatted = 0
  let spaced = true
  let cells = 0
  let isInCell = false
  let gap = ''

  const block = (name: string) => {
    if (name === 'table' || name === 'tr') isInCell = false
    if (!paragraphs.has(name) && !lines.has(name)) return
    // What word processors write has paragraphs in its cells.
    if (isInCell) {
      if (!spaced) gap = ' '
      return
    }
    writer.end(paragraphs.has(name) ? 2 : 1)
    spaced = true
    gap = ''
  }
  const write = (text: string) => {
    if (preformatted > 0) return writer.write(text)
    const words = text.replace(/[ \t\r\n\f]+/g, ' ')
    const fresh = spaced && words.startsWith(' ') ? words.slice(1) : words
    if (!fresh) return
    writer.write(fresh.startsWith(' ') ? fresh : gap + fresh)
    gap = ''
    spaced = fresh.endsWith(' ')
  }

  parseHtml(
    page,
    skipping(unread, {
      open(name, attributes) {
        block(name)
        if (name === 'pre') preformatted++
        if (name === 'tr') cells = 0
        if (name === 'td' || name === 'th') {
          if (cells++ > 0) writer.write('\t')
          isInCell = true
          spaced = true
          gap = ''
        }
        if (name === 'img' && attributes.alt) write(` ${attributes.alt} `)
      },
      close(name) {
        if (name === 'pre') preformatted--
        if (name === 'td' || name === 'th') isInCell = false
        block(name)
      },
      text: write,
    }),
  )
  return writer.text()
}
