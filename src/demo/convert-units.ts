import type { CustomToolContext } from '../tools/custom.ts'

/*
 * A tool of one's own, as an example: `TOOLS=./src/demo/convert-units.ts npm start`, then an assistant with
 * `tools: [{ type: 'convert_units' }]`.
 */

export const name = 'convert_units'
export const description = 'Converts lengths and weights between metric and imperial units'

/** The unit that each stands for so many of: metres, kilograms. */
const units: Record<string, { of: 'm' | 'kg'; factor: number }> = {
  m: { of: 'm', factor: 1 },
  km: { of: 'm', factor: 1000 },
  ft: { of: 'm', factor: 0.3048 },
  mi: { of: 'm', factor: 1609.344 },
  kg: { of: 'kg', factor: 1 },
  lb: { of: 'kg', factor: 0.45359237 },
  oz: { of: 'kg', factor: 0.028349523125 },
}

export const parameters = {
  type: 'object',
  properties: {
    value: { type: 'number' },
    from: { type: 'string', enum: Object.keys(units) },
    to: { type: 'string', enum: Object.keys(units) },
  },
  required: ['value', 'from', 'to'],
  additionalProperties: false,
}

/** What is returned, and what is thrown, is read by the model. */
export function call({ value, from, to }: { value: number; from: string; to: string }, { logger }: CustomToolContext) {
  const [source, target] = [units[from], units[to]]
  if (!source || !target || source.of !== target.of) throw new Error(`${from} cannot be converted to ${to}`)
  logger.debug({ from, to }, 'converted')
  return `${value} ${from} is ${Number(((value * source.factor) / target.factor).toPrecision(8))} ${to}.`
}
