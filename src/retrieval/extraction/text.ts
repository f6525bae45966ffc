import { unparsable, unsupported } from './error.ts'

const sampleBytes = 64 * 1024

/** How files begin that are never text, though some are all ASCII. */
const magics = [
  '%PDF-',
  'PK\x03\x04',
  '\x7fELF',
  '\x89PNG',
  'GIF8',
  '\xff\xd8\xff',
  '\x1f\x8b',
  '\xd0\xcf\x11\xe0',
  'RIFF',
]

export const beginsWith = (bytes: Uint8Array, magic: string) =>
  bytes.length >= magic.length && [...magic].every((letter, index) => bytes[index] === letter.charCodeAt(0))

/** `declared` is the encoding that an HTML page or XML document names, which counts when the bytes are not Unicode. */
export function decodeText(bytes: Uint8Array, isKnownAsText: boolean, declared?: string): string {
  if (magics.some((magic) => beginsWith(bytes, magic))) throw unsupported()
  const marked = markedEncoding(bytes)
  const encoding = marked ?? evidentEncoding(bytes)
  let text: string
  try {
    // A text that is marked as UTF-16 and cut in the middle of a character is still that text.
    text = new TextDecoder(encoding, { fatal: encoding === 'utf-8' }).decode(bytes)
  } catch (cause) {
    if (isBinary(new TextDecoder('latin1').decode(bytes.subarray(0, sampleBytes)))) throw unsupported({ cause })
    if (!isKnownAsText) throw unsupported({ cause })
    text = decodeAs(declared, bytes, cause)
  }
  if (isBinary(text)) throw unsupported()
  return text
}

function decodeAs(declared: string | undefined, bytes: Uint8Array, cause: unknown): string {
  if (!declared || /^utf-?8$/i.test(declared)) throw unparsable(undefined, { cause })
  try {
    return new TextDecoder(declared, { fatal: true }).decode(bytes)
  } catch (error) {
    throw unparsable(undefined, { cause: error })
  }
}

/** By the byte order mark. */
export function markedEncoding(bytes: Uint8Array): string | undefined {
  if (beginsWith(bytes, '\xef\xbb\xbf')) return 'utf-8'
  if (beginsWith(bytes, '\xff\xfe')) return 'utf-16le'
  if (beginsWith(bytes, '\xfe\xff')) return 'utf-16be'
  return undefined
}

/** In UTF-16 every other byte of a Western text, and of any markup, is zero; in UTF-8 none is. */
function evidentEncoding(bytes: Uint8Array): string {
  const sample = bytes.subarray(0, sampleBytes)
  const zeros = [0, 0]
  for (let index = 0; index < sample.length; index++)
    if (sample[index] === 0) zeros[index % 2] = (zeros[index % 2] ?? 0) + 1
  const [even = 0, odd = 0] = zeros.map((count) => count / (sample.length / 2))
  if (odd > 0.4 && even < 0.05) return 'utf-16le'
  if (even > 0.4 && odd < 0.05) return 'utf-16be'
  return 'utf-8'
}

/** A zero anywhere, or more control characters at the beginning than terminals' output has. */
function isBinary(text: string): boolean {
  if (text.includes('\0')) return true
  const sample = text.slice(0, sampleBytes)
  let controls = 0
  for (let index = 0; index < sample.length; index++) {
    const code = sample.charCodeAt(index)
    if ((code < 32 && (code < 8 || code > 13) && code !== 27) || code === 127) controls++
  }
  return controls > sample.length / 20
}
