import type { Readable } from 'node:stream'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { BrokenOffError, isBrokenConnection, NoAnswerError } from '../backend-error.ts'
import { type CompletionChunk, CompletionError } from '../completer.ts'
import type { AnswerReader } from './answer.ts'
import { errorOf } from './error-object.ts'
import { type IdleMs, WatchedBody } from './idle.ts'

/**
 * Reads what the backend sends into an answer, and yields what is certain of it. The SDK's own reading of a stream does
 * not tell its end from a closed connection, shows no sign of life but chunks, and takes three times as long. What was
 * sent shows by its first character, since content types are often wrong: a stream, or one object, as if no stream had
 * been asked for.
 */
export async function* readAnswer(
  response: Response,
  answer: AnswerReader,
  idle: IdleMs,
): AsyncGenerator<CompletionChunk> {
  const body = new WatchedBody(response.body as unknown as Readable, idle.first)
  const decoder = new TextDecoder()
  const content = new Content(answer, response.headers)
  try {
    for await (const bytes of body) {
      for (const event of content.push(decoder.decode(bytes, { stream: true }))) {
        for (const chunk of content.read(event)) yield chunk
      }
      body.waitMs = answer.isFinished ? idle.after : idle.between
    }
  } catch (error) {
    // Nothing is missing but the usage, which can be counted.
    if (!answer.isFinished || !(error instanceof BrokenOffError || isBrokenConnection(error))) throw error
  } finally {
    body.release()
  }
  for (const event of content.end(decoder.decode())) {
    for (const chunk of content.read(event)) yield chunk
  }
  for (const chunk of await answer.end()) yield chunk
}

/** Of one event, or of an answer that is one object: far more than a model can say. */
const mostCharacters = 32_000_000

const tooMuch = () =>
  new CompletionError('server_error', 'The model backend sent more at once than an answer can have.')

/** The text of a body, cut into the pieces of an answer. */
class Content {
  readonly #answer: AnswerReader
  readonly #headers: Headers
  #kind: 'unknown' | 'stream' | 'object' = 'unknown'
  #events: EventSourceMessage[] = []
  #object = ''
  readonly #parser = createParser({
    maxBufferSize: mostCharacters,
    onEvent: (event) => void this.#events.push(event),
    onError({ type }) {
      if (type === 'max-buffer-size-exceeded') throw tooMuch()
    },
  })

  constructor(answer: AnswerReader, headers: Headers) {
    this.#answer = answer
    this.#headers = headers
  }

  push(text: string): EventSourceMessage[] {
    if (this.#kind === 'unknown') this.#kind = this.#kindOf(text)
    if (this.#kind === 'object') {
      this.#object += text
      if (this.#object.length > mostCharacters) throw tooMuch()
      return []
    }
    this.#events = []
    this.#parser.feed(text)
    return this.#events
  }

  /** The last event may lack its blank line. */
  end(text: string): EventSourceMessage[] {
    const events = this.push(`${text}\n\n`)
    if (this.#kind === 'object') return [{ data: this.#object }, { data: '[DONE]' }]
    if (events.length === 0 && !this.#answer.hasBegun && !this.#type.includes('event-stream'))
      throw new NoAnswerError(this.#type)
    return events
  }

  read({ data, event }: EventSourceMessage): CompletionChunk[] {
    if (data.startsWith('[DONE]')) this.#answer.isDone = true
    // Nothing that comes after the end is of the answer.
    if (this.#answer.isDone || data.trim() === '') return []
    if (event === 'error' && !/^\s*[{[]/.test(data)) throw errorOf({ error: data }, this.#headers)
    return this.#answer.push(JSON.parse(data), this.#headers)
  }

  #kindOf(text: string): 'unknown' | 'stream' | 'object' {
    const [first] = text.trimStart()
    if (first === undefined) return 'unknown'
    if (first === '<') throw new NoAnswerError(this.#type)
    return first === '{' || first === '[' ? 'object' : 'stream'
  }

  get #type(): string {
    return this.#headers.get('content-type') ?? ''
  }
}
