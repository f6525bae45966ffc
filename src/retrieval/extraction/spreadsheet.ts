import { type Archive, mainPart } from './archive.ts'
import { unparsable } from './error.ts'
import { parseXml, skipping } from './markup.ts'
import { createTextWriter, maxCharacters, type TextWriter } from './text-writer.ts'

interface Workbook {
  strings: string[]
  /** Styles, by their number, that show a number as a date. */
  dates: ReadonlySet<number>
  /** Days from 1970 to the day that the workbook counts from. */
  epoch: number
}

const epoch1900 = -25_569
const epoch1904 = -24_107

/** Every sheet under its name: a row a line, tabs between its cells, empty cells left out. */
export async function textOfXlsx(archive: Archive): Promise<string> {
  const main = await mainPart(archive)
  const parts = await archive.relationships(main)
  const partOf = (type: string) => [...parts.values()].find((one) => one.type === type)?.target ?? ''
  const sheets: { name: string; part: string }[] = []
  let epoch = epoch1900
  await parseXml(archive.read(main), {
    open(name, attributes) {
      const part = name === 'sheet' ? parts.get(attributes['r:id'] ?? '') : undefined
      if (part?.type === 'worksheet') sheets.push({ name: attributes.name ?? '', part: part.target })
      if (name === 'workbookPr' && /^(1|true)$/.test(attributes.date1904 ?? '')) epoch = epoch1904
    },
  })
  const workbook = {
    strings: await readStrings(archive, partOf('sharedStrings')),
    dates: await readDateStyles(archive, partOf('styles')),
    epoch,
  }
  const writer = createTextWriter()
  for (const { name, part } of sheets) await writeRows(archive, part, name, workbook, writer)
  return writer.text()
}

const maxStrings = 5_000_000
const phonetic = new Set(['rPh'])

async function readStrings(archive: Archive, part: string): Promise<string[]> {
  const strings: string[] = []
  let characters = 0
  let string = ''
  let texts = 0
  await parseXml(
    archive.read(part),
    skipping(phonetic, {
      open(name) {
        if (name === 'si') string = ''
        if (name === 't') texts++
      },
      close(name) {
        if (name === 't') texts--
        if (name === 'si' && strings.push(string) > maxStrings) throw unparsable('too large')
      },
      text(text) {
        if (texts === 0) return
        string += text
        characters += text.length
        if (characters > maxCharacters) throw unparsable('too large')
      },
    }),
  )
  return strings
}

/** The number formats that every workbook has and that are dates (ECMA-376, 18.8.30). */
const isBuiltInDate = (id: number) => (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 58)

/** Whether letters of dates are left when quoted text, colours and escaped characters are taken out. */
const isDateCode = (code: string) => /[dmyhs]/i.test(code.slice(0, 255).replace(/"[^"]*"|\\.|\[[^\]]*\]/g, ''))

async function readDateStyles(archive: Archive, part: string): Promise<Set<number>> {
  const codes = new Map<number, string>()
  const dates = new Set<number>()
  let isCellStyle = false
  let style = 0
  await parseXml(archive.read(part), {
    open(name, attributes) {
      const id = Number(attributes.numFmtId)
      if (name === 'numFmt') codes.set(id, attributes.formatCode ?? '')
      if (name === 'cellXfs') isCellStyle = true
      if (name !== 'xf' || !isCellStyle) return
      if (isBuiltInDate(id) || isDateCode(codes.get(id) ?? '')) dates.add(style)
      style++
    },
    close(name) {
      if (name === 'cellXfs') isCellStyle = false
    },
  })
  return dates
}

async function writeRows(archive: Archive, part: string, sheet: string, workbook: Workbook, writer: TextWriter) {
  let title = `${sheet}\n`
  let type: string | undefined
  let style = 0
  let value = ''
  let values = 0
  let isFirst = true
  await parseXml(
    archive.read(part),
    skipping(phonetic, {
      open(name, attributes) {
        if (name === 'row') isFirst = true
        if (name === 'v' || name === 't') values++
        if (name !== 'c') return
        type = attributes.t
        style = Number(attributes.s ?? 0)
        value = ''
      },
      close(name) {
        if (name === 'v' || name === 't') values--
        if (name === 'row') writer.end(1)
        if (name !== 'c' || !value) return
        writer.write(title + (isFirst ? '' : '\t') + shown(value, type, style, workbook))
        title = ''
        isFirst = false
      },
      text(text) {
        if (values > 0) value += text
      },
    }),
  )
  writer.end(2)
}

function shown(value: string, type: string | undefined, style: number, { strings, dates, epoch }: Workbook): string {
  if (type === 's') return strings[Number(value)] ?? ''
  if (type === 'b') return value === '1' ? 'TRUE' : 'FALSE'
  const number = Number(value)
  if ((type && type !== 'n') || !dates.has(style) || !(number >= 0 && number < 3_000_000)) return value
  const iso = new Date(Math.round((number + epoch) * 86_400) * 1000).toISOString()
  const time = iso.slice(11, 19)
  if (number < 1) return time
  return time === '00:00:00' ? iso.slice(0, 10) : `${iso.slice(0, 10)} ${time}`
}
