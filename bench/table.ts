export interface Figure {
  name: string
  ours: number
  /** Where the reference was measured too. */
  reference?: number
  digits?: number
  target?: Target
}

interface Target {
  text: string
  isMet(ours: number, ratio: number): boolean
}

export const timesAtLeast = (least: number): Target => ({
  text: `≥ ${least} × reference`,
  isMet: (_, ratio) => ratio >= least,
})
export const timesAtMost = (most: number): Target => ({
  text: `≤ ${most} × reference`,
  isMet: (_, ratio) => ratio <= most,
})
export const below = (limit: number): Target => ({ text: `< ${limit}`, isMet: (ours) => ours < limit })
export const atLeast = (least: number): Target => ({
  text: `≥ ${least.toLocaleString('en')}`,
  isMet: (ours) => ours >= least,
})
export const none: Target = { text: '0', isMet: (ours) => ours === 0 }

export const isMissed = ({ ours, reference = Number.NaN, target }: Figure) =>
  target !== undefined && !target.isMet(ours, ours / reference)

export function markdownTable(figures: readonly Figure[]): string {
  const rows = figures.map((figure) => {
    const { name, ours, reference, digits = 0, target } = figure
    const number = (value: number | undefined) =>
      value === undefined || Number.isNaN(value)
        ? '–'
        : value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
    const ratio = reference ? (ours / reference).toFixed(2) : '–'
    const met = target ? (isMissed(figure) ? 'no' : 'yes') : '–'
    return [name, number(ours), number(reference), ratio, target?.text ?? '–', met]
  })
  const head = ['Figure', 'Server', 'Reference', 'Ratio', 'Target', 'Met']
  const lines = [head, ['---', '--:', '--:', '--:', '---', '---'], ...rows]
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

export const median = (values: readonly number[]) => quantile(values, 0.5)

export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}
