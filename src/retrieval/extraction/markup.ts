import { Parser } from 'htmlparser2'
import { unparsable } from './error.ts'
import { markedEncoding } from './text.ts'

export interface MarkupHandler {
  open?(name: string, attributes: Readonly<Record<string, string>>): void
  close?(name: string): void
  text?(text: string): void
}

/** The parser's time is quadratic in the depth: at this one it is still nothing, and no page that people read has it. */
const maxDepth = 5000

/** A parser that builds no tree, knows no recursion and resolves no entities but those of XML or HTML itself. */
function createParser(handler: MarkupHandler, xmlMode: boolean): Parser {
  let depth = 0
  return new Parser(
    {
      onopentag(name, attributes) {
        if (++depth > maxDepth) throw unparsable()
        handler.open?.(name, attributes)
      },
      onclosetag(name) {
        depth--
        handler.close?.(name)
      },
      ontext: (text) => handler.text?.(text),
    },
    { xmlMode },
  )
}

export function parseHtml(page: string, handler: MarkupHandler): void {
  const parser = createParser(handler, false)
  // In pieces, since the parser keeps what it was given until it has read it.
  for (let at = 0; at < page.length; at += 65_536) parser.write(page.slice(at, at + 65_536))
  parser.end()
}

/** Names come without their prefix: office programs agree on names, not on prefixes. */
export async function parseXml(bytes: AsyncIterable<Uint8Array>, handler: MarkupHandler): Promise<void> {
  const parser = createParser(
    {
      open: handler.open && ((name, attributes) => handler.open?.(localName(name), attributes)),
      close: handler.close && ((name) => handler.close?.(localName(name))),
      text: handler.text,
    },
    true,
  )
  let decoder: InstanceType<typeof TextDecoder> | undefined
  for await (const piece of bytes) {
    decoder ??= new TextDecoder(markedEncoding(piece), { fatal: true })
    parser.write(decoder.decode(piece, { stream: true }))
  }
  parser.write(decoder?.decode() ?? '')
  parser.end()
}

const localName = (name: string) => name.slice(name.indexOf(':') + 1)

/** The handler, told nothing of elements of these names and of what is in them. */
export function skipping(names: ReadonlySet<string>, handler: MarkupHandler): MarkupHandler {
  let skipped = 0
  return {
    open(name, attributes) {
      if (skipped > 0 || names.has(name)) skipped++
      else handler.open?.(name, attributes)
    },
    close(name) {
      if (skipped > 0) skipped--
      else handler.close?.(name)
    },
    text(text) {
      if (skipped === 0) handler.text?.(text)
    },
  }
}
