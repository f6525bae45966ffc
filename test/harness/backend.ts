import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'
import type { EmbeddingCreateParams } from 'openai/resources/embeddings'

/** What the scripted model does with one request. It may await anything before it writes. */
export type Turn = (exchange: Exchange) => void | Promise<void>

interface Exchange {
  body: ChatCompletionCreateParams
  request: IncomingMessage
  response: ServerResponse
  /** Sends one chunk with this choice. */
  chunk(delta: object, finish_reason?: string | null): void
  /** Streams a text in pieces, the usage and the end. */
  text(...pieces: string[]): void
  /** Streams function calls, each in two pieces of arguments. */
  calls(...calls: { name: string; arguments: string }[]): void
  end(usage?: object): void
  /** Resolves when the server has closed the connection. */
  closed: Promise<void>
}

/** What the scripted embedding model does with one request. */
export type EmbeddingTurn = (exchange: EmbeddingExchange) => void | Promise<void>

interface EmbeddingExchange {
  body: EmbeddingCreateParams
  texts: string[]
  request: IncomingMessage
  response: ServerResponse
  /** Answers with these vectors; by default with those of `vectorOf`. */
  vectors(vectors?: readonly unknown[]): void
  /** Resolves when the server has closed the connection. */
  closed: Promise<void>
}

/** A text as its words are, whatever their order: texts that share words are near each other. Of length 1. */
export function vectorOf(text: string, dimensions = 64): number[] {
  const vector = new Array<number>(dimensions).fill(0)
  for (const word of text.toLowerCase().match(/\p{L}+|\p{N}+/gu) ?? []) {
    let hash = 0
    for (const character of word) hash = (Math.imul(hash, 31) + (character.codePointAt(0) ?? 0)) >>> 0
    const place = hash % dimensions
    vector[place] = (vector[place] ?? 0) + 1
  }
  const norm = Math.hypot(...vector)
  // Without a word: any direction will do, but a cosine needs one.
  return norm === 0 ? vector.map((_, index) => (index === 0 ? 1 : 0)) : vector.map((value) => value / norm)
}

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }

/** An OpenAI-compatible HTTP server that plays the turns it was given, in order, then `otherwise`. */
export class ScriptedBackend {
  readonly requests: ChatCompletionCreateParams[] = []
  turns: Turn[] = []
  otherwise: Turn = ({ text }) => text('Hel', 'lo.')
  /** The same for embeddings: what was asked, and the turns. */
  readonly embeddingRequests: EmbeddingCreateParams[] = []
  embeddingTurns: EmbeddingTurn[] = []
  otherwiseEmbed: EmbeddingTurn = ({ vectors }) => vectors()
  /** What it lists. A Promise that never resolves: it does not answer. */
  models: object | Promise<object> = {
    object: 'list',
    data: [{ id: 'org/scripted', object: 'model', created: 1, owned_by: 'test' }],
  }
  /** What it says beside the API of OpenAI, by path; else 404. And for what it was asked there. */
  readonly beside = new Map<string, object>()
  readonly askedBeside: string[] = []
  readonly #server = createServer((request, response) => this.#answer(request, response))
  #waiting: (() => void)[] = []

  async start() {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  get url() {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`
  }

  async stop() {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Resolves when `count` chat requests have come. */
  async requested(count: number) {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse) {
    if (request.url?.endsWith('/models')) {
      const models = JSON.stringify(await this.models)
      response.setHeader('content-type', 'application/json')
      response.end(models)
      return
    }
    if (!request.url?.startsWith('/v1/')) {
      const path = request.url ?? ''
      this.askedBeside.push(path)
      const answer = this.beside.get(path)
      response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(answer ?? { error: { message: 'File Not Found' } }))
      return
    }
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const body: unknown = JSON.parse(Buffer.concat(parts).toString())
    if (request.url?.endsWith('/embeddings')) {
      const params = body as EmbeddingCreateParams
      this.embeddingRequests.push(params)
      await (this.embeddingTurns.shift() ?? this.otherwiseEmbed)(embeddingExchangeOf(params, request, response))
      return
    }
    const params = body as ChatCompletionCreateParams
    this.requests.push(params)
    for (const resolve of this.#waiting.splice(0)) resolve()
    await (this.turns.shift() ?? this.otherwise)(exchangeOf(params, request, response))
  }
}

const closeOf = (response: ServerResponse) => new Promise<void>((resolve) => response.once('close', resolve))

function embeddingExchangeOf(
  body: EmbeddingCreateParams,
  request: IncomingMessage,
  response: ServerResponse,
): EmbeddingExchange {
  const texts = [body.input].flat().map(String)
  return {
    body,
    texts,
    request,
    response,
    closed: closeOf(response),
    vectors(vectors = texts.map((text) => vectorOf(text))) {
      const data = vectors.map((embedding, index) => ({ object: 'embedding', index, embedding }))
      const answer = { object: 'list', data, model: body.model, usage: { prompt_tokens: 5, total_tokens: 5 } }
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
    },
  }
}

function exchangeOf(body: ChatCompletionCreateParams, request: IncomingMessage, response: ServerResponse): Exchange {
  const send = (data: object) => {
    if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`data: ${JSON.stringify(data)}\n\n`)
  }
  const base = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: body.model }
  const chunk: Exchange['chunk'] = (delta, finish_reason = null) =>
    send({ ...base, choices: [{ index: 0, delta, finish_reason }] })
  const end: Exchange['end'] = (counts = usage) => {
    send({ ...base, choices: [], usage: counts })
    response.end('data: [DONE]\n\n')
  }
  return {
    body,
    request,
    response,
    chunk,
    end,
    closed: closeOf(response),
    text(...pieces) {
      chunk({ role: 'assistant', content: '' })
      for (const content of pieces) chunk({ content })
      chunk({}, 'stop')
      end()
    },
    calls(...calls) {
      for (const [index, call] of calls.entries()) {
        chunk({
          tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name: call.name, arguments: '' } }],
        })
        const middle = Math.ceil(call.arguments.length / 2)
        for (const piece of [call.arguments.slice(0, middle), call.arguments.slice(middle)]) {
          chunk({ tool_calls: [{ index, function: { arguments: piece } }] })
        }
      }
      chunk({}, 'tool_calls')
      end()
    },
  }
}
