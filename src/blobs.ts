import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'

export interface BlobInfo {
  bytes: number
  /** Of the bytes, in hex. */
  md5: string
}

/** More bytes came than `maxBytes`. Nothing is kept. */
export class BlobTooLargeError extends Error {}

/** The bytes of files, by key. Keys are ids of ours: letters, digits, `-` and `_`. */
export interface Blobs {
  /**
   * Keeps what `source` yields, never all of it in memory. When this resolves the bytes survive the end of the process
   * and of the machine's power; when it rejects, or never comes to either, nothing is found under the key.
   */
  put(key: string, source: AsyncIterable<Uint8Array>, maxBytes: number): Promise<BlobInfo>
  /** The bytes as they are read; undefined if there are none under the key. */
  get(key: string): Promise<AsyncIterable<Uint8Array> | undefined>
  /** Nothing happens if there are none. */
  delete(key: string): Promise<void>
  /** Keys of blobs that were put before `time` (ms), leftovers of broken-off puts removed on the way. */
  keysBefore(time: number): Promise<string[]>
}

/** Blobs as files of a folder, in 256 sub-folders. A blob is written beside them, and moved in when it is whole. */
export function createFolderBlobs(folder: string): Blobs {
  const unfinished = join(folder, 'unfinished')
  const shelfOf = (key: string) => createHash('md5').update(key).digest('hex').slice(0, 2)
  const pathOf = (key: string) => join(folder, shelfOf(key), key)

  return {
    async put(key, source, maxBytes) {
      await mkdir(unfinished, { recursive: true })
      const draft = join(unfinished, randomUUID())
      const md5 = createHash('md5')
      let bytes = 0
      const counted = new Transform({
        transform(chunk: Uint8Array, _encoding, done) {
          bytes += chunk.length
          md5.update(chunk)
          done(bytes > maxBytes ? new BlobTooLargeError() : null, chunk)
        },
      })
      try {
        await pipeline(source, counted, createWriteStream(draft, { flush: true }))
        await mkdir(join(folder, shelfOf(key)), { recursive: true })
        await rename(draft, pathOf(key))
        await syncFolder(join(folder, shelfOf(key)))
      } catch (error) {
        await rm(draft, { force: true })
        throw error
      }
      return { bytes, md5: md5.digest('hex') }
    },

    async get(key) {
      const handle = await open(pathOf(key)).catch(unlessMissing)
      return handle && createReadStream('', { fd: handle })
    },

    async delete(key) {
      await rm(pathOf(key), { force: true })
    },

    async keysBefore(time) {
      const isOld = async (path: string) => ((await stat(path).catch(unlessMissing))?.mtimeMs ?? time) < time
      for (const name of await namesIn(unfinished)) {
        if (await isOld(join(unfinished, name))) await rm(join(unfinished, name), { force: true })
      }
      const keys: string[] = []
      for (const shelf of await namesIn(folder)) {
        if (shelf.length !== 2) continue
        for (const key of await namesIn(join(folder, shelf))) if (await isOld(join(folder, shelf, key))) keys.push(key)
      }
      return keys
    },
  }
}

const namesIn = async (folder: string) => (await readdir(folder).catch(unlessMissing)) ?? []

/** The name of a file is as durable as its folder. */
async function syncFolder(path: string) {
  const handle = await open(path)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}
