import { JsonObjectReader, parsed, parsedObject } from './json-object.ts'
import { repairedObject } from './json-repair.ts'

/**
 * The arguments of one call as they come. Clients join the pieces, so what has gone out cannot be repaired any more:
 * from the first character on that is no JSON, or may turn out to be none, the rest is held back, and goes out at the
 * end. It is repaired then if the whole is an object after that and still begins with what has gone out; otherwise it
 * goes out as it came, and so does what the model had no more tokens to finish. Repaired are
 *
 * - no arguments at all, and `null`: an object without keys;
 * - arguments that are sent twice, or that something follows which closes nothing;
 * - brackets that are missing at the end;
 * - JSON in a JSON string;
 * - what `repairedObject` repairs.
 */
export class ArgumentsReader {
  readonly #json = new JsonObjectReader()
  #text = ''
  #held = ''

  /** What has come. */
  get text(): string {
    return this.#text
  }

  get isComplete(): boolean {
    return this.#json.isComplete
  }

  /** More is to come: it has begun, and has not ended. */
  get isOpen(): boolean {
    return this.#text !== '' && !this.#json.isComplete
  }

  /** What of it may go out now. */
  push(piece: string): string {
    const before = this.#json.sure
    this.#text += piece
    this.#json.push(piece)
    const ready = this.#json.sure - before
    const waiting = this.#held + piece
    this.#held = waiting.slice(ready)
    return waiting.slice(0, ready)
  }

  /** The rest. `isCutOff`: the model had no more tokens. */
  end(isCutOff: boolean): string {
    const rest = isCutOff || parsedObject(this.#text) ? this.#held : this.#repaired()
    this.#held = ''
    return rest
  }

  #repaired(): string {
    const sent = this.#text.slice(0, this.#json.sure)
    for (const repair of repairs) {
      const text = repair(this.#text, this.#json)
      if (text?.startsWith(sent) && parsedObject(text)) return text.slice(sent.length)
    }
    return this.#held
  }
}

type Repair = (text: string, json: JsonObjectReader) => string | undefined

const empty: Repair = (text) => (['', 'null', 'None'].includes(text.trim()) ? '{}' : undefined)

const doubled: Repair = (text, json) => {
  if (!json.isComplete) return undefined
  const first = text.slice(0, json.sure)
  const more = text.slice(json.sure).trim()
  if (/^[}\]`;\s]*$/.test(more)) return first
  const again = parsedObject(more)
  return again && JSON.stringify(again) === JSON.stringify(parsed(first)) ? first : undefined
}

const closed: Repair = (text, { missing }) => missing && text + missing

const encoded: Repair = (text) => {
  const inner = parsed(text)
  return typeof inner === 'string' ? inner : undefined
}

const repairs: readonly Repair[] = [empty, doubled, closed, encoded, repairedObject]
