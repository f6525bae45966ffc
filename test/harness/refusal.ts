export interface Refusal {
  status: number
  message: string
  type: string
  param: string | null
  code: string | null
}

const isTextOrNull = (value: unknown) => value === null || typeof value === 'string'

/** What is wrong with a body as an error envelope: one key `error` with exactly its four keys. */
export function flawOf(body: unknown): string | undefined {
  const { error, ...others } = (body ?? {}) as { error?: Record<string, unknown> }
  if (typeof error !== 'object' || error === null) return 'there is no error'
  if (Object.keys(others).length > 0) return `there are keys beside error: ${Object.keys(others)}`
  const keys = Object.keys(error).sort().join(' ')
  if (keys !== 'code message param type') return `the keys of the error are ${keys}`
  const { message, type, param, code } = error
  if (typeof message !== 'string' || message === '') return 'there is no message'
  if (typeof type !== 'string' || type === '') return 'there is no type'
  if (!isTextOrNull(param) || !isTextOrNull(code)) return 'param and code must be texts or null'
  return undefined
}

/** The answer's error, which must be a whole envelope in JSON. */
export async function refusalOf(response: Response): Promise<Refusal> {
  const text = await response.text()
  if (!response.headers.get('content-type')?.startsWith('application/json')) throw new Error(`not JSON: ${text}`)
  const body = JSON.parse(text)
  const flaw = flawOf(body)
  if (flaw) throw new Error(`${response.status} without the envelope: ${flaw}: ${text.slice(0, 300)}`)
  return { status: response.status, ...body.error }
}

/** An `invalid_request_error`; 400 unless said otherwise. */
export const refusal = (
  message: string,
  { status = 400, param = null, code = null }: { status?: number; param?: string | null; code?: string | null } = {},
): Refusal => ({ status, message, type: 'invalid_request_error', param, code })
