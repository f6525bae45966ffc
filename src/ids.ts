import { randomBytes } from 'node:crypto'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

type Prefix = 'asst_' | 'thread_' | 'msg_' | 'run_' | 'step_' | 'call_'

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

export const newRequestId = () => `req_${randomBytes(16).toString('hex')}`
