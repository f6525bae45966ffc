import { CitationReader, type Piece, type SourceOf } from '../retrieval/cite.ts'
import { LinkReader, type Paths } from '../tools/file-links.ts'

/** Finds in one text of an answer what refers to files. */
export interface Annotator {
  push(text: string): Piece[]
  end(): Piece[]
}

/** Finds marks, then links. */
export function annotatorOf(sources: SourceOf | undefined, paths: Paths): Annotator {
  const marks = sources && new CitationReader(sources)
  if (paths.size === 0) return marks ?? plain
  const links = new LinkReader(paths)
  return {
    push: (text) => (marks?.push(text) ?? [{ text }]).flatMap((piece) => links.push(piece)),
    end: () => [...(marks?.end() ?? []).flatMap((piece) => links.push(piece)), ...links.end()],
  }
}

const plain: Annotator = { push: (text) => [{ text }], end: () => [] }
