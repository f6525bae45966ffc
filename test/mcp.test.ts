import type { AssistantTool } from 'openai/resources/beta/assistants'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, converse, madeBy } from './harness/engine.ts'
import { anEar, mcpFile, startMcpHttp, variable } from './harness/mcp.ts'
import { mcpTools } from './harness/mcp-tools.ts'

type Calls = { name: string; arguments: string }[]

// The SDK's types know the hosted tools alone.
const tool = (type: string) => ({ type }) as unknown as AssistantTool
const call = (name: string, args: object = {}) => ({ name: `my_server__${name}`, arguments: JSON.stringify(args) })

/** A run in which the model makes these calls, a turn after another, and then answers. */
async function runWith(h: Harness, ...turns: Calls[]) {
  h.backend.turns = [...turns.map((calls) => (e: Exchange) => e.calls(...calls)), ({ text }) => text('Done.')]
  const types = new Set(turns.flat().map(({ name }) => name))
  const conversation = await converse(h.client, { tools: [...types].map(tool) })
  return { ...conversation, started: await conversation.run() }
}
type Exchange = Parameters<Harness['backend']['turns'][number]>[0]

/** What the calls of a run said, as its steps show it. */
async function outputsOf(h: Harness, ...turns: Calls[]) {
  const { started } = await runWith(h, ...turns)
  expect(await atRest(h.client, started)).toMatchObject({ status: 'completed', last_error: null })
  const { steps } = await madeBy(h.client, started)
  const outputs = steps.flatMap(({ step_details: details }) =>
    details.type === 'tool_calls'
      ? details.tool_calls.map((one) => (one.type === 'function' ? one.function.output : undefined))
      : [],
  )
  const told = h.backend.requests.at(-1)?.messages.filter(({ role }) => role === 'tool')
  expect(told?.map(({ content }) => content)).toEqual(outputs)
  return outputs
}

/** The server with an MCP server named `my server` behind it. */
const behind = {
  async stdio(timeoutMs?: number) {
    const { reports, entry } = await anEar()
    const h = await startApp({ mcp: { path: mcpFile({ 'my server': entry({}, { timeoutMs }) }) } })
    return { h, reports }
  },
  async http(timeoutMs?: number) {
    const { reports, url } = await startMcpHttp()
    const h = await startApp({ mcp: { path: mcpFile({ 'my server': { url, timeoutMs } }), startMs: timeoutMs } })
    return { h, reports }
  },
}

describe.for(['stdio', 'http'] as const)('a tool of an MCP server over %s', (transport) => {
  test('is told to the model as the server describes it, and its calls are function calls with outputs', async () => {
    const { h } = await behind[transport]()
    const calls = [call('echo', { text: 'Hé!' }), call('pair', { pair: ['a', 1] })]
    const { started } = await runWith(h, calls)
    await atRest(h.client, started)
    const { steps } = await madeBy(h.client, started)
    const made = (index: number, output: string) => {
      const id = expect.any(String)
      return { id, type: 'function', function: { ...calls[index], output } }
    }
    expect(steps.map(({ step_details }) => step_details)).toEqual([
      { type: 'tool_calls', tool_calls: [made(0, 'Hé!'), made(1, 'pair with {"pair":["a",1]}')] },
      { type: 'message_creation', message_creation: { message_id: expect.any(String) } },
    ])
    const [echo, pair] = ['echo', 'pair'].map((name) => mcpTools.find((one) => one.name === name)?.inputSchema)
    expect(h.backend.requests[0]?.tools).toEqual([
      { type: 'function', function: { name: 'my_server__echo', description: 'Says it again', parameters: echo } },
      { type: 'function', function: { name: 'my_server__pair', description: 'pair', parameters: pair } },
    ])
  })

  test('talks to the model when it fails, however it fails', async () => {
    const { h } = await behind[transport]()
    const calls = [call('fail'), call('refuse'), call('much'), call('echo'), call('pair', { pair: ['a', 1, 2] })]
    const [failed, refused, much, echo, pair] = await outputsOf(h, calls)
    expect(failed).toBe('The tool failed: the weather is bad.')
    expect(refused).toBe('The tool failed: MCP error -32603: not today.')
    expect(much).toMatch(/^The tool failed: x{99983}\n\[The output was longer and is cut here\.\]$/)
    expect(echo).toBe("The arguments do not fit: they must have required property 'text'. Call again.")
    expect(pair).toBe('The arguments do not fit: pair must NOT have more than 2 items. Call again.')
  })

  test('tells texts as they are, and of all else its type', async () => {
    const { h } = await behind[transport]()
    expect(await outputsOf(h, [call('show'), call('structured')])).toEqual([
      [
        'Two\nlines',
        '[image of type image/png: not a text]',
        '[audio of type audio/wav: not a text]',
        'What a.txt says',
        '[resource file:///b.bin of type application/zip: not a text]',
        '[resource file:///c.bin of type application/octet-stream: not a text]',
        '[resource file:///d.txt: The fourth]',
        '[resource file:///e.txt: e]',
      ].join('\n'),
      '{"degrees":21}',
    ])
  })

  test('is cancelled when its run is', async () => {
    const { h, reports } = await behind[transport]()
    const { started } = await runWith(h, [call('wait')])
    await reports.of('waiting')
    await h.client.beta.threads.runs.cancel(started.id, { thread_id: started.thread_id })
    await reports.of('cancelled')
    expect((await atRest(h.client, started)).status).toBe('cancelled')
  })

  test('is cancelled when it takes too long, and nothing else is', async () => {
    const { h, reports } = await behind[transport](1000)
    const [quick, slow] = await outputsOf(h, [call('echo', { text: 'quick' })], [call('wait')])
    expect([quick, slow]).toEqual(['quick', 'The tool failed: it took longer than 1000 ms.'])
    // The time of what was quick was over before that of the slow one.
    await reports.of('cancelled')
    const received = await reports.of('received')
    expect(received.filter((method) => method === 'notifications/cancelled')).toHaveLength(1)
  })
})

