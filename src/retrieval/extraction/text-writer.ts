import { unparsable } from './error.ts'

/** More than five million tokens of any language have; checked while a text grows, so that it cannot grow for ever. */
export const maxCharacters = 40_000_000

export interface TextWriter {
  write(text: string): void
  /** Ends a line (1) or a paragraph (2), once there is something to end and something after it. */
  end(lines: 1 | 2): void
  /** Whether what is written next begins a line. */
  isAtStart(): boolean
  text(): string
}

export function createTextWriter(): TextWriter {
  const parts: string[] = []
  let part = ''
  let length = 0
  let owed = 0
  return {
    write(text) {
      if (!text) return
      if (length > 0) part += '\n'.repeat(owed)
      owed = 0
      part += text
      length += text.length
      if (length > maxCharacters) throw unparsable('too large')
      if (part.length < 65_536) return
      parts.push(part)
      part = ''
    },
    end: (lines) => {
      owed = Math.max(owed, lines)
    },
    isAtStart: () => length === 0 || owed > 0,
    text: () => parts.join('') + part,
  }
}
