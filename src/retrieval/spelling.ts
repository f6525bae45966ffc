/** How many slips of the pen a word of so many letters may have. */
export const allowedSlips = (letters: number) => (letters < 4 ? 0 : letters < 8 ? 1 : 2)

const maxLetters = 64
/** The last three rows of the table of slips; used again for each pair of words. */
const rows = [0, 1, 2].map(() => new Uint8Array(maxLetters + 1)) as [Uint8Array, Uint8Array, Uint8Array]

/**
 * The number of letters inserted, left out, replaced or swapped with their neighbour that lead from one word to the
 * other (optimal string alignment); `most + 1` if there are more than `most`.
 */
export function slipsBetween(a: string, b: string, most: number): number {
  const tooMany = most + 1
  if (Math.abs(a.length - b.length) > most || a.length > maxLetters || b.length > maxLetters) return tooMany
  let [before, last, row] = rows
  for (let j = 0; j <= b.length; j++) last[j] = j
  for (let i = 1; i <= a.length; i++) {
    row[0] = i
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const isSame = a.charCodeAt(i - 1) === b.charCodeAt(j - 1)
      let slips = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + (isSame ? 0 : 1))
      const isSwap =
        i > 1 && j > 1 && a.charCodeAt(i - 1) === b.charCodeAt(j - 2) && a.charCodeAt(i - 2) === b.charCodeAt(j - 1)
      if (isSwap) slips = Math.min(slips, at(before, j - 2) + 1)
      row[j] = slips
      if (slips < least) least = slips
    }
    if (least > most) return tooMany
    ;[before, last, row] = [last, row, before]
  }
  return Math.min(at(last, b.length), tooMany)
}

const at = (row: Uint8Array, index: number) => row[index] as number

/** The letters of a word as a set of bits. Two words a slip apart differ in two bits at most. */
export function letterSet(word: string): number {
  let bits = 0
  for (let at = 0; at < word.length; at++) bits |= 1 << (word.charCodeAt(at) & 31)
  return bits
}

export function bitsDiffering(a: number, b: number): number {
  let bits = a ^ b
  let count = 0
  while (bits !== 0) {
    bits &= bits - 1
    count++
  }
  return count
}
