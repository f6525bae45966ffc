import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createPump } from '../src/pump.ts'
import { Hand } from '../src/runs/hand.ts'
import type { Claim } from '../src/store/store.ts'

interface Work {
  name: string
  end(): void
}

/** A pump over a queue of names, whose work ends when the test says so. */
function pumpOf(concurrency: number, ...queue: string[]) {
  const errors: unknown[] = []
  const claimed: string[] = []
  const inHand = new Map<string, Work>()
  const pump = createPump({
    concurrency,
    onError: (error) => errors.push(error),
    async claim() {
      const name = queue.shift()
      if (name === undefined) return undefined
      if (name === 'broken') throw new Error('The queue cannot be read.')
      claimed.push(name)
      const { promise, resolve } = Promise.withResolvers<void>()
      inHand.set(name, { name, end: resolve })
      return { ended: promise }
    },
  })
  const settled = async () => {
    for (let turn = 0; turn < 5; turn++) await turnOfLoop()
  }
  return {
    ...{ pump, queue, claimed, errors, settled },
    async end(...names: string[]) {
      for (const name of names) inHand.get(name)?.end()
      await settled()
    },
    async add(...names: string[]) {
      queue.push(...names)
      pump.wake()
      await settled()
    },
    async start() {
      pump.start()
      await settled()
    },
  }
}

/** Work that waits aside until it is told what it waited for. */
async function asideOf({ pump, settled }: ReturnType<typeof pumpOf>) {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let isOver = false
  const waited = pump.aside(promise).finally(() => {
    isOver = true
  })
  waited.catch(() => {})
  await settled()
  return {
    waited,
    isOver: () => isOver,
    async come() {
      resolve('done')
      await settled()
    },
    async fail() {
      reject(new Error('It failed.'))
      await settled()
    },
  }
}

describe('a pump', () => {
  test('has as many in hand as it may, and takes the next when one has ended', async () => {
    const on = pumpOf(2, 'a', 'b', 'c', 'd')
    await on.start()
    expect(on.claimed).toEqual(['a', 'b'])
    await on.end('a')
    expect(on.claimed).toEqual(['a', 'b', 'c'])
    await on.end('b', 'c')
    expect(on.claimed).toEqual(['a', 'b', 'c', 'd'])
  })

  test('goes on after a queue that could not be read, with as many places as before', async () => {
    const on = pumpOf(2, 'a', 'broken')
    await on.start()
    expect(on.errors).toHaveLength(1)
    await on.add('b', 'c')
    expect(on.claimed).toEqual(['a', 'b'])
    await on.end('a')
    expect(on.claimed).toEqual(['a', 'b', 'c'])
  })

  test('claims nothing between a stop and a start, and counts on after it', async () => {
    const on = pumpOf(2, 'a', 'b', 'c')
    await on.start()
    await on.pump.stop()
    await on.end('a')
    expect(on.claimed).toEqual(['a', 'b'])
    await on.start()
    expect(on.claimed).toEqual(['a', 'b', 'c'])
    await on.add('d')
    expect(on.claimed).toEqual(['a', 'b', 'c'])
  })

  test('counts what it was asked to take by itself', async () => {
    const on = pumpOf(1, 'a')
    const ticking = on.pump.tick()
    await on.settled()
    await on.start()
    await on.add('b')
    expect(on.claimed).toEqual(['a'])
    await on.end('a')
    expect(await ticking).toBe(true)
    expect(on.claimed).toEqual(['a', 'b'])
    await on.end('b')
    expect(await on.pump.tick()).toBe(false)
  })
})

describe('work that waits aside', () => {
  test('gives its place to the next, and answers what it waited for', async () => {
    const on = pumpOf(1, 'parent')
    await on.start()
    await on.add('child', 'other')
    const aside = await asideOf(on)
    expect(on.claimed).toEqual(['parent', 'child'])
    await aside.come()
    await on.end('child')
    expect(await aside.waited).toBe('done')
  })

  test('takes a place again: the others wait until it ends', async () => {
    const on = pumpOf(1, 'parent', 'child', 'other')
    await on.start()
    const aside = await asideOf(on)
    // What it waits for is told before the end of the work on it.
    await aside.come()
    await on.end('child')
    expect(await aside.waited).toBe('done')
    expect(on.claimed).toEqual(['parent', 'child'])
    await on.end('parent')
    expect(on.claimed).toEqual(['parent', 'child', 'other'])
  })

  test('goes before the queue when a place is free again', async () => {
    const on = pumpOf(1, 'parent', 'child', 'other')
    await on.start()
    const aside = await asideOf(on)
    await on.end('child')
    expect(on.claimed).toEqual(['parent', 'child', 'other'])
    await aside.come()
    expect(aside.isOver()).toBe(false)
    await on.add('next')
    await on.end('other')
    expect(aside.isOver()).toBe(true)
    expect(on.claimed).toEqual(['parent', 'child', 'other'])
  })

  test('goes on at once where what it waits for fails: there is nothing left but to end', async () => {
    const on = pumpOf(1, 'parent', 'child')
    await on.start()
    const aside = await asideOf(on)
    await aside.fail()
    await expect(aside.waited).rejects.toThrow('It failed.')
    await on.add('other')
    await on.end('parent')
    expect(on.claimed).toEqual(['parent', 'child'])
    await on.end('child')
    expect(on.claimed).toEqual(['parent', 'child', 'other'])
  })

  test('may be as much as there is, and leaves as many places as before', async () => {
    const on = pumpOf(2, 'a', 'b')
    await on.start()
    const waiting = [await asideOf(on), await asideOf(on)]
    await on.add('c', 'd', 'e')
    expect(on.claimed).toEqual(['a', 'b', 'c', 'd'])
    await on.end('c', 'd')
    for (const aside of waiting) await aside.come()
    await on.end('a', 'b', 'e')
    for (const aside of waiting) expect(await aside.waited).toBe('done')
    await on.add('f', 'g', 'h')
    expect(on.claimed).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g'])
  })

  test('and is over while it waits leaves as many places as before', async () => {
    const on = pumpOf(1, 'parent', 'child')
    await on.start()
    const aside = await asideOf(on)
    await on.end('parent')
    await on.add('x')
    await aside.come()
    await on.end('child', 'x')
    await on.add('y', 'z')
    await on.end('x')
    expect(on.claimed).toEqual(['parent', 'child', 'x', 'y'])
  })
})

test('a run that is interrupted while it waits to come back waits no longer, whatever it had waited for', async () => {
  const on = pumpOf(1, 'a', 'b')
  await on.start()
  const hand = new Hand({ lease_id: 'a' } as Claim, on.pump.aside)
  const { promise, resolve } = Promise.withResolvers<string>()
  const waited = hand.aside(promise)
  await on.settled()
  expect(on.claimed).toEqual(['a', 'b'])
  resolve('a place at the backend')
  await on.settled()
  hand.interrupt('cancelled')
  expect(await waited).toBe('a place at the backend')
})
