import { once } from 'node:events'

/** Waits until a test emits this event of the process, perhaps for ever. */
export default {
  name: 'waiting',
  description: 'Waits',
  parameters: { type: 'object' },
  async call() {
    await once(process, 'waited')
    return 'It has come.'
  },
}
