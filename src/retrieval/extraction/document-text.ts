import { openArchive } from './archive.ts'
import { ExtractionError, unparsable, unsupported } from './error.ts'
import type { ByteLimits, Format } from './formats.ts'
import { beginsWith, decodeText } from './text.ts'

/**
 * The text of a document. Each parser is loaded by the first document that needs it: together they are most of the
 * process. Rejects with an ExtractionError, whatever a parser threw.
 */
export async function textOf(bytes: Uint8Array, format: Format, limits: ByteLimits): Promise<string> {
  if (bytes.length === 0) throw unparsable('empty')
  try {
    const text = tidy(await read(bytes, format, limits))
    if (!/\S/.test(text)) throw unparsable('empty')
    return text
  } catch (cause) {
    throw cause instanceof ExtractionError ? cause : unparsable(undefined, { cause })
  }
}

async function read(bytes: Uint8Array, format: Format, limits: ByteLimits): Promise<string> {
  switch (format) {
    case 'text':
      return decodeText(bytes, true)
    case 'unknown':
      return decodeText(bytes, false)
    case 'html': {
      const { declaredEncoding, textOfHtml } = await import('./html.ts')
      return textOfHtml(decodeText(bytes, true, declaredEncoding(bytes)))
    }
    case 'pdf': {
      const { textOfPdf } = await import('./pdf.ts')
      return await textOfPdf(bytes)
    }
    case 'docx':
    case 'pptx': {
      const { textOfDocx, textOfPptx } = await import('./office.ts')
      return await (format === 'docx' ? textOfDocx : textOfPptx)(await archiveOf(bytes, limits))
    }
    case 'xlsx': {
      const { textOfXlsx } = await import('./spreadsheet.ts')
      return await textOfXlsx(await archiveOf(bytes, limits))
    }
    case 'opendocument': {
      const { textOfOpenDocument } = await import('./opendocument.ts')
      return await textOfOpenDocument(await archiveOf(bytes, limits))
    }
    case 'unsupported':
      throw unsupported()
  }
}

function archiveOf(bytes: Uint8Array, limits: ByteLimits) {
  // An Office document with a password is a compound file, which holds the zip archive encrypted.
  if (beginsWith(bytes, '\xd0\xcf\x11\xe0')) {
    throw unparsable(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes('EncryptedPackage', 0, 'utf16le')
        ? 'encrypted'
        : undefined,
    )
  }
  return openArchive(bytes, limits.inflated)
}

/** No half characters, and no control characters: neither may stand in what models and indexes are given. */
function tidy(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.toWellFormed().replace(/[\0-\x08\x0e-\x1f\x7f]+/g, '')
}
