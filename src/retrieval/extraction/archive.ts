import { posix } from 'node:path'
import { type Entry, fromBufferPromise } from 'yauzl'
import { unparsable } from './error.ts'
import { parseXml } from './markup.ts'

export interface Archive {
  has(name: string): boolean
  /** Yields nothing if there is no such entry. */
  read(name: string): AsyncIterable<Uint8Array>
  /** Of a part of an Office document, by the id of the relationship. */
  relationships(part: string): Promise<Map<string, Relationship>>
}

export interface Relationship {
  /** The last word of its type's URL. */
  type: string
  /** The name of the entry that it leads to. */
  target: string
}

/** An office document has an entry for each sheet, slide and picture. */
const maxEntries = 20_000

/** Reads the directory only. Entries are inflated as they are read, and no more than `maxInflatedBytes` of all of them. */
export async function openArchive(bytes: Uint8Array, maxInflatedBytes: number): Promise<Archive> {
  const zip = await fromBufferPromise(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  if (zip.entryCount > maxEntries) throw unparsable('too large')
  const entries = new Map<string, Entry>()
  for await (const entry of zip.eachEntry()) entries.set(entry.fileName, entry)
  let left = maxInflatedBytes

  const archive: Archive = {
    has: (name) => entries.has(name),
    async *read(name) {
      const entry = entries.get(name)
      if (!entry) return
      if (entry.isEncrypted()) throw unparsable('encrypted')
      // yauzl sees to it that no more comes than the entry says.
      if (entry.uncompressedSize > left) throw unparsable('too large')
      for await (const piece of await zip.openReadStreamPromise(entry)) {
        left -= piece.length
        if (left < 0) throw unparsable('too large')
        yield piece
      }
    },
    async relationships(part) {
      const found = new Map<string, Relationship>()
      const slash = part.lastIndexOf('/') + 1
      const rels = `${part.slice(0, slash)}_rels/${part.slice(slash)}.rels`
      await parseXml(archive.read(rels), {
        open(name, { Id, Type, Target, TargetMode }) {
          if (name !== 'Relationship' || TargetMode === 'External' || !Id || !Type || !Target) return
          const target = posix.resolve('/', posix.dirname(part), Target).slice(1)
          found.set(Id, { type: Type.slice(Type.lastIndexOf('/') + 1), target })
        },
      })
      return found
    },
  }
  return archive
}

/** The part of an Office document that the others hang on. */
export async function mainPart(archive: Archive): Promise<string> {
  for (const { type, target } of (await archive.relationships('')).values()) {
    if (type === 'officeDocument' && archive.has(target)) return target
  }
  throw unparsable()
}
