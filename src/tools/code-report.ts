import type { Ended, Execution, Output } from '../sandbox/sandbox.ts'

/** A model reads no more at once; of longer logs it gets the beginning and the end. */
const maxCharacters = 20_000

const ends: Record<Ended, string> = {
  timeout: 'The code was stopped because it took too long.',
  memory: 'The code was stopped because it used too much memory.',
  output: 'The code was stopped because it printed or wrote too much.',
  crashed: 'The Python process ended unexpectedly.',
}

/** What clients are shown of an execution, and what the model reads of it. `hadSession`: the run has run code before. */
export function told(execution: Execution, hadSession: boolean): { shown: Output[]; model: string } {
  const { outputs, value, written, absent, omitted, isFresh, ended } = execution
  // Clients are told why as well: there may be nothing else in the logs.
  const shown = ended ? withLine(outputs, ends[ended]) : outputs
  const logs = shown.map((output) => (output.type === 'logs' ? output.logs : '')).join('')
  const figures = shown.filter(({ type }) => type === 'image').length
  const paths = (names: readonly string[]) => names.map((name) => `/mnt/data/${name}`).join(', ')
  const notes = [
    isFresh && hadSession && 'This ran in a new session: variables and files of earlier calls are gone.',
    figures > 0 && `Figures that the user is shown: ${figures}.`,
    written.length > 0 &&
      `Files written: ${written.map(({ name }) => `[${name}](sandbox:/mnt/data/${name})`).join(', ')}. Link to them like this.`,
    omitted.length > 0 &&
      `Files written that the user cannot get, because they are too many or too large: ${paths(omitted)}.`,
    absent.length > 0 &&
      `Files of the user that could not be placed, because they are too large or gone: ${paths(absent)}.`,
  ].filter((note) => note !== false)
  const said = [shortened(logs).trimEnd(), value !== undefined && `Value of the last line: ${value}`, ...notes].filter(
    Boolean,
  )
  return { shown, model: said.join('\n') || 'The code ran and printed nothing.' }
}

function withLine(outputs: readonly Output[], line: string): Output[] {
  const last = outputs.at(-1)
  if (last?.type !== 'logs') return [...outputs, { type: 'logs', logs: `${line}\n` }]
  const gap = last.logs.endsWith('\n') ? '' : '\n'
  return [...outputs.slice(0, -1), { type: 'logs', logs: `${last.logs}${gap}${line}\n` }]
}

function shortened(logs: string): string {
  if (logs.length <= maxCharacters) return logs
  const half = maxCharacters / 2
  return `${logs.slice(0, half)}\n[${logs.length - maxCharacters} characters are left out here.]\n${logs.slice(-half)}`.toWellFormed()
}
