import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { TypeCompiler } from '@sinclair/typebox/compiler'
import { ConfigError } from '../config.ts'

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

type Environment = Readonly<Record<string, string | undefined>>

/** The servers that the file names, with `${VARIABLE}`s filled in. Throws a ConfigError. */
export async function readMcpConfig(path: string, folder: string, env: Environment): Promise<Map<string, McpAddress>> {
  const text = await readFile(resolve(folder, path), 'utf8').catch((error: Error) => {
    throw new ConfigError(`MCP_CONFIG names '${path}', which cannot be read: ${error.message}`, { cause: error })
  })
  const file = parsed(text)
  if (!File.Check(file)) {
    throw new ConfigError(`MCP_CONFIG names '${path}', but that is no JSON object with an object \`mcpServers\`.`)
  }
  const servers = Object.entries(file.mcpServers).map(([name, entry]): [string, McpAddress] => {
    const fail = (flaw: string): never => {
      throw new ConfigError(`MCP_CONFIG names '${path}', but its server '${name}' ${flaw}.`)
    }
    if (name === '') fail('has no name')
    return [name, filledIn(checked(entry, fail), env, fail)]
  })
  return new Map(servers)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function checked(entry: unknown, fail: (flaw: string) => never): McpAddress {
  if (typeof entry !== 'object' || entry === null) return fail('is no object')
  if ('command' in entry === 'url' in entry) return fail('must have either a `command` or a `url`')
  const schema: TSchema = 'command' in entry ? Command : Remote
  const error = TypeCompiler.Compile(schema).Errors(entry).First()
  if (!error) return entry as McpAddress
  const place = error.path.slice(1).replaceAll('/', '.')
  return error.schema === schema
    ? fail(`has an unknown key \`${place}\``)
    : fail(`is wrong: its \`${place}\` must be ${error.schema.meaning}`)
}

/** Keys need not stand in the file. */
function filledIn(address: McpAddress, env: Environment, fail: (flaw: string) => never): McpAddress {
  const fill = (text: string) =>
    text.replace(/\$\{(\w+)\}/g, (_, name: string) => env[name] ?? fail(`needs the variable ${name}, which is not set`))
  const fillAll = (texts: Record<string, string> = {}) =>
    Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, fill(text)]))
  if ('command' in address) return { ...address, args: (address.args ?? []).map(fill), env: fillAll(address.env) }
  const url = fill(address.url)
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) fail('is wrong: its `url` must be an http:// or https:// URL')
  return { ...address, url, headers: fillAll(address.headers) }
}
