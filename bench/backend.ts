import { createServer, type ServerResponse } from 'node:http'

/**
 * A chat backend that costs next to nothing. The name of the model is its script: `scripted-10-50` answers in 10
 * chunks, the first at once and one each 50 ms, `scripted-10-0` all at once. Each piece of text is the time (ms) of its
 * sending.
 */
const server = createServer((request, response) => {
  if (request.url === '/healthz') {
    response.end('{}')
    return
  }
  if (request.method === 'GET') {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[]}')
    return
  }
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (text) => {
    body += text
  })
  request.on('end', () => answer(JSON.parse(body).model, response))
})

function answer(model: string, response: ServerResponse) {
  const [chunks = 1, intervalMs = 0] = model.split('-').slice(1).map(Number)
  const start = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"${model}","choices":[`
  const choice = (delta: string, reason = 'null') =>
    `${start}{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${reason}}]}\n\n`
  const piece = () => choice(`{"content":"${Date.now()} "}`)
  const usage = `${start}],"usage":{"prompt_tokens":10,"completion_tokens":${chunks},"total_tokens":${10 + chunks}}}\n\n`

  const finish = () => response.end(`${choice('{}', '"stop"')}${usage}data: [DONE]\n\n`)

  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(choice('{"role":"assistant","content":""}') + piece())
  if (intervalMs === 0) {
    for (let sent = 1; sent < chunks; sent++) response.write(piece())
    finish()
    return
  }
  const startedAt = performance.now()
  let sent = 1
  const timer = setInterval(() => {
    // A timer that comes late makes up for it: the pace holds whatever the machine is busy with.
    const due = Math.min(chunks, 1 + Math.floor((performance.now() - startedAt) / intervalMs))
    for (; sent < due; sent++) response.write(piece())
    if (sent < chunks) return
    clearInterval(timer)
    finish()
  }, intervalMs)
  response.once('close', () => clearInterval(timer))
}

// Longer than any pause between two uses of a connection: nobody has to try again on a new one.
server.keepAliveTimeout = 600_000
server.listen(Number(process.env.PORT), '127.0.0.1')
