import { constants, deflateRawSync, deflateSync } from 'node:zlib'

/** What must come of a hostile file: chunks, if it is a legitimate text after all, or the error that clients read. */
export type Fate = 'chunks' | 'unsupported' | 'unparsable' | 'too large' | 'empty' | 'encrypted'

export interface HostileFile {
  filename: string
  fate: Fate
  /** Made when it is needed: some take many megabytes. */
  bytes(): Buffer
}

const mebibyte = 1024 * 1024
const text = (content: string) => Buffer.from(content)

interface Entry {
  name: string
  content: string | Deflated
}

interface Deflated {
  deflated: Buffer
  /** What the entry says that it is inflated. */
  bytes: number
}

/** So many mebibytes of a letter, deflated, without making them: a part that ends on a byte's edge, many times over. */
function bomb(prefix: string, letter: string, mebibytes: number, suffix = '', declared?: number): Deflated {
  const flush = { finishFlush: constants.Z_FULL_FLUSH, level: 9 }
  const deflate = (content: string) => deflateRawSync(content, flush)
  const part = deflate(letter.repeat(mebibyte))
  const parts: Buffer[] = [deflate(prefix), ...Array<Buffer>(mebibytes).fill(part), deflateRawSync(suffix)]
  const bytes = declared ?? prefix.length + suffix.length + mebibytes * mebibyte
  return { deflated: Buffer.concat(parts), bytes }
}

/** A zip archive. `aliases` are more names for its last entry, which share its bytes. */
export function zip(entries: Entry[], aliases = 0): Buffer {
  const body: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  let count = 0
  const list = (name: string, content: Deflated, offset: number) => {
    const record = Buffer.alloc(46)
    record.write('PK\x01\x02', 'latin1')
    record.writeUInt16LE(20, 6)
    record.writeUInt16LE(8, 10)
    record.writeUInt32LE(content.deflated.length, 20)
    record.writeUInt32LE(content.bytes, 24)
    record.writeUInt16LE(Buffer.byteLength(name), 28)
    record.writeUInt32LE(offset, 42)
    directory.push(record, text(name))
    count++
  }
  for (const [index, { name, content }] of entries.entries()) {
    const data =
      typeof content === 'string' ? { deflated: deflateRawSync(content), bytes: Buffer.byteLength(content) } : content
    const local = Buffer.alloc(30)
    local.write('PK\x03\x04', 'latin1')
    local.writeUInt16LE(20, 4)
    local.writeUInt16LE(8, 8)
    local.writeUInt32LE(data.deflated.length, 18)
    local.writeUInt32LE(data.bytes, 22)
    local.writeUInt16LE(Buffer.byteLength(name), 26)
    list(name, data, at)
    if (index === entries.length - 1) for (let alias = 0; alias < aliases; alias++) list(`${alias}.xml`, data, at)
    body.push(local, text(name), data.deflated)
    at += 30 + Buffer.byteLength(name) + data.deflated.length
  }
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(count, 8)
  end.writeUInt16LE(count, 10)
  end.writeUInt32LE(
    directory.reduce((sum, record) => sum + record.length, 0),
    12,
  )
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...body, ...directory, end])
}

const relationship = (id: string, type: string, target: string) =>
  `<Relationship Id="${id}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/${type}" Target="${target}"/>`

const relationships = (...list: string[]) =>
  `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${list.join('')}</Relationships>`

const root = (main: string) => ({
  name: '_rels/.rels',
  content: relationships(relationship('r1', 'officeDocument', main)),
})

export const docx = (document: string | Deflated) =>
  zip([root('word/document.xml'), { name: 'word/document.xml', content: document }])

/** A workbook with one sheet. */
export const xlsx = (rows: string, strings: string | Deflated = '<sst/>') =>
  zip([
    root('xl/workbook.xml'),
    {
      name: 'xl/workbook.xml',
      content: '<workbook xmlns:r="r"><sheets><sheet name="One" sheetId="1" r:id="r1"/></sheets></workbook>',
    },
    {
      name: 'xl/_rels/workbook.xml.rels',
      content: relationships(
        relationship('r1', 'worksheet', 'worksheets/sheet1.xml'),
        relationship('r2', 'sharedStrings', 'sharedStrings.xml'),
      ),
    },
    { name: 'xl/worksheets/sheet1.xml', content: `<worksheet><sheetData>${rows}</sheetData></worksheet>` },
    { name: 'xl/sharedStrings.xml', content: strings },
  ])

/** A presentation that shows one slide `times` times. */
const pptx = (slide: string, times: number) =>
  zip([
    root('ppt/presentation.xml'),
    {
      name: 'ppt/presentation.xml',
      content: `<p:presentation xmlns:r="r"><p:sldIdLst>${'<p:sldId r:id="r1"/>'.repeat(times)}</p:sldIdLst></p:presentation>`,
    },
    {
      name: 'ppt/_rels/presentation.xml.rels',
      content: relationships(relationship('r1', 'slide', 'slides/slide1.xml')),
    },
    { name: 'ppt/slides/slide1.xml', content: slide },
  ])

