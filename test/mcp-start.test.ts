import { join } from 'node:path'
import { pino } from 'pino'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectMcp, type McpOptions } from '../src/tools/mcp.ts'
import { aFolder, startApp } from './harness/app.ts'
import { anEar, mcpFile, startMcpHttp, variable } from './harness/mcp.ts'
import { startProcess } from './harness/process.ts'

/** Connects, and says what was logged. */
async function connect(mcpServers: unknown, options: Partial<McpOptions> = {}) {
  const lines: { level: number; msg: string; [key: string]: unknown }[] = []
  const logger = pino({ level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) })
  const connected = await connectMcp({ path: mcpFile(mcpServers), folder: '/', env: {}, logger, ...options })
  onTestFinished(connected.close)
  return { ...connected, lines }
}

/** The sentence with which a file is refused, without its beginning. */
async function refusalOf(mcpServers: unknown, options: Partial<McpOptions> = {}): Promise<string> {
  const path = mcpFile(mcpServers)
  const error = await connect(mcpServers, { path, ...options }).then(
    () => new Error('It is accepted.'),
    (refused: Error) => refused,
  )
  expect(error.constructor.name).toBe('ConfigError')
  const beginning = `MCP_CONFIG names '${path}', but `
  expect(error.message.slice(0, beginning.length)).toBe(beginning)
  return error.message.slice(beginning.length)
}

const command = 'some-server'
const url = 'http://127.0.0.1:1/mcp'
const aKey = variable('A_KEY')
const ofText = 'must be a text.'

describe('a file is refused in a sentence', () => {
  test.for(['{', '[]', 'null', '"servers"', '{}', '{"servers": {}}', '{"mcpServers": []}'])('%s', async (text) => {
    expect(await refusalOf(text)).toBe('that is no JSON object with an object `mcpServers`.')
  })

  test('that is not there', async () => {
    const path = join(aFolder(), 'none.json')
    await expect(connect({}, { path })).rejects.toThrow(
      /^MCP_CONFIG names '.*none\.json', which cannot be read: ENOENT/,
    )
  })

  test.for<[unknown, string]>([
    ['npx', 'is no object.'],
    [null, 'is no object.'],
    [{}, 'must have either a `command` or a `url`.'],
    [{ command, url }, 'must have either a `command` or a `url`.'],
    [{ command: '' }, 'is wrong: its `command` must be the name of a program.'],
    [{ command: ['npx'] }, 'is wrong: its `command` must be the name of a program.'],
    [{ command, args: 'a b' }, 'is wrong: its `args` must be a list of texts.'],
    [{ command, args: ['a', 7] }, `is wrong: its \`args.1\` ${ofText}`],
    [{ command, env: ['A=b'] }, 'is wrong: its `env` must be an object of texts.'],
    [{ command, env: { A: 1 } }, `is wrong: its \`env.A\` ${ofText}`],
    [{ command, cwd: 1 }, `is wrong: its \`cwd\` ${ofText}`],
    [{ command, headers: {} }, 'has an unknown key `headers`.'],
    [{ command, arguments: [] }, 'has an unknown key `arguments`.'],
    [{ command, type: 'http' }, "is wrong: its `type` must be 'stdio', as it has a `command`."],
    [{ url, type: 'sse' }, "is wrong: its `type` must be 'http', streamable HTTP, as it has a `url`."],
    [{ url, env: {} }, 'has an unknown key `env`.'],
    [{ url: 7 }, `is wrong: its \`url\` ${ofText}`],
    [{ url: 'example.com/mcp' }, 'is wrong: its `url` must be an http:// or https:// URL.'],
    [{ url: 'ws://example.com/mcp' }, 'is wrong: its `url` must be an http:// or https:// URL.'],
    [{ url, headers: { A: null } }, `is wrong: its \`headers.A\` ${ofText}`],
    ...[0, 1.5, '60', 86_400_001].map((timeoutMs): [unknown, string] => [
      { command, timeoutMs },
      'is wrong: its `timeoutMs` must be a whole number of milliseconds, a day at most.',
    ]),
    ...[{ command, args: [aKey] }, { command, env: { K: `x${aKey}` } }, { url: `${url}?k=${aKey}` }].map(
      (entry): [unknown, string] => [entry, 'needs the variable A_KEY, which is not set.'],
    ),
    [{ url, headers: { authorization: `Bearer ${aKey}` } }, 'needs the variable A_KEY, which is not set.'],
  ])('%j', async ([entry, flaw]) => {
    expect(await refusalOf({ good: { command, args: [] }, 'a server': entry })).toBe(`its server 'a server' ${flaw}`)
  })

  test('that gives a server no name', async () => {
    expect(await refusalOf({ '': { command } })).toBe("its server '' has no name.")
  })
})

