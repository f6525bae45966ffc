import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Caller, createGate, type GateOptions, type Place } from '../src/completer/gate.ts'

beforeEach(() => {
  vi.useFakeTimers()
  // No jitter.
  vi.spyOn(Math, 'random').mockReturnValue(0)
})
afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** A gate, and what it has told. */
function aGate({ concurrency = Number.POSITIVE_INFINITY, shutMs = 1000 }: Partial<GateOptions> = {}) {
  const told: string[] = []
  let freed = 0
  const gate = createGate({
    ...{ concurrency, shutMs },
    onFree: () => void freed++,
    onShut: (ms, why) => told.push(`${why} ${ms}`),
    onRecovered: () => told.push('recovered'),
  })
  return {
    gate,
    told,
    /** How often it has become free since the last time. */
    freed() {
      const count = freed
      freed = 0
      return count
    },
  }
}

function aCaller() {
  const controller = new AbortController()
  const waits: Promise<unknown>[] = []
  const caller: Caller = {
    signal: controller.signal,
    aside(waiting) {
      waits.push(waiting)
      return waiting
    },
  }
  return { caller, waits, abort: (reason: unknown) => controller.abort(reason) }
}

type TestGate = ReturnType<typeof createGate>

/** A place that has to be there at once. */
function taken(gate: TestGate): Place {
  const place = gate.take(aCaller().caller)
  if (!place) throw new Error('The gate is busy.')
  return place
}

/** Calls that wait, and the order in which they were let in. */
function waiters(gate: TestGate) {
  const order: string[] = []
  const places = new Map<string, Place>()
  const wait = async (name: string) => {
    places.set(name, await gate.enter(aCaller().caller))
    order.push(name)
  }
  return { order, places, wait }
}

/** The tries of a backend that is gone. */
function fail(gate: TestGate, count: number) {
  const places = Array.from({ length: count }, () => taken(gate))
  for (const place of places) {
    place.failed()
    place.leave()
  }
}

const settled = () => vi.advanceTimersByTimeAsync(0)

describe('the places', () => {
  test('are as many as configured, and each that is left can be taken again', () => {
    const { gate, freed } = aGate({ concurrency: 2 })
    const [first] = [taken(gate), taken(gate)]
    expect(gate.isBusy).toBe(true)
    expect(gate.take(aCaller().caller)).toBeUndefined()
    first?.leave()
    expect([gate.isBusy, freed()]).toEqual([false, 1])
    // It has none any more.
    first?.leave()
    taken(gate)
    expect([gate.isBusy, freed()]).toEqual([true, 0])
  })

  test('without a number are as many as are wanted, and nobody is told that one is free', () => {
    const { gate, freed } = aGate()
    const places = Array.from({ length: 1000 }, () => taken(gate))
    for (const place of places) place.leave()
    expect([gate.isBusy, freed()]).toEqual([false, 0])
  })

  test('go to those who wait, in their order, and before the queue', async () => {
    const { gate, freed } = aGate({ concurrency: 1 })
    const { order, places, wait } = waiters(gate)
    const first = taken(gate)
    for (const name of ['a', 'b']) void wait(name)
    first.leave()
    expect(gate.take(aCaller().caller)).toBeUndefined()
    await settled()
    expect([order, freed()]).toEqual([['a'], 0])
    places.get('a')?.leave()
    await settled()
    expect([order, gate.isBusy, freed()]).toEqual([['a', 'b'], true, 0])
    places.get('b')?.leave()
    expect([gate.isBusy, freed()]).toEqual([false, 1])
  })

  test('are not for a caller that has given up; its wait is put aside, and ends with its reason', async () => {
    const { gate } = aGate({ concurrency: 1 })
    const { caller, waits, abort } = aCaller()
    const first = taken(gate)
    const entered = gate.enter(caller)
    expect(waits).toHaveLength(1)
    abort('cancelled')
    await expect(entered).rejects.toBe('cancelled')
    await expect(gate.enter(caller)).rejects.toBe('cancelled')
    first.leave()
    expect(gate.isBusy).toBe(false)
    taken(gate)
  })

  test('are given up between two tries', async () => {
    const { gate } = aGate({ concurrency: 1 })
    const { order, wait } = waiters(gate)
    const { caller, waits } = aCaller()
    const place = gate.take(caller)
    const { promise: ready, resolve } = Promise.withResolvers<void>()
    const again = place?.again(ready)
    expect([gate.isBusy, waits.length]).toEqual([false, 1])
    const other = taken(gate)
    resolve()
    await settled()
    void wait('a')
    other.leave()
    await again
    expect([gate.isBusy, order]).toEqual([true, []])
    place?.leave()
    await settled()
    expect(order).toEqual(['a'])
  })
})

