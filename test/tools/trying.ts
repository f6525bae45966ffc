import type { CustomToolContext } from '../../src/tools/custom.ts'

/** Does what its arguments say, to try what a tool may do. */
export default {
  name: 'trying',
  description: 'Tries things',
  parameters: { properties: { act: { type: 'string' } }, required: ['act'] },
  timeoutMs: 50,
  async call({ act }: { act: string }, { run, signal }: CustomToolContext) {
    if (act === 'throw') throw new Error('the weather is bad')
    if (act === 'wait') await new Promise((resolve) => signal.addEventListener('abort', resolve))
    if (act === 'hang') await new Promise(() => {})
    if (act === 'much') return 'x'.repeat(200_000)
    if (act === 'nothing') return undefined
    return `${act} in ${run.id}`
  },
}
