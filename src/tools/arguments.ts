import type { Ajv, ErrorObject, Options } from 'ajv'

/** What is wrong with the arguments of a call, in words for the model; undefined if they fit. */
export type ArgumentCheck = (args: unknown) => string | undefined

/** Throws if this is no JSON schema of an object. */
export async function createArgumentCheck(parameters: Record<string, unknown>): Promise<ArgumentCheck> {
  const ajv = await (String(parameters.$schema).includes('2020-12') ? draft2020() : draft7())
  const fits = ajv.compile({ type: 'object', ...parameters })
  return (args) => (fits(args) ? undefined : (fits.errors ?? []).map(told).join('; '))
}

const told = ({ instancePath, message }: ErrorObject) => `${instancePath.slice(1) || 'they'} ${message}`

// Ajv knows no format without another package, and two schemas may have one id. Each instance takes 5 to 10 ms to make.
const options: Options = { strict: false, allErrors: true, validateFormats: false, addUsedSchema: false }

const draft7 = once(async () => new (await import('ajv')).Ajv(options))
const draft2020 = once(async () => new (await import('ajv/dist/2020.js')).Ajv2020(options))

function once(make: () => Promise<Ajv>): () => Promise<Ajv> {
  let made: Promise<Ajv> | undefined
  return () => {
    made ??= make()
    return made
  }
}
