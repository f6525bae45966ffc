import type OpenAI from 'openai'
import type { AssistantCreateParams, AssistantTool } from 'openai/resources/beta/assistants'
import type { Run } from 'openai/resources/beta/threads/runs/runs'
import { expect } from 'vitest'
import { type Harness, startApp } from './app.ts'
import type { Turn } from './backend.ts'
import { atRest, converse, holding, madeBy } from './engine.ts'
import { callsOf, toldIn } from './search.ts'

export type Place = Pick<Run, 'id' | 'thread_id'>

/** A tool that is none of the hosted ones, which are all that the SDK's types know. */
export const toolOf = (type: string) => ({ type }) as unknown as AssistantTool
export const specialistTool = toolOf('create_specialist')

export interface Asked {
  name: string
  instructions: string
  task: string
  model?: string
  tools?: string[]
}

export const critic: Asked = { name: 'Critic', instructions: 'Be strict.', task: 'Judge this.' }

/** A call for a specialist, as a model writes it. */
export const specialistCall = (asked: object = {}) => ({
  name: 'create_specialist',
  arguments: JSON.stringify({ ...critic, ...asked }),
})

/** A turn that hands tasks on, one for each. */
export const handingOver =
  (...asked: object[]): Turn =>
  ({ calls }) =>
    calls(...asked.map(specialistCall))

/** A turn whose tokens are these. */
export const using =
  (prompt_tokens: number, completion_tokens: number, text = 'Fine.'): Turn =>
  ({ chunk, end }) => {
    chunk({ content: text })
    chunk({}, 'stop')
    end({ prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens })
  }

/** An assistant that may have specialists, a thread with a question, and ways to run it. */
export async function askLead(h: Harness, settings: Partial<AssistantCreateParams> = {}) {
  const made = await converse(h.client, { tools: [specialistTool], instructions: 'Lead.', ...settings }, 'Is it good?')
  /** A run with these turns of the models, to its rest. */
  const runWith = async (turns: Turn[], body: Parameters<typeof made.run>[0] = {}) => {
    h.backend.turns.push(...turns)
    const begun = await made.run(body)
    await atRest(h.client, begun)
    return resultOf(h, begun)
  }
  return { ...made, runWith }
}

/** A run with its specialists, and what its calls brought. */
export async function resultOf(h: Harness, of: Place) {
  const made = await madeBy(h.client, of)
  const children = await Promise.all((await childrenOf(h.client, of)).map((child) => madeBy(h.client, child)))
  return { ...made, children, outputs: outputsOf(made.steps) }
}

export const outputsOf = (steps: Parameters<typeof callsOf>[0][]) =>
  steps.flatMap(callsOf).flatMap((call) => (call.type === 'function' ? [call.function.output] : []))

/** The runs of a run's specialists, as the metadata of its steps names them. */
export async function childrenOf(client: OpenAI, { id, thread_id }: Place): Promise<Place[]> {
  const { data } = await client.beta.threads.runs.steps.list(id, { thread_id, order: 'asc', limit: 100 })
  return data.flatMap((step) =>
    callsOf(step).flatMap((call) => {
      const [thread, run] = (step.metadata as Record<string, string> | null)?.[call.id ?? '']?.split('/') ?? []
      return thread && run ? [{ id: run, thread_id: thread }] : []
    }),
  )
}

/** The first specialist of a run that is at work. */
export async function onlyChild(client: OpenAI, of: Place): Promise<Place> {
  const [child, ...others] = await childrenOf(client, of)
  if (!child || others.length > 0) throw new Error(`There are ${others.length + (child ? 1 : 0)} specialists.`)
  return child
}

export const get = (h: Harness, { id, thread_id }: Place) => h.client.beta.threads.runs.retrieve(id, { thread_id })

/** Resolves when a run has this status, without any help of the clock. */
export const becomes = (h: Harness, of: Place, status: Run['status'], timeout = 2000) =>
  expect.poll(async () => (await h.services.store.runs.get(of.thread_id, of.id))?.status, { timeout }).toBe(status)

/** What the model was told by the call of its last turn. */
export const lastTold = (h: Harness) => toldIn(h, h.backend.requests.length - 1).at(-1)

/** Resolves when the first words of an answer have arrived: from then on nothing is committed until its end. */
export const speaks = (h: Harness, of: Place) =>
  expect.poll(async () => (await madeBy(h.client, of)).messages.length).toBe(1)

/** A run whose specialist is in the middle of its answer. */
export async function withSpecialist(h: Harness) {
  const { turn, held } = holding('It ', 'is ')
  const lead = await askLead(h)
  h.backend.turns = [handingOver({}), turn]
  const begun = await lead.run()
  const exchange = await held
  const child = await onlyChild(h.client, begun)
  await speaks(h, child)
  return { lead, begun, exchange, child }
}

/** A run whose specialist waits for one of its own, which is in the middle of its answer. */
export async function withGrandchild(h: Harness) {
  const { turn, held } = holding('It ', 'is ')
  const lead = await askLead(h)
  h.backend.turns = [handingOver({ tools: ['create_specialist'] }), handingOver({}), turn]
  const begun = await lead.run()
  const exchange = await held
  const child = await onlyChild(h.client, begun)
  const grandchild = await onlyChild(h.client, child)
  await speaks(h, grandchild)
  return { lead, begun, exchange, child, grandchild }
}

/** A run whose specialist is in the middle of its answer, and which waits for another tool as well. */
export async function withTwoTools(h: Harness) {
  const { turn, held } = holding('It ')
  const lead = await askLead(h, { tools: [specialistTool, toolOf('waiting')] })
  h.backend.turns = [({ calls }) => calls({ name: 'waiting', arguments: '{}' }, specialistCall()), turn]
  const begun = await lead.run()
  const exchange = await held
  const child = await onlyChild(h.client, begun)
  await speaks(h, child)
  return { begun, exchange, child }
}

/** The only place taken by some run, behind which the specialist of another one waits. */
export async function withQueuedSpecialist() {
  const h = await startApp({ env: { RUN_CONCURRENCY: '1' } })
  const lead = await askLead(h)
  const [first, filling] = [holding(), holding('a')]
  h.backend.turns = [first.turn, filling.turn]
  const begun = await lead.run()
  const asking = await first.held
  const filler = await (await converse(h.client)).run()
  asking.calls(specialistCall())
  const exchange = await filling.held
  const child = await onlyChild(h.client, begun)
  expect(await get(h, child)).toMatchObject({ status: 'queued' })
  return { h, begun, child, filler, exchange }
}

/** Resolves soon, or not at all: no clock must be needed for it. */
export const closed = (exchange: { closed: Promise<void> }) => {
  let isClosed = false
  void exchange.closed.then(() => {
    isClosed = true
  })
  return expect.poll(() => isClosed).toBe(true)
}
