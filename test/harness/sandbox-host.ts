import { treeOf } from '../../src/sandbox/process-tree.ts'
import { call, findDrivers } from './sandbox.ts'

/** A process with sandboxes in it, one session idle and one busy in each, which tells of its children and then waits for its kill. */
for (const { create } of await findDrivers()) {
  const sandbox = await create()
  await call(sandbox, '1', { session: 'idle' })
  await call(sandbox, '1', { session: 'busy' })
  void call(sandbox, 'while True: pass', { session: 'busy' })
}
process.stdout.write(`${JSON.stringify(treeOf(process.pid))}\n`)
