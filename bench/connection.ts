import { connect, type Socket } from 'node:net'

const lastChunk = '\r\n0\r\n\r\n'

interface Exchange {
  onText: (text: string) => void
  /** What is read so far while the head is not whole, then its last bytes. */
  text: string
  status: number
  /** Bytes of the body that are still to come; undefined for a chunked one. */
  left: number | undefined
  resolve: () => void
  reject: (error: Error) => void
}

/**
 * One keep-alive connection that sends one request at a time. It reads no more of HTTP than it must, so that the load
 * costs less than what it loads: `onText` gets the pieces of an answer as they come, head and chunk sizes among them.
 */
export class Connection {
  readonly #socket: Socket
  #exchange: Exchange | undefined

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text) => this.#read(text as unknown as string))
    this.#socket.on('error', (error) => this.#exchange?.reject(error))
    this.#socket.on('close', () => this.#exchange?.reject(new Error('The server closed the connection.')))
  }

  /** Resolves at the end of the answer; rejects unless that is a 200. */
  send(request: string, onText: (text: string) => void = () => {}): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#exchange = { onText, text: '', status: 0, left: undefined, resolve, reject }
      this.#socket.write(request)
    })
  }

  close() {
    this.#exchange = undefined
    this.#socket.destroy()
  }

  #read(text: string) {
    const exchange = this.#exchange
    if (!exchange) return
    exchange.onText(text)
    exchange.text += text
    if (exchange.status === 0) {
      const headEnd = exchange.text.indexOf('\r\n\r\n')
      if (headEnd < 0) return
      const head = exchange.text.slice(0, headEnd)
      exchange.status = Number(head.slice(9, 12))
      const length = /content-length: (\d+)/i.exec(head)?.[1]
      if (length) exchange.left = Number(length) - (exchange.text.length - headEnd - 4)
    } else if (exchange.left !== undefined) {
      exchange.left -= text.length
    }
    const ended = exchange.left === undefined ? exchange.text.endsWith(lastChunk) : exchange.left <= 0
    if (ended) this.#end(exchange)
    else exchange.text = exchange.text.slice(-lastChunk.length)
  }

  #end(exchange: Exchange) {
    this.#exchange = undefined
    if (exchange.status === 200) exchange.resolve()
    else exchange.reject(new Error(`The server answered ${exchange.status}: ${exchange.text}`))
  }
}

export function requestText(method: string, path: string, body?: object): string {
  const json = body === undefined ? '' : JSON.stringify(body)
  const content = json && `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(json)}\r\n`
  const head = `${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer bench\r\naccept: */*\r\n`
  return `${head}${content}\r\n${json}`
}

/** One request on a connection of its own; the answer as an object. */
export async function call<T>(port: number, method: string, path: string, body?: object): Promise<T> {
  const connection = new Connection(port)
  let text = ''
  await connection.send(requestText(method, path, body), (piece) => {
    text += piece
  })
  connection.close()
  return JSON.parse(text.slice(text.indexOf('{'))) as T
}
