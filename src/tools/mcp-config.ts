import { type Static, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { ConfigError } from '../config.ts'
import { checked, type Environment, type Fail, failIn, filler, readJson } from '../config-file.ts'

const Text = Type.String({ meaning: 'a text' })
const Texts = Type.Record(Type.String(), Text, { meaning: 'an object of texts' })
const timeoutMs = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 86_400_000, meaning: 'a whole number of milliseconds, a day at most' }),
)

const Command = Type.Object(
  {
    type: Type.Optional(Type.Literal('stdio', { meaning: "'stdio', as it has a `command`" })),
    command: Type.String({ minLength: 1, meaning: 'the name of a program' }),
    args: Type.Optional(Type.Array(Text, { meaning: 'a list of texts' })),
    env: Type.Optional(Texts),
    cwd: Type.Optional(Text),
    timeoutMs,
  },
  { additionalProperties: false },
)
const Remote = Type.Object(
  {
    type: Type.Optional(
      Type.String({
        pattern: '^(http|streamable-http|streamableHttp)$',
        meaning: "'http', streamable HTTP, as it has a `url`",
      }),
    ),
    url: Text,
    headers: Type.Optional(Texts),
    timeoutMs,
  },
  { additionalProperties: false },
)
const File = TypeCompiler.Compile(Type.Object({ mcpServers: Type.Record(Type.String(), Type.Unknown()) }))

/** How a server is reached: a program that is started here, or an address. */
export type McpAddress = Static<typeof Command> | Static<typeof Remote>

const variable = 'MCP_CONFIG'

/** The servers that the file names, with `${VARIABLE}`s filled in. Throws a ConfigError. */
export async function readMcpConfig(path: string, folder: string, env: Environment): Promise<Map<string, McpAddress>> {
  const file = await readJson(variable, path, folder)
  if (!File.Check(file)) {
    throw new ConfigError(`${variable} names '${path}', but that is no JSON object with an object \`mcpServers\`.`)
  }
  const failAt = failIn(variable, path)
  const servers = Object.entries(file.mcpServers).map(([name, entry]): [string, McpAddress] => {
    const fail = failAt(`its server '${name}'`)
    if (name === '') fail('has no name')
    return [name, filledIn(addressIn(entry, fail), env, fail)]
  })
  return new Map(servers)
}

function addressIn(entry: unknown, fail: Fail): McpAddress {
  if (typeof entry !== 'object' || entry === null) return fail('is no object')
  if ('command' in entry === 'url' in entry) return fail('must have either a `command` or a `url`')
  return 'command' in entry ? checked(Command, entry, fail) : checked(Remote, entry, fail)
}

function filledIn(address: McpAddress, env: Environment, fail: Fail): McpAddress {
  const { fill, fillAll, fillHeaders, fillUrl } = filler(env, fail)
  if ('command' in address) return { ...address, args: (address.args ?? []).map(fill), env: fillAll(address.env) }
  return { ...address, url: fillUrl(address.url, 'url'), headers: fillHeaders(address.headers) }
}