test('names are made fit, kept distinct where they are cut, and known to assistants', async () => {
  const { h } = await behind.stdio()
  const refusal = await h.send('POST', '/v1/assistants', { model: 'm', tools: [tool('my_server__nothing')] })
  const { error } = (await refusal.json()) as { error: { message: string } }
  const names = [...error.message.matchAll(/'(my_server__[^']*)'/g)].map(([, name]) => name).slice(1)
  expect(names).toEqual([
    ...mcpTools.slice(0, -1).map(({ name }) => `my_server__${name}`),
    expect.stringMatching(/^my_server__(_ber_lang_)+_ber_[0-9a-f]{8}$/),
  ])
  expect(names.at(-1)).toHaveLength(64)
})

test('a title stands for a description, and a name for a title', async () => {
  const { h } = await behind.stdio()
  await outputsOf(h, [call('show'), call('structured'), call('unsound')])
  const described = h.backend.requests[0]?.tools?.map((one) => one.type === 'function' && one.function.description)
  expect(described).toEqual(['Shows all kinds', 'Structured', 'unsound'])
})

test('arguments for which there is no good schema are left to the server, if they are an object', async () => {
  const { h } = await behind.stdio()
  const list = { name: 'my_server__unsound', arguments: '[]' }
  expect(await outputsOf(h, [call('unsound', { text: 7 }), list])).toEqual([
    'unsound with {"text":7}',
    'The arguments do not fit: they must be object. Call again.',
  ])
})

describe('a program', () => {
  test('has the environment and the arguments of the file, and little else', async () => {
    const { entry } = await anEar()
    const server = entry(
      { TOKEN: `Bearer ${variable('KEY')}`, NONE: '$KEY {}' },
      { args: [`--key=${variable('KEY')}`, 'plain'] },
    )
    const h = await startApp({ mcp: { path: mcpFile({ 'my server': server }), env: { KEY: 's3cret', OTHER: 'x' } } })
    const [output] = await outputsOf(h, [call('surroundings')])
    const { env, args } = JSON.parse(output ?? '')
    expect(args).toEqual(['--key=s3cret', 'plain'])
    expect(env).toMatchObject({ TOKEN: 'Bearer s3cret', NONE: '$KEY {}', PATH: process.env.PATH })
    const usual = ['HOME', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'USER']
    expect(Object.keys(env).filter((name) => !usual.includes(name))).toEqual(['REPORT', 'TOKEN', 'NONE'])
  })

  test('that has died is started again for the next call', async () => {
    const { h, reports } = await behind.stdio()
    const outputs = await outputsOf(h, [call('die')], [call('echo', { text: 'one' }), call('echo', { text: 'two' })])
    expect(outputs).toEqual(["The tool failed: the connection to the MCP server 'my server' was lost.", 'one', 'two'])
    expect(await reports.of('started')).toHaveLength(2)
  })

  test('that cannot be started again is told to the model', async () => {
    const { entry } = await anEar()
    const server = entry({ MODE: 'once', MARK: mcpFile({}).replace('mcp.json', 'mark') })
    const h = await startApp({ mcp: { path: mcpFile({ 'my server': server }) } })
    const [, output] = await outputsOf(h, [call('die')], [call('echo', { text: 'one' })])
    expect(output).toBe("The tool failed: the MCP server 'my server' cannot be reached.")
  })
})

describe('a server over HTTP', () => {
  test('gets the headers of the file', async () => {
    const { url } = await startMcpHttp()
    const headers = { authorization: `Bearer ${variable('KEY')}`, 'x-team': 'red' }
    const path = mcpFile({ 'my server': { type: 'http', url: url.replace('mcp', variable('ROAD')), headers } })
    const h = await startApp({ mcp: { path, env: { KEY: 's3cret', ROAD: 'mcp' } } })
    const [output] = await outputsOf(h, [call('surroundings')])
    expect(JSON.parse(output ?? '')).toMatchObject({ authorization: 'Bearer s3cret', 'x-team': 'red' })
  })

  test.for([true, false])(
    'that was started anew between two calls is connected to anew; it speaks: %s',
    async (speaks) => {
      const { url, restart } = await startMcpHttp({ speaks })
      const h = await startApp({ mcp: { path: mcpFile({ 'my server': { url } }) } })
      expect(await outputsOf(h, [call('echo', { text: 'one' })])).toEqual(['one'])
      await restart()
      const calls = [call('echo', { text: 'two' }), call('echo', { text: 'three' })]
      expect(await outputsOf(h, calls)).toEqual(['two', 'three'])
    },
  )

  test.for([true, false])('that dies in the middle of a call is told to the model; it speaks: %s', async (speaks) => {
    const { url, reports, stop, restart } = await startMcpHttp({ speaks })
    const h = await startApp({ mcp: { path: mcpFile({ 'my server': { url } }) } })
    await reports.of('GET')
    const { started } = await runWith(h, [call('wait')], [call('echo', { text: 'one' })])
    await reports.of('waiting')
    await stop()
    await atRest(h.client, started)
    const told = h.backend.requests.at(-1)?.messages.filter(({ role }) => role === 'tool')
    expect(told?.map(({ content }) => content)).toEqual([
      "The tool failed: the connection to the MCP server 'my server' was lost.",
      "The tool failed: the MCP server 'my server' cannot be reached.",
    ])
    await restart()
    expect(await outputsOf(h, [call('echo', { text: 'two' })])).toEqual(['two'])
  })
})