/** A PDF of these objects, numbered from 1, of which the first is the catalogue. */
export function pdf(objects: (string | Buffer)[], trailer = ''): Buffer {
  const parts = [text('%PDF-1.7\n')]
  const offsets: number[] = []
  let at = 9
  for (const [index, object] of objects.entries()) {
    offsets.push(at)
    const part = Buffer.concat([text(`${index + 1} 0 obj\n`), Buffer.from(object), text('\nendobj\n')])
    parts.push(part)
    at += part.length
  }
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')
  const size = objects.length + 1
  parts.push(
    text(
      `xref\n0 ${size}\n0000000000 65535 f \n${table}trailer\n<</Size ${size}/Root 1 0 R${trailer}>>\nstartxref\n${at}\n%%EOF`,
    ),
  )
  return Buffer.concat(parts)
}

const stream = (data: Buffer, entries = '') =>
  Buffer.concat([text(`<</Length ${data.length}${entries}>>\nstream\n`), data, text('\nendstream')])

const catalogue = '<</Type/Catalog/Pages 2 0 R>>'
const font = '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>'
const page =
  '<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>>>'
const onePage = '<</Type/Pages/Kids[3 0 R]/Count 1>>'
const hello = stream(text('BT /F 12 Tf 50 700 Td (Hello) Tj ET'))

export const helloPdf = () => pdf([catalogue, onePage, page, hello, font])

/** A page's content of so many mebibytes, all spaces. */
function flateBomb(mebibytes: number): Buffer {
  const { deflated } = bomb('', ' ', mebibytes)
  const wrapped = Buffer.concat([Buffer.from([0x78, 0xda]), deflated])
  return stream(wrapped, '/Filter/FlateDecode')
}

const paragraph = (content: string) =>
  `<w:document><w:body><w:p><w:r><w:t>${content}</w:t></w:r></w:p></w:body></w:document>`

const laughs = [...'bcdefghij']
  .map((name, index) => `<!ENTITY ${name} "${`&${'abcdefghi'[index]};`.repeat(10)}">`)
  .join('')

const utf16 = (...units: number[]) => Buffer.from(Uint16Array.from([0xfeff, ...units]).buffer)

const noise = (length: number) => {
  const bytes = Buffer.alloc(length)
  let state = 1
  for (let index = 0; index < length; index++) {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    bytes[index] = state >> 16
  }
  return bytes
}

const compound = Buffer.concat([
  Buffer.from('d0cf11e0a1b11ae1', 'hex'),
  Buffer.alloc(2000),
  Buffer.from('EncryptedPackage', 'utf16le'),
])

const file = (filename: string, fate: Fate, bytes: () => Buffer): HostileFile => ({ filename, fate, bytes })