describe('a backend that fails', () => {
  test('is left alone after five failures in a row, for a time that doubles up to thirty seconds', async () => {
    const { gate, told } = aGate()
    fail(gate, 4)
    expect([gate.isBusy, told]).toEqual([false, []])
    fail(gate, 1)
    expect([gate.isBusy, told]).toEqual([true, ['failing 1000']])
    for (const seconds of [1, 2, 4, 8, 16, 30, 30]) {
      await vi.advanceTimersByTimeAsync(seconds * 1000 - 1)
      expect(gate.isBusy, `${seconds} s`).toBe(true)
      await vi.advanceTimersByTimeAsync(1)
      fail(gate, 1)
    }
    expect(told).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => `failing ${seconds * 1000}`))
  })

  test('is left alone for a little longer than that, by chance', () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.8)
    const { gate, told } = aGate()
    fail(gate, 5)
    expect(told).toEqual(['failing 1200'])
  })

  test('is not, if it has answered between its failures', () => {
    const { gate, told } = aGate()
    for (let round = 0; round < 3; round++) {
      fail(gate, 4)
      taken(gate).answered()
    }
    expect(told).toEqual([])
  })

  test('is asked by one call then, of those who wait or else of the queue', async () => {
    const { gate, freed } = aGate()
    const { order, places, wait } = waiters(gate)
    fail(gate, 5)
    for (const name of ['a', 'b']) void wait(name)
    await vi.advanceTimersByTimeAsync(1000)
    expect([order, freed()]).toEqual([['a'], 0])
    places.get('a')?.failed()
    places.get('a')?.leave()
    await vi.advanceTimersByTimeAsync(2000)
    expect(order).toEqual(['a', 'b'])
    places.get('b')?.failed()
    places.get('b')?.leave()
    await vi.advanceTimersByTimeAsync(4000)
    expect([gate.isBusy, freed()]).toEqual([false, 1])
    taken(gate)
    expect(gate.isBusy).toBe(true)
  })

  test('is asked by the next call if the first learns nothing of it', async () => {
    const { gate } = aGate()
    const { order, places, wait } = waiters(gate)
    fail(gate, 5)
    for (const name of ['a', 'b']) void wait(name)
    await vi.advanceTimersByTimeAsync(1000)
    places.get('a')?.leave()
    await settled()
    expect(order).toEqual(['a', 'b'])
  })

  test('and answers again gets one more call with each answer, until there are as many as before', async () => {
    const { gate, told, freed } = aGate()
    const before = Array.from({ length: 4 }, () => taken(gate))
    fail(gate, 5)
    for (const place of before) place.leave()
    const { order, places, wait } = waiters(gate)
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l']
    for (const name of names) void wait(name)
    await vi.advanceTimersByTimeAsync(1000)
    expect(order).toEqual(['a'])
    places.get('a')?.answered()
    await settled()
    expect(order).toEqual(['a', 'b'])
    places.get('a')?.leave()
    places.get('b')?.answered()
    await settled()
    expect(order).toEqual(['a', 'b', 'c', 'd'])
    for (const name of ['c', 'd']) places.get(name)?.answered()
    await settled()
    expect([order, told]).toEqual([names.slice(0, 6), ['failing 1000']])
    // Five were in flight besides those that had failed already.
    places.get('e')?.answered()
    await settled()
    expect([order, told]).toEqual([names, ['failing 1000', 'recovered']])
    expect([gate.isBusy, freed()]).toEqual([false, 1])
    fail(gate, 5)
    expect(told.at(-1)).toBe('failing 1000')
  })

  test('while it recovers is left alone for longer at once', async () => {
    const { gate, told } = aGate()
    const before = Array.from({ length: 3 }, () => taken(gate))
    fail(gate, 5)
    for (const place of before) place.leave()
    await vi.advanceTimersByTimeAsync(1000)
    taken(gate).answered()
    const other = taken(gate)
    other.failed()
    expect([gate.isBusy, told]).toEqual([true, ['failing 1000', 'failing 2000']])
  })

  test('is not judged by what began before', async () => {
    const { gate, told } = aGate()
    const before = Array.from({ length: 3 }, () => taken(gate))
    fail(gate, 5)
    before[0]?.answered()
    before[1]?.failed()
    before[2]?.limited(9000)
    expect([gate.isBusy, told]).toEqual([true, ['failing 1000']])
    await vi.advanceTimersByTimeAsync(1000)
    before[1]?.failed()
    expect(told).toEqual(['failing 1000'])
    // What is still in flight of them is not in the way.
    taken(gate).answered()
    expect(gate.isBusy).toBe(false)
  })

  test('still has no more calls at a time than configured', async () => {
    const { gate } = aGate({ concurrency: 3 })
    const before = [taken(gate), taken(gate)]
    for (let count = 0; count < 5; count++) fail(gate, 1)
    await vi.advanceTimersByTimeAsync(1000)
    taken(gate).answered()
    expect(gate.isBusy).toBe(true)
    before[0]?.leave()
    expect(gate.isBusy).toBe(false)
  })
})

describe('a backend that asks to be left alone', () => {
  test('is, for so long, at once', async () => {
    const { gate, told, freed } = aGate()
    const place = taken(gate)
    place.limited(7000)
    place.leave()
    await vi.advanceTimersByTimeAsync(6999)
    expect([gate.isBusy, told, freed()]).toEqual([true, ['limited 7000'], 0])
    await vi.advanceTimersByTimeAsync(1)
    expect([gate.isBusy, freed()]).toEqual([false, 1])
  })

  test('does not fail by that', async () => {
    const { gate, told } = aGate()
    fail(gate, 4)
    taken(gate).limited(100)
    await vi.advanceTimersByTimeAsync(100)
    taken(gate).limited(100)
    await vi.advanceTimersByTimeAsync(100)
    taken(gate).failed()
    expect(told).toEqual(['limited 100', 'limited 100', 'failing 1000'])
  })

  test('keeps the next try of its call waiting too', async () => {
    const { gate } = aGate()
    const place = taken(gate)
    place.limited(7000)
    const again = vi.fn()
    void place.again(Promise.resolve()).then(again)
    await vi.advanceTimersByTimeAsync(6999)
    expect(again).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(1)
    expect(again).toHaveBeenCalled()
  })
})
