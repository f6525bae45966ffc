import type { Run } from 'openai/resources/beta/threads/runs/runs'
import type { Harness } from './app.ts'

const callTool = {
  type: 'function' as const,
  function: { name: 'look_up', parameters: { type: 'object', properties: {} } },
}

/** A run in the given status, on a thread of its own. The harness must not be started. */
export async function runIn(h: Harness, status: Run['status']): Promise<Run> {
  const { threads, assistants } = h.client.beta
  const assistant = await assistants.create({ model: 'm', tools: [callTool] })
  const thread = { messages: [{ role: 'user' as const, content: 'Hi' }] }
  const { id, thread_id } = await threads.createAndRun({ assistant_id: assistant.id, thread })
  if (status === 'cancelling') await underWay(h)
  if (status === 'cancelling' || status === 'cancelled') await threads.runs.cancel(id, { thread_id })
  if (status === 'expired') h.time.now += 601_000
  if (status === 'in_progress') {
    const already = h.backend.requests.length
    // A model that never answers.
    h.backend.turns.push(() => {})
    void h.services.executor.tick()
    await h.backend.requested(already + 1)
  } else if (!['queued', 'cancelling', 'cancelled'].includes(status)) {
    if (status === 'requires_action') {
      h.backend.turns.push(({ calls }) =>
        calls({ name: 'look_up', arguments: '{"a":1}' }, { name: 'look_up', arguments: '{"a":2}' }),
      )
    }
    if (status === 'failed') {
      h.backend.turns.push(({ response }) => {
        response.writeHead(400).end('{}')
      })
    }
    if (status === 'incomplete') {
      h.backend.turns.push(({ chunk, end }) => {
        chunk({ content: 'Hel' })
        chunk({}, 'length')
        end()
      })
    }
    await h.services.executor.tick()
  }
  const run = await threads.runs.retrieve(id, { thread_id })
  if (run.status !== status) throw new Error(`the run is ${run.status}, not ${status}`)
  return run
}

/** Makes the run one that a worker has begun, and from which nothing is heard any more. */
async function underWay({ services: { store } }: Harness) {
  const claim = await store.runs.claim(Number.MAX_SAFE_INTEGER)
  if (claim) await store.runs.commit(claim.run.id, { to: 'in_progress' }, claim.lease_id)
}