/** Every file is small until it is read, takes an unlucky parser for ever, or is not what its name says. */
export const hostileFiles: HostileFile[] = [
  file('flat-bomb.docx', 'too large', () => docx(bomb('<w:document>', ' ', 2000, '</w:document>'))),
  file('bomb-of-tags.docx', 'too large', () => docx(paragraph('<w:tab/>'.repeat(((30 * mebibyte) / 8) * 9)))),
  file('lying-bomb.docx', 'unparsable', () => docx(bomb('<w:document>', ' ', 2000, '</w:document>', 1000))),
  file('shared-strings-bomb.xlsx', 'too large', () => xlsx('', bomb('<sst><si><t>', 'a', 200, '</t></si></sst>'))),
  file('millions-of-strings.xlsx', 'too large', () => xlsx('', `<sst>${'<si/>'.repeat(6_000_000)}</sst>`)),
  file('one-string-a-million-times.xlsx', 'too large', () =>
    xlsx(
      `<row>${'<c t="s"><v>0</v></c>'.repeat(1_000_000)}</row>`,
      `<sst><si><t>${'abc '.repeat(10_000)}</t></si></sst>`,
    ),
  ),
  file('far-cell.xlsx', 'chunks', () => xlsx('<row r="1048576"><c r="XFD1048576"><v>42</v></c></row>')),
  file('one-slide-for-ever.pptx', 'too large', () =>
    pptx(`<p:sld><a:p><a:t>${'slide '.repeat(200_000)}</a:t></a:p></p:sld>`, 100_000),
  ),
  file('overlapping-entries.odt', 'too large', () =>
    zip([{ name: 'content.xml', content: bomb('', ' ', 10) }], 40_000),
  ),
  file('archive-in-archive.docx', 'unparsable', () => {
    let inner = docx(bomb('', ' ', 10))
    for (let depth = 0; depth < 20; depth++)
      inner = zip([{ name: 'word/document.xml', content: inner.toString('latin1') }])
    return inner
  }),
  file('billion-laughs.docx', 'chunks', () =>
    docx(`<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "ha">${laughs}]>${paragraph('&j;')}`),
  ),
  file('million-tags-deep.docx', 'unparsable', () => docx('<w:p>'.repeat(1_000_000))),
  file('gzip.docx', 'unparsable', () => Buffer.concat([Buffer.from([0x1f, 0x8b, 8, 0]), noise(5000)])),
  file('password.docx', 'encrypted', () => compound),
  file('nested.html', 'unparsable', () => text('<div>'.repeat(100_000))),
  file('giant-attribute.html', 'chunks', () => text(`<p title="${'x'.repeat(8 * mebibyte)}">seen</p>`)),
  file('never-closed.html', 'empty', () => text(`<script>${'<!-- '.repeat(mebibyte)}`)),
  file('white-space.html', 'chunks', () => text(`<p>a${' \t\n'.repeat(4 * mebibyte)}b`)),
  file('nested.json', 'chunks', () => text('['.repeat(1_000_000) + ']'.repeat(1_000_000))),
  file('flate-bomb.pdf', 'too large', () => pdf([catalogue, onePage, page, flateBomb(2000), font])),
  file('cyclic-pages.pdf', 'unparsable', () => pdf([catalogue, '<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>'])),
  file('cyclic-xref.pdf', 'unparsable', () => {
    const whole = pdf([catalogue, '<</Type/Pages/Kids[]/Count 0>>'], '/Prev 00000')
    const at = whole.indexOf('xref\n')
    return Buffer.from(
      whole.toString('latin1').replace('/Prev 00000', `/Prev ${String(at).padStart(5, '0')}`),
      'latin1',
    )
  }),
  file('truncated.pdf', 'unparsable', () => helloPdf().subarray(0, 120)),
  file('millions-of-pages.pdf', 'chunks', () =>
    pdf([catalogue, '<</Type/Pages/Kids[3 0 R]/Count 2000000000>>', page, hello, font]),
  ),
  file('nested-arrays.pdf', 'unparsable', () =>
    pdf([catalogue, `<</Type/Pages/Kids${'['.repeat(2_000_000)}/Count 1>>`]),
  ),
  file('form-in-itself.pdf', 'chunks', () => {
    const form = stream(
      text('/X Do /X Do BT /F 12 Tf (a) Tj ET'),
      '/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>',
    )
    return pdf([catalogue, onePage, page, stream(text('/X Do BT /F 12 Tf (Hello) Tj ET')), font, form])
  }),
  file('noise.pdf', 'unparsable', () => noise(mebibyte)),
  file('one-letter.txt', 'chunks', () => Buffer.alloc(10 * mebibyte, 'a')),
  file('no-space.txt', 'chunks', () => text('東京特許許可局'.repeat(50_000))),
  file('families.txt', 'chunks', () => text('👩‍👩‍👧‍👦'.repeat(50_000))),
  file('accents.txt', 'chunks', () => text(`a${'\u0301\u0323'.repeat(250_000)}`)),
  file('white-space.txt', 'empty', () => text(' \u3000\r\t'.repeat(mebibyte))),
  file('bait.md', 'chunks', () => text(`x${' \r'.repeat(mebibyte)}x${'!'.repeat(mebibyte)}${"'".repeat(mebibyte)}`)),
  file('one-field.csv', 'chunks', () => text(`"${'field ""quoted"" '.repeat(500_000)}`)),
  file('too-many-tokens.txt', 'too large', () => text('a1!'.repeat(8 * mebibyte))),
  file('zeros.txt', 'unsupported', () => Buffer.alloc(mebibyte)),
  file('zero-in-the-end.txt', 'unsupported', () => text(`${'word '.repeat(200_000)}\0`)),
  file('not-utf-8.txt', 'unparsable', () => Buffer.from('caf\xe9 \xff\xfe'.repeat(1000), 'latin1')),
  file('lone-surrogates.txt', 'chunks', () => utf16(...Array<number>(50_000).fill(0xd83d))),
  file('odd.txt', 'chunks', () => Buffer.concat([utf16(0x61, 0x62), Buffer.from([0x63])])),
  file('nothing.txt', 'empty', () => Buffer.alloc(0)),
  file('mark-only.txt', 'empty', () => Buffer.from([0xef, 0xbb, 0xbf])),
  file('picture.txt', 'unsupported', () =>
    Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), deflateSync(noise(5000))]),
  ),
  file('program.md', 'unsupported', () => Buffer.concat([text('\x7fELF'), noise(5000)])),
  file('noise', 'unsupported', () => noise(mebibyte)),
]
