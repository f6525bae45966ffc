import type { Thread } from './thread.ts'

interface Waiting {
  take(thread: Thread): void
  refuse(reason: unknown): void
}

/** Threads that do the same, of which each call takes one that is free; none is made before it is needed. */
export function createPool(size: number, create: () => Thread) {
  const all: Thread[] = []
  const free: Thread[] = []
  const waiting = new Set<Waiting>()

  function take(signal: AbortSignal | undefined): Promise<Thread> {
    const thread = free.pop()
    if (thread) return Promise.resolve(thread)
    if (all.length < size) {
      const made = create()
      all.push(made)
      return Promise.resolve(made)
    }
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        waiting.delete(place)
        reject(signal?.reason)
      }
      const place: Waiting = {
        take(thread) {
          signal?.removeEventListener('abort', giveUp)
          resolve(thread)
        },
        refuse: reject,
      }
      waiting.add(place)
      signal?.addEventListener('abort', giveUp, { once: true })
    })
  }

  function giveBack(thread: Thread) {
    const [next] = waiting
    if (!next) return void free.push(thread)
    waiting.delete(next)
    next.take(thread)
  }

  return {
    /** A call whose signal is aborted takes no thread if it has none yet; else what it does is done for nothing. */
    async call<T>(method: string, args: readonly unknown[], signal?: AbortSignal): Promise<T> {
      const thread = await take(signal)
      try {
        return await thread.call<T>(method, args)
      } finally {
        giveBack(thread)
      }
    },
    /** Calls that have no thread yet are refused. */
    async end(reason: unknown) {
      for (const place of waiting) place.refuse(reason)
      waiting.clear()
      await Promise.all(all.map((thread) => thread.end()))
    },
  }
}
