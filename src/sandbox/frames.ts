/** What a process in a sandbox may say. It is believed in nothing: all is checked before it is used. */
export type Answer =
  | { type: 'ready' }
  | { type: 'snapshot' }
  | { type: 'missing'; names: string[] }
  | { type: 'placed'; ok: boolean }
  | { type: 'logs' }
  | { type: 'image' | 'written'; name: string | undefined }
  | { type: 'done'; call: string; value: string | undefined; ended: 'output' | undefined; omitted: string[] }

export interface Frame {
  answer: Answer
  data: Uint8Array
}

export type Order =
  | { type: 'missing'; names: string[] }
  | { type: 'place'; name: string; alias?: string | undefined }
  | { type: 'execute'; call: string }
  | { type: 'init'; [key: string]: unknown }

const maxHeader = 256 * 1024

/** A frame is two little-endian lengths, a JSON header and bytes. */
export function frameOf(order: Order, data: Uint8Array = new Uint8Array()): Buffer {
  const header = Buffer.from(JSON.stringify(order))
  const sizes = Buffer.alloc(8)
  sizes.writeUInt32LE(header.length, 0)
  sizes.writeUInt32LE(data.length, 4)
  return Buffer.concat([sizes, header, data])
}

/** Gives frames as they become whole. Throws at whatever is none, or larger than may be. */
export function createFrameReader(maxData: number, receive: (frame: Frame) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = []
  let size = 0
  let needed = 8
  return (chunk) => {
    parts.push(chunk)
    size += chunk.length
    // Large frames come in many chunks, which are joined once.
    while (size >= needed) {
      const all = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
      const header = all.readUInt32LE(0)
      const data = all.readUInt32LE(4)
      if (header > maxHeader || data > maxData) throw new Error('A frame is too large.')
      needed = 8 + header + data
      parts = [all]
      if (size < needed) return
      const answer = answerOf(JSON.parse(all.toString('utf8', 8, 8 + header)))
      receive({ answer, data: Uint8Array.from(all.subarray(8 + header, needed)) })
      parts = [all.subarray(needed)]
      size -= needed
      needed = 8
    }
  }
}

function answerOf(value: unknown): Answer {
  const { type, call, name, names, ok, value: shown, ended, omitted } = Object(value) as Record<string, unknown>
  switch (type) {
    case 'ready':
    case 'snapshot':
    case 'logs':
      return { type }
    case 'missing':
      return { type, names: stringsOf(names) }
    case 'placed':
      return { type, ok: ok === true }
    case 'image':
    case 'written':
      return { type, name: typeof name === 'string' && isFileName(name) ? name : undefined }
    case 'done':
      return {
        type,
        call: String(call),
        value: typeof shown === 'string' ? shown.toWellFormed() : undefined,
        ended: ended === 'output' ? ended : undefined,
        omitted: stringsOf(omitted).filter(isFileName),
      }
    default:
      throw new Error('A frame is of no known type.')
  }
}

function stringsOf(value: unknown): string[] {
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw new Error('A list was expected.')
  return value
}

/** A path that stays below the folder it is joined to, on any system, and can be shown. */
export function isFileName(name: string): boolean {
  if (!name.isWellFormed() || name.length > 1024 || /[\\\p{Cc}]/u.test(name)) return false
  return name.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255)
}
