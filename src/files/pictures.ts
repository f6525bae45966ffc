import { buffer } from 'node:stream/consumers'
import type { Blobs } from '../blobs.ts'
import type { Store } from '../store/store.ts'

/** A request to a backend may not be endless; the hosted service refused pictures of 20 MB and more. */
const maxBytes = 20 * 1024 * 1024

/** What vision models know, by the first bytes in Latin-1; a dot may be any byte. */
const signatures = {
  'image/png': '\x89PNG\r\n\x1a\n',
  'image/jpeg': '\xff\xd8\xff',
  'image/gif': 'GIF8',
  'image/webp': 'RIFF....WEBP',
}

function typeOf(bytes: Buffer): string | undefined {
  const start = bytes.toString('latin1', 0, 12)
  const fits = (signature: string) => [...signature].every((one, at) => one === '.' || one === start[at])
  return Object.entries(signatures).find(([, signature]) => fits(signature))?.[0]
}

/** Reads pictures as data URLs; undefined if there is no such file, or it is no picture of the usual kinds and sizes. */
export function createPictureReader(store: Store, blobs: Blobs) {
  return async (file_id: string): Promise<string | undefined> => {
    const file = await store.files.get(file_id)
    if (!file || file.bytes > maxBytes) return undefined
    const source = await blobs.get(file_id)
    if (!source) return undefined
    const bytes = await buffer(source)
    const type = typeOf(bytes)
    return type && `data:${type};base64,${bytes.toString('base64')}`
  }
}
