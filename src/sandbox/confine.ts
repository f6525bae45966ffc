import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** util-linux, which every Linux has; each line is tried as a whole, the strictest first. */
const privileges = [
  ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--bounding-set', '-all', '--inh-caps', '-all'],
  ['setpriv', '--pdeathsig', 'KILL', '--no-new-privs'],
]

export interface Confinement {
  /** Put before a command, makes it end with us, and without what it could gain. */
  privileges: string[]
  /** Put before a command, with options, bounds what it takes. */
  hasPrlimit: boolean
}

/** What this machine offers for confining a process of which it can be expected to break out. */
export async function findConfinement(): Promise<Confinement> {
  const works = (command: readonly string[]) =>
    run(command[0] ?? '', [...command.slice(1), 'true']).then(
      () => true,
      () => false,
    )
  let found: string[] = []
  for (const command of privileges) {
    if (await works(command)) {
      found = command
      break
    }
  }
  return { privileges: found, hasPrlimit: await works(['prlimit', '--core=0']) }
}
