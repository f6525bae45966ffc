import { type Archive, mainPart } from './archive.ts'
import { parseXml, skipping } from './markup.ts'
import { createTextWriter, type TextWriter } from './text-writer.ts'

/**
 * Properties name tab stops and the like; a fallback says again, for old programs, what stands before it; what was moved
 * away or deleted is not there any more; a field of a slide is its number or the date.
 */
const unread = new Set(['pPr', 'rPr', 'Fallback', 'moveFrom', 'del', 'instrText', 'fld'])

/** Footnotes come after the text, as they do in Word's own plain text. */
export async function textOfDocx(archive: Archive): Promise<string> {
  const writer = createTextWriter()
  const main = await mainPart(archive)
  await writeParagraphs(archive, main, writer, 2)
  for (const { type, target } of (await archive.relationships(main)).values()) {
    if (type === 'footnotes' || type === 'endnotes') await writeParagraphs(archive, target, writer, 1)
  }
  return writer.text()
}

/** Slides in their order of showing, each followed by its notes. */
export async function textOfPptx(archive: Archive): Promise<string> {
  const writer = createTextWriter()
  const main = await mainPart(archive)
  const parts = await archive.relationships(main)
  const slides: string[] = []
  await parseXml(archive.read(main), {
    open(name, attributes) {
      const slide = name === 'sldId' ? parts.get(attributes['r:id'] ?? '') : undefined
      if (slide) slides.push(slide.target)
    },
  })
  for (const slide of slides) {
    await writeParagraphs(archive, slide, writer, 1)
    for (const { type, target } of (await archive.relationships(slide)).values()) {
      if (type === 'notesSlide') await writeParagraphs(archive, target, writer, 1)
    }
    writer.end(2)
  }
  return writer.text()
}

/** Word's and PowerPoint's markup differ, but not in the names of what holds text. */
async function writeParagraphs(archive: Archive, part: string, writer: TextWriter, end: 1 | 2): Promise<void> {
  let texts = 0
  let tables = 0
  let cells = 0
  let hasText = false
  await parseXml(
    archive.read(part),
    skipping(unread, {
      open(name) {
        if (name === 't') texts++
        else if (name === 'tab') writer.write('\t')
        else if (name === 'br' || name === 'cr') writer.end(1)
        else if (name === 'noBreakHyphen') writer.write('-')
        else if (name === 'tbl') tables++
        else if (name === 'tr') cells = 0
        else if (name === 'tc' && cells++ > 0) writer.write('\t')
        else if (name === 'p' && tables > 0 && hasText) writer.write(' ')
        if (name === 'tc' || name === 'p') hasText = false
      },
      close(name) {
        if (name === 't') texts--
        else if (name === 'tr') writer.end(1)
        else if (name === 'p' && tables === 0) writer.end(end)
        else if (name === 'tbl' && --tables === 0) writer.end(end)
      },
      text(text) {
        if (texts === 0) return
        writer.write(text)
        hasText = true
      },
    }),
  )
  writer.end(end)
}
