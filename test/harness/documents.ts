import type { Document } from '../../src/retrieval/extract.ts'

/** A document in memory, handed over in pieces as a file is. */
export function documentOf(filename: string, content: string | Uint8Array): Document {
  const bytes = Buffer.from(content)
  return {
    filename,
    bytes: bytes.length,
    open: async () =>
      (async function* () {
        for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
      })(),
  }
}
