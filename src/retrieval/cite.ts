import type { MessageContent } from '../schemas/messages.ts'

/** What a mark of the answer stands for: the file of result `m` of search `n`. */
export type SourceOf = (n: number, m: number) => { file_id: string } | undefined

export type Annotation = Extract<MessageContent, { type: 'text' }>['text']['annotations'][number]

/** Some text of an answer; with an annotation, exactly what that is about. */
export interface Piece {
  text: string
  annotation?: Annotation
}

const longestName = 300

/** The mark of a result. A file name that would break it is written a little differently in it. */
export function markOf(n: number, m: number, fileName: string): string {
  const name = fileName.toWellFormed().replaceAll('【', '[').replaceAll('】', ']').replace(/\s+/g, ' ').trim()
  return `【${n}:${m}†${[...name].slice(0, longestName).join('')}】`
}

/** A text in which nothing can be taken for a mark: a document must not cite what it likes. */
export function withoutLookalikes(text: string): string {
  return text.replace(/[【[](\s*\d+\s*[:：]\s*\d+\s*)†/gu, '($1 ')
}

interface Form {
  whole: RegExp
  /** What may still become a mark: from its opening to the end of what has come. */
  growing: RegExp
}

/** Small models put blanks between the parts, and Chinese ones write the colon of their own script. */
function formOf(open: string, name: string, close: string): Form {
  const digits = '(\\d{1,6})'
  const growing = [open, ' ?', digits, ' ?', '[:：]', ' ?', digits, ' ?', '†', `${name}{0,${longestName}}`]
  return {
    whole: new RegExp([...growing, close].join(''), 'uy'),
    growing: new RegExp(
      growing.reduceRight((rest, part) => `${part}(?:$|${rest})`, '$'),
      'uy',
    ),
  }
}

/** With the dagger between numbers and name, a mark in ordinary brackets is no less sure than one in 【】. */
const forms: Record<string, Form> = {
  '【': formOf('【', '[^【】\\r\\n]', '】'),
  '[': formOf('\\[', '[^【】\\[\\]\\r\\n]', '\\]'),
}

/** The most UTF-16 units that are ever held back: numbers, signs and blanks, and a name of surrogate pairs. */
export const longestHeld = 20 + 2 * longestName

/**
 * Finds the marks in one text of an answer as it comes. One that names a known result becomes a piece of its own with
 * its annotation; one that names nothing is left out, and only it: the blanks around it stay, since one before it may
 * be gone to the client already. All other text passes at once, except what may still become a mark.
 */
export class CitationReader {
  readonly #sourceOf: SourceOf
  #held = ''
  /** The code points that have gone out: by these the API counts. */
  #length = 0

  constructor(sourceOf: SourceOf) {
    this.#sourceOf = sourceOf
  }

  /** The pieces that are certain now. A mark comes whole, as a piece of its own with its annotation. */
  push(text: string): Piece[] {
    const all = this.#held + text
    const pieces: Piece[] = []
    let from = 0
    let until = all.length
    for (const { 0: open, index } of all.matchAll(/[【[]/g)) {
      // It is in the name of the mark before.
      if (index < from) continue
      const { whole, growing } = forms[open] as Form
      const mark = matchAt(whole, all, index)
      if (mark) {
        this.#addText(pieces, all.slice(from, index))
        this.#addMark(pieces, mark)
        from = index + mark[0].length
      } else if (matchAt(growing, all, index)) {
        until = index
        break
      }
    }
    // The first half of a surrogate pair: a piece of its own would be no character.
    if (until === all.length && until > from && /[\ud800-\udbff]$/.test(all)) until--
    this.#addText(pieces, all.slice(from, until))
    this.#held = all.slice(until)
    return pieces
  }

  /** What was held back at the end of the answer. What has come as far as the dagger was a mark, and is left out. */
  end(): Piece[] {
    const pieces: Piece[] = []
    if (!this.#held.includes('†')) this.#addText(pieces, this.#held)
    this.#held = ''
    return pieces
  }

  #addText(pieces: Piece[], given: string) {
    // Half a surrogate pair is stored as the replacement character, and could become whole where a mark is left out.
    const text = given.toWellFormed()
    if (text === '') return
    this.#length += lengthOf(text)
    const last = pieces.at(-1)
    if (last && !last.annotation) last.text += text
    else pieces.push({ text })
  }

  #addMark(pieces: Piece[], [mark, n, m]: RegExpExecArray) {
    const source = this.#sourceOf(Number(n), Number(m))
    if (!source) return
    const text = mark.toWellFormed()
    const start_index = this.#length
    this.#length += lengthOf(text)
    const file_citation = { file_id: source.file_id }
    pieces.push({
      text,
      annotation: { type: 'file_citation', text, start_index, end_index: this.#length, file_citation },
    })
  }
}

/** In code points. */
export function lengthOf(text: string): number {
  let length = 0
  for (const _ of text) length++
  return length
}

function matchAt(pattern: RegExp, text: string, index: number): RegExpExecArray | null {
  pattern.lastIndex = index
  return pattern.exec(text)
}

/** The text without marks, for the history of later turns. A blank that stood before a mark alone goes with it. */
export function withoutMarks(text: string, annotations: readonly Annotation[]): string {
  const characters = [...text]
  let from = 0
  let kept = ''
  for (const { type, text: mark, start_index, end_index } of annotations) {
    if (type !== 'file_citation' || characters.slice(start_index, end_index).join('') !== mark) continue
    kept += characters.slice(from, start_index).join('')
    from = end_index
    if (kept.endsWith(' ') && /^(?:[\s.,;:!?)]|$)/.test(characters[from] ?? '')) kept = kept.slice(0, -1)
  }
  return kept + characters.slice(from).join('')
}
