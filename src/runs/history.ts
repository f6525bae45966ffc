import { withoutMarks } from '../retrieval/cite.ts'
import { callsOf, withCalls } from '../schemas/run-steps.ts'
import type { Conversation, Done, Earlier, Said } from '../store/store.ts'

/** A message, or calls with their outputs. */
export type Item = Said | Done

/** What the model is sent all together or not at all: never an output without its call. */
export type Turn = readonly Item[]

export const isCalls = (item: Item): item is Done => item.object === 'thread.run.step'

/** A message of the client's is a turn; of an earlier run, all that it said and called. */
export function earlierTurns({ before, beforeSteps }: Pick<Earlier, 'before' | 'beforeSteps'>, model: string): Turn[] {
  const stepsOf = Map.groupBy(beforeSteps, ({ run_id }) => run_id)
  const turns: Said[][] = []
  for (const message of before) {
    const last = turns.at(-1)
    if (message.run_id !== null && last?.[0]?.run_id === message.run_id) last.push(message)
    else turns.push([message])
  }
  return turns.map((turn) => {
    const steps = stepsOf.get(turn[0]?.run_id ?? '')
    const messages = turn.map(withoutCitations)
    return steps ? inOrder(messages, steps, model) : messages
  })
}

/** Of the run itself: each answer of the model with the outputs of its calls. */
export function madeTurns({ steps, messages }: Pick<Conversation, 'steps' | 'messages'>): Turn[] {
  const made = new Map(messages.map((message) => [message.id, message]))
  const turns: Item[][] = []
  let isOpen = false
  for (const step of steps) {
    const item = itemOf(step, made)
    if (!item) continue
    if (isOpen) turns.at(-1)?.push(item)
    else turns.push([item])
    isOpen = !isCalls(item)
  }
  return turns
}

function inOrder(messages: readonly Said[], steps: readonly Done[], model: string): Item[] {
  const known = new Map(messages.map((message) => [message.id, message]))
  const items = steps.map((step) => itemOf(withoutOthers(withoutSearches(step), model), known))
  // Where the first messages of the run are not sent, neither is what it called before them.
  const cut = items.findLastIndex((item, at) => item === undefined && steps[at]?.type === 'message_creation')
  return items
    .slice(cut + 1)
    .filter((item) => item !== undefined && (!isCalls(item) || callsOf(item).length > 0)) as Item[]
}

function itemOf(step: Done, messages: ReadonlyMap<string, Said>): Item | undefined {
  const details = step.step_details
  return details.type === 'tool_calls' ? step : messages.get(details.message_creation.message_id)
}

/** What the backend of the model that made these calls wants back with them. */
export const reasoningOf = ({ step_details: details }: Done) =>
  details.type === 'tool_calls' ? details.reasoning : undefined

/** To other models it means nothing, and signatures would be wrong. */
function withoutOthers(step: Done, model: string): Done {
  const reasoning = reasoningOf(step)
  return !reasoning || reasoning.model === model ? step : withoutReasoning(step)
}

export const withoutReasoning = <T extends Item>(item: T): T =>
  isCalls(item) && reasoningOf(item)
    ? { ...item, step_details: { type: 'tool_calls', tool_calls: callsOf(item) } }
    : item

/** What was found for an earlier question is long, and its marks would stand for other passages now. */
function withoutSearches(step: Done): Done {
  return withCalls(
    step,
    callsOf(step).filter(({ type }) => type !== 'file_search'),
  )
}

/** What was cited in earlier runs is not at hand any more, and the model would only copy its marks. */
const withoutCitations = (message: Said): Said => ({
  ...message,
  content: message.content.map((part) =>
    part.type === 'text' && part.text.annotations.length > 0
      ? { ...part, text: { value: withoutMarks(part.text.value, part.text.annotations), annotations: [] } }
      : part,
  ),
})