describe('a server that cannot be had stops the start, and the sentence says why', () => {
  test('no such program', async () => {
    expect(await refusalOf({ a: { command: 'no-such-program' } })).toMatch(/^its server 'a' fails: .*no-such-program/s)
  })

  test('a program that ends at once, by what it has written', async () => {
    const { entry } = await anEar()
    const a = entry({ MODE: 'once', MARK: mcpFile({}) })
    expect(await refusalOf({ a })).toBe("its server 'a' fails: Connection closed; it wrote: I have been here before.")
  })

  test('a program that answers nothing, which is ended, as are the others', async () => {
    const { reports, entry } = await anEar()
    const http = await startMcpHttp()
    const servers = { good: { url: http.url }, a: entry({ MODE: 'silent' }) }
    const why = "its server 'a' fails: it did not answer within 3 s; it wrote: I am ready."
    expect(await refusalOf(servers, { startMs: 3000 })).toBe(why)
    await Promise.all([reports.of('ended'), http.reports.of('DELETE')])
  })

  test('nobody listens', async () => {
    const http = await startMcpHttp()
    await http.stop()
    const why = /^its server 'a' fails: connect ECONNREFUSED 127\.0\.0\.1:\d+$/
    expect(await refusalOf({ a: { url: http.url } })).toMatch(why)
  })

  test('an address that is no MCP server', async () => {
    const { url: good } = await startMcpHttp()
    const bad = { url: good, headers: { 'mcp-session-id': 'unknown' } }
    expect(await refusalOf({ a: bad })).toBe("its server 'a' fails: HTTP 404: Session not found")
  })

  test('two servers with one name, as far as names go', async () => {
    const { entry } = await anEar()
    await expect(startApp({ mcp: { path: mcpFile({ 'a b': entry(), a_b: entry() }) } })).rejects.toThrow(
      "Two tools have the same type: 'a_b__echo'.",
    )
  })
})

describe('once connected', () => {
  test('what programs write, and tools whose arguments cannot be validated, are in the log', async () => {
    const { entry } = await anEar()
    const { lines } = await connect({ a: entry() })
    expect(lines).toContainEqual(expect.objectContaining({ level: 20, mcp: 'a', stderr: 'I am ready.' }))
    const warned = { level: 40, tool: 'a__unsound', flaw: expect.stringMatching(/^schema is invalid: /) }
    expect(lines.filter(({ level }) => level > 30)).toEqual([expect.objectContaining(warned)])
  })

  test('closing ends programs and sessions', async () => {
    const { reports, entry } = await anEar()
    const http = await startMcpHttp()
    const { close, lines } = await connect({ a: entry(), b: { url: http.url } })
    await close()
    await reports.of('ended')
    expect(await http.reports.of('DELETE')).toEqual([expect.any(String)])
    expect(lines.filter(({ msg }) => msg.includes('lost'))).toEqual([])
  })

  test('closing waits for no server that does not answer', async () => {
    const http = await startMcpHttp()
    const { close } = await connect({ b: { url: http.url } })
    http.fallSilent()
    await close()
    expect(await http.reports.of('DELETE')).toHaveLength(1)
  })
})

describe('the process', () => {
  test('ends its programs and itself at SIGTERM', async () => {
    const { reports, entry } = await anEar()
    const http = await startMcpHttp()
    const MCP_CONFIG = mcpFile({ a: entry(), b: { url: http.url } })
    const server = await startProcess({ env: { MCP_CONFIG } })
    const { data } = await server.client.models.list()
    expect(data.map(({ id }) => id)).toContain('demo')
    expect(await server.stop()).toBe(0)
    await reports.of('ended')
    await http.reports.of('DELETE')
  })

  test.for(process.platform === 'linux' ? ['', 'stubborn'] : [''])(
    'leaves no program behind when it is killed: %s',
    async (MODE) => {
      const { reports, entry } = await anEar()
      const server = await startProcess({ env: { MCP_CONFIG: mcpFile({ a: entry({ MODE }) }) } })
      await reports.of('started')
      await server.kill()
      await reports.of('ended')
    },
  )

  test('says what is wrong and ends', async () => {
    const server = startProcess({ env: { MCP_CONFIG: mcpFile({ a: { command, cwd: 7 } }) } })
    await expect(server).rejects.toThrow(
      /MCP_CONFIG names '.*', but its server 'a' is wrong: its `cwd` must be a text\./,
    )
  })
})
