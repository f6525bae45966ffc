import { type Annotation, lengthOf, type Piece } from '../retrieval/cite.ts'

/** How a model links to a file under /mnt/data. */
const scheme = 'sandbox:/mnt/data/'

/** Files by their paths under /mnt/data. */
export type Paths = ReadonlyMap<string, string>

/** The path that a link leads to. */
export const pathIn = (link: string): string => {
  const path = link.slice(scheme.length)
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * Finds links to files in one text of an answer as it comes, after its marks were found. A link that leads to a file
 * becomes a piece of its own with its annotation; the text itself is never changed.
 */
export class LinkReader {
  /** What a link may read, each with its file; longest first. */
  readonly #links: [string, string][]
  #held = ''
  /** The code points that have gone out: by these the API counts. */
  #length = 0

  constructor(paths: Paths) {
    const forms = [...paths].flatMap(([path, file_id]) =>
      formsOf(path).map((form): [string, string] => [scheme + form, file_id]),
    )
    this.#links = [...new Map(forms)].sort(([a], [b]) => b.length - a.length)
  }

  push({ text, annotation }: Piece): Piece[] {
    if (annotation) return [...this.end(), this.#counted(text, annotation)]
    this.#held += text
    return this.#read(false)
  }

  /** What was held back at the end of the text. */
  end(): Piece[] {
    return this.#read(true)
  }

  #read(isEnd: boolean): Piece[] {
    const pieces: Piece[] = []
    for (;;) {
      const at = this.#held.indexOf(scheme)
      if (at < 0) break
      this.#add(pieces, at)
      const rest = this.#held
      if (!isEnd && this.#links.some(([link]) => link.length >= rest.length && link.startsWith(rest))) return pieces
      const found = this.#links.find(([link]) => rest.startsWith(link))
      // The name may go on, and be that of no file.
      if (found && !isEnd && rest.length < found[0].length + longestAfter) return pieces
      if (found && !/^[.-]?[\p{L}\p{N}_]/u.test(rest.slice(found[0].length))) this.#addLink(pieces, ...found)
      else this.#add(pieces, scheme.length)
    }
    this.#add(pieces, this.#held.length - (isEnd ? 0 : beginningIn(this.#held)))
    return pieces
  }

  #add(pieces: Piece[], count: number) {
    if (count === 0) return
    const piece = this.#counted(this.#held.slice(0, count))
    this.#held = this.#held.slice(count)
    const last = pieces.at(-1)
    if (last && !last.annotation) last.text += piece.text
    else pieces.push(piece)
  }

  #addLink(pieces: Piece[], text: string, file_id: string) {
    const start_index = this.#length
    const end_index = start_index + lengthOf(text)
    pieces.push(this.#counted(text, { type: 'file_path', text, start_index, end_index, file_path: { file_id } }))
    this.#held = this.#held.slice(text.length)
  }

  #counted(text: string, annotation?: Annotation): Piece {
    this.#length += lengthOf(text)
    return annotation ? { text, annotation } : { text }
  }
}

/** A sign and a letter, which may be of two units: what follows a name is read so far. */
const longestAfter = 3

/** A path as it is, and percent-encoded, where models encode more of it or less. */
function formsOf(path: string): string[] {
  const each = (encode: (name: string) => string) => path.split('/').map(encode).join('/')
  const all = (name: string) =>
    encodeURIComponent(name).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
  // A name with half a surrogate pair in it has no such form.
  return path.isWellFormed() ? [path, each(encodeURI), each(encodeURIComponent), each(all)] : [path]
}

/** How many characters at the end of a text may be the beginning of a link, or of a surrogate pair. */
function beginningIn(text: string): number {
  if (/[\ud800-\udbff]$/.test(text)) return 1
  for (let count = Math.min(scheme.length - 1, text.length); count > 0; count--) {
    if (scheme.startsWith(text.slice(-count))) return count
  }
  return 0
}
