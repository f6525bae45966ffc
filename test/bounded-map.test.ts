import { expect, test } from 'vitest'
import { BoundedMap } from '../src/bounded-map.ts'

test('a map that is full forgets all for a new key, and nothing for one that it has', () => {
  const map = new BoundedMap<string, number>(2).set('a', 1).set('b', 2).set('a', 3)
  expect([...map]).toEqual([
    ['a', 3],
    ['b', 2],
  ])
  expect([...map.set('c', 4)]).toEqual([['c', 4]])
})
