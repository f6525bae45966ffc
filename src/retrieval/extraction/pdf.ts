import { getDocumentProxy } from 'unpdf'
import { unparsable } from './error.ts'
import { createTextWriter, type TextWriter } from './text-writer.ts'

type Pdf = Awaited<ReturnType<typeof getDocumentProxy>>
type Page = Awaited<ReturnType<Pdf['getPage']>>

/** Pages in their order. A page that is broken is left out, as viewers do. */
export async function textOfPdf(bytes: Uint8Array): Promise<string> {
  const pdf = await open(bytes)
  try {
    return await textOfPages(pdf)
  } finally {
    await pdf.loadingTask.destroy()
  }
}

async function textOfPages(pdf: Pdf): Promise<string> {
  const writer = createTextWriter()
  let broken = 0
  for (let number = 1; number <= pdf.numPages; number++) {
    let page: Page
    try {
      page = await pdf.getPage(number)
    } catch (cause) {
      // A tree of pages that does not hold as many as it says is not searched for each of them.
      if (++broken === 10) throw unparsable(undefined, { cause })
      continue
    }
    await writePage(page, writer)
    writer.end(2)
    page.cleanup()
  }
  if (broken === pdf.numPages) throw unparsable()
  return writer.text()
}

async function open(bytes: Uint8Array): Promise<Pdf> {
  try {
    // Pictures are of no use here, and the greatest part of what a PDF can make grow.
    return await getDocumentProxy(bytes, { verbosity: 0, maxImageSize: 0, useSystemFonts: false })
  } catch (cause) {
    const isLocked = cause instanceof Error && cause.name === 'PasswordException'
    throw unparsable(isLocked ? 'encrypted' : undefined, { cause })
  }
}

/** Lines that stand farther apart than lines do are paragraphs. */
async function writePage(page: Page, writer: TextWriter): Promise<void> {
  const { items } = await page.getTextContent()
  let last: { y: number; height: number } | undefined
  for (const item of items) {
    if (!('str' in item)) continue
    const y: number = item.transform[5]
    if (item.str && last && writer.isAtStart() && last.y - y > 1.7 * Math.max(last.height, item.height)) writer.end(2)
    writer.write(item.str)
    if (item.str.trim()) last = { y, height: item.height }
    if (item.hasEOL) writer.end(1)
  }
}
