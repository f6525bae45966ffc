/** Who waits for a turn, the first one first: whoever has one to give takes a call out and makes it. */
export type WaitingLine = (() => void)[]

/** Resolves when it is called; rejects with the signal's reason, having left the line. */
export function turn(line: WaitingLine, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const leave = () => {
      line.splice(line.indexOf(call), 1)
      reject(signal.reason)
    }
    const call = () => {
      signal.removeEventListener('abort', leave)
      resolve()
    }
    line.push(call)
    signal.addEventListener('abort', leave, { once: true })
  })
}
