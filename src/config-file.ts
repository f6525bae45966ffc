import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Static, TSchema } from '@sinclair/typebox'
import { TypeCompiler, ValueErrorType } from '@sinclair/typebox/compiler'
import { ConfigError } from './config.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Throws a ConfigError that ends with this. */
export type Fail = (flaw: string) => never

/** The JSON in the file that a variable names; undefined if it is none. Throws a ConfigError. */
export async function readJson(variable: string, path: string, folder: string): Promise<unknown> {
  const text = await readFile(resolve(folder, path), 'utf8').catch((error: Error) => {
    throw new ConfigError(`${variable} names '${path}', which cannot be read: ${error.message}`, { cause: error })
  })
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** How the flaws of a part of that file are told: `failAt("its server 'a'")('is no object')`. */
export const failIn =
  (variable: string, path: string) =>
  (part: string): Fail =>
  (flaw) => {
    throw new ConfigError(`${variable} names '${path}', but ${part} ${flaw}.`)
  }

/** The value, if it is as the schema says. Each schema of a value says by its `meaning` what that must be. */
export function checked<T extends TSchema>(schema: T, value: unknown, fail: Fail): Static<T> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return fail('is no object')
  const error = TypeCompiler.Compile(schema).Errors(value).First()
  if (!error) return value as Static<T>
  const place = error.path.slice(1).replaceAll('/', '.')
  return error.type === ValueErrorType.ObjectAdditionalProperties
    ? fail(`has an unknown key \`${place}\``)
    : fail(`is wrong: its \`${place}\` must be ${error.schema.meaning}`)
}

/** Puts variables of the environment where a text says `${NAME}`: keys need not stand in the file. */
export function filler(env: Environment, fail: Fail) {
  const fill = (text: string) =>
    text.replace(/\$\{(\w+)\}/g, (_, name: string) => env[name] ?? fail(`needs the variable ${name}, which is not set`))
  const fillAll = (texts: Record<string, string> = {}) =>
    Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, fill(text)]))
  return {
    fill,
    fillAll,
    fillHeaders(texts: Record<string, string> | undefined) {
      const headers = fillAll(texts)
      for (const [name, value] of Object.entries(headers)) {
        if (!isHeader(name, value)) fail(`is wrong: its \`headers.${name}\` must be a header as HTTP can have it`)
      }
      return headers
    },
    fillUrl(text: string, key: string): string {
      const url = fill(text)
      if (/^https?:$/.test(URL.parse(url)?.protocol ?? '')) return url
      return fail(`is wrong: its \`${key}\` must be an http:// or https:// URL`)
    },
  }
}

export function isHeader(name: string, value: string): boolean {
  try {
    return new Headers({ [name]: value }).has(name)
  } catch {
    return false
  }
}
