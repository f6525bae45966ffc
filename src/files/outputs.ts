import { Readable } from 'node:stream'
import type { Blobs } from '../blobs.ts'
import { type Clock, seconds } from '../clock.ts'
import { newId } from '../ids.ts'
import type { File } from '../schemas/files.ts'

/** Makes files of what tools produce. The bytes are kept; whoever keeps the file that is described makes it one. */
export function createOutputs(blobs: Blobs, clock: Clock) {
  return async (filename: string, bytes: Uint8Array): Promise<File> => {
    const id = newId('file-')
    await blobs.put(id, Readable.from([bytes]), bytes.length)
    return {
      id,
      object: 'file',
      purpose: 'assistants_output',
      filename,
      bytes: bytes.length,
      created_at: seconds(clock),
      expires_at: null,
      status: 'processed',
      status_details: null,
    }
  }
}
