import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions'

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

const usage = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 }

/** An OpenAI-compatible HTTP server that plays the turns it was given, in order, then `otherwise`. */
export class ScriptedBackend {
  readonly requests: ChatCompletionCreateParams[] = []
  turns: Turn[] = []
  otherwise: Turn = ({ text }) => text('Hel', 'lo.')
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
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          object: 'list',
          data: [{ id: 'org/scripted', object: 'model', created: 1, owned_by: 'test' }],
        }),
      )
      return
    }
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part)
    const body: ChatCompletionCreateParams = JSON.parse(Buffer.concat(parts).toString())
    this.requests.push(body)
    for (const resolve of this.#waiting.splice(0)) resolve()
    await (this.turns.shift() ?? this.otherwise)(exchangeOf(body, request, response))
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
    closed: new Promise((resolve) => response.once('close', resolve)),
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
