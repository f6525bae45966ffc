import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { serveTools } from './mcp-tools.ts'

/*
 * An MCP server over stdio, started by the server under test. It tells what it does by a connection to the port REPORT,
 * which ends with it at the latest. MODE: `stubborn` stays when its stdin ends, `silent` answers nothing, `once` starts
 * no second time, as the file MARK says.
 */

const { REPORT, MODE = '', MARK = '' } = process.env

if (MODE === 'once') {
  if (existsSync(MARK)) {
    console.error('I have been here before.')
    process.exit(1)
  }
  writeFileSync(MARK, '')
}

const socket = connect(Number(REPORT), '127.0.0.1')
await once(socket, 'connect')
if (MODE !== 'stubborn') socket.unref()
const report = (event: string, detail?: unknown) => {
  socket.write(`${JSON.stringify({ event, detail })}\n`)
}
report('started', process.pid)
console.error('I am ready.')

const { env, argv } = process
if (MODE === 'silent') process.stdin.resume()
else await serveTools(new StdioServerTransport(), report, () => ({ env, args: argv.slice(2) }))
