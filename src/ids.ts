import { createHash, randomFillSync } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

// A call for random bytes takes longer than the bytes do.
const pool = Buffer.alloc(4096)
let used = pool.length

function randomBytes(count: number): Buffer {
  if (used + count > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += count
  return pool.subarray(used - count, used)
}

type Prefix = 'file-' | 'asst_' | 'thread_' | 'msg_' | 'run_' | 'step_' | 'call_'

/** A fresh id: the prefix and 24 alphanumeric characters. Clients find ids in error texts by `\w+`, so nothing else. */
export function newId<P extends Prefix>(prefix: P): `${P}${string}` {
  let id = ''
  while (id.length < 24) {
    for (const byte of randomBytes(32)) {
      // 248 = 4 × 62: the bytes above would favour the first letters.
      if (byte < 248 && id.length < 24) id += alphabet[byte % 62]
    }
  }
  return `${prefix}${id}`
}

/** Always the same id for the same text: what is made again after a crash is found to be there. */
export function idFrom<P extends Prefix>(prefix: P, text: string): `${P}${string}` {
  const digest = createHash('sha512').update(text).digest()
  return `${prefix}${Array.from(digest.subarray(0, 24), (byte) => alphabet[byte % 62]).join('')}`
}

/** Ids that were 32 hexadecimal digits with the hosted service. */
const hexId = (prefix: string) => `${prefix}${randomBytes(16).toString('hex')}`

export const newRequestId = () => hexId('req_')
export const newUploadId = () => hexId('upload_')
export const newPartId = () => hexId('part_')
export const newVectorStoreId = () => hexId('vs_')
export const newFileBatchId = () => hexId('vsfb_')
