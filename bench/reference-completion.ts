import { Agent, request } from 'node:http'
import type { Row } from './reference-store.ts'

const url = `${process.env.OPENAI_BASE_URL}/chat/completions`
const agent = new Agent({ keepAlive: true })

interface Listener {
  onText(text: string): void
  onEnd(usage: Row): void
}

/** One streamed answer of the backend. */
export function complete(body: object, listener: Listener) {
  const headers = { 'content-type': 'application/json', authorization: 'Bearer bench' }
  const call = request(url, { method: 'POST', agent, headers }, (response) => {
    let rest = ''
    let usage: Row = {}
    response.setEncoding('utf8')
    response.on('data', (text: string) => {
      const events = (rest + text).split('\n\n')
      rest = events.pop() ?? ''
      for (const event of events) {
        const data = event.slice('data: '.length)
        if (data === '[DONE]') continue
        const chunk = JSON.parse(data)
        usage = chunk.usage ?? usage
        const content = chunk.choices[0]?.delta.content
        if (content) listener.onText(content)
      }
    })
    response.on('end', () => listener.onEnd(usage))
  })
  call.end(JSON.stringify(body))
}
