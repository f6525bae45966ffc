import { seconds } from '../clock.ts'
import {
  type CompletionChunk,
  CompletionError,
  type CompletionRequest,
  type Models,
  WindowError,
} from '../completer/completer.ts'
import type { Delta } from '../schemas/events.ts'
import { noUsage, sumOf, type Usage } from '../schemas/usage.ts'
import type { Conversation, Open, RunChange } from '../store/store.ts'
import { figuresOf, pathsOf } from '../tools/code-results.ts'
import { sourcesOf } from '../tools/file-search.ts'
import { nameOf, type RunTools, type ToolRegistry } from '../tools/registry.ts'
import { type ComposeContext, compose, type Prompt } from './compose.ts'
import { Draft, type Material } from './draft.ts'
import { budgetOf, type Hand } from './hand.ts'
import { firstPage, wantedMessages } from './select.ts'
import { answerCalls, type RoundContext, requiredAction } from './tool-round.ts'

export interface TurnContext extends RoundContext, ComposeContext {
  tools: ToolRegistry
  /** A run whose model calls tools more often fails: it would hardly come to an answer. */
  maxRounds: number
  completer: Models
}

/** How much of the window is used, at first and after a refusal: other encodings may need more tokens than were counted. */
const windowShares = [1, 0.9, 0.6]

type End = Extract<CompletionChunk, { type: 'end' }>

/**
 * What the run does next: answers the calls that are its own to answer, or makes one model call, from its prompt to the
 * change that ends it. Rejects with a CompletionError, with the signal's reason, or with RefusedError; what has come by
 * then is in `hand.draft`.
 */
export async function takeTurn(hand: Hand, context: TurnContext): Promise<RunChange> {
  const { store, tools, clock } = context
  const { run, spent } = hand.state
  hand.draft = undefined
  const conversation = await store.runs.conversation(run, Math.min(firstPage, wantedMessages(run)))
  const ours = tools.of(run)
  // The model may have gone on to speak after its calls.
  const called = conversation.steps.findLast(({ type, status }) => type === 'tool_calls' && status === 'in_progress')
  if (called) return answerCalls(hand, called, conversation, ours, context)
  const reason = exhausted(hand)
  if (reason) return incomplete(spent, seconds(clock), reason)
  if (conversation.steps.length === 0 && run.tool_choice !== 'none') {
    const aside = <T>(waiting: Promise<T>) => {
      // It will have another before the queue.
      hand.takePlace()?.leave()
      return hand.aside(waiting)
    }
    for (const tool of ours.values()) await tool.ready(run, { signal: hand.signal, aside })
  }
  if (conversation.steps.filter((step) => step.type === 'tool_calls').length >= context.maxRounds) {
    const message = `The model called tools ${context.maxRounds} times without coming to an answer.`
    throw new CompletionError('server_error', message)
  }
  return ask(hand, conversation, ours, context)
}

/** Makes the call, with a shorter prompt if the backend refuses it as too long. */
async function ask(hand: Hand, conversation: Conversation, ours: RunTools, context: TurnContext): Promise<RunChange> {
  const { run, spent } = hand.state
  let refused: WindowError | undefined
  let most: number | undefined
  for (const share of windowShares) {
    const prompt = await compose(hand, conversation, ours, context, { share, most }).catch((error) => {
      // A guess is no reason.
      throw most !== undefined && error instanceof WindowError ? refused : error
    })
    if (!prompt) return incomplete(spent, seconds(context.clock), 'max_prompt_tokens')
    try {
      const draft = new Draft(run, context.clock, ours, materialOf(conversation, ours))
      return await callModel(hand, prompt, draft, ours, context)
    } catch (error) {
      if (!(error instanceof WindowError)) throw error
      refused = error
      // Where it has told its window, the completer knows it by now.
      if (error.window === undefined) most = Math.floor(bytesIn(prompt.request) / (2 * bytesPerToken))
    }
  }
  throw refused
}

/** Of what people write in English; there are fewer in most other texts, so that a guess by it is a cautious one. */
const bytesPerToken = 4

const bytesIn = ({ messages }: CompletionRequest) =>
  messages.reduce((sum, { content }) => sum + (typeof content === 'string' ? Buffer.byteLength(content) : 0), 0)

async function callModel(
  hand: Hand,
  { request, onUsage }: Prompt,
  draft: Draft,
  ours: RunTools,
  { recorder, completer, clock }: TurnContext,
) {
  const { run } = hand.state
  // A run of the queue has come with its place; later turns ask for theirs, and are before the queue.
  const gate = completer.gateOf(run.model)
  const place = hand.takePlace() ?? gate?.take(hand) ?? (await gate?.enter(hand))
  hand.draft = draft

  const open = async (change: RunChange) => {
    await hand.commit(recorder, change)
    draft.opened(change)
  }
  const publish = (deltas: readonly Delta[]) => {
    for (const delta of deltas) recorder.publishDelta(hand.state, delta)
  }

  const openMessage = async () => {
    await open(draft.openMessage())
    publish(draft.addFigures())
  }

  let end: End = { type: 'end', finish_reason: 'stop', usage: noUsage }
  try {
    for await (const chunk of completer.complete(request, hand.signal, place)) {
      if (chunk.type === 'end') {
        end = chunk
        draft.keep(chunk.reasoning)
        if (!chunk.isEstimate) onUsage(chunk.usage.prompt_tokens)
      } else if (chunk.type === 'tool_call') {
        // Some backends do not know the parameter; what they call too much, the model can call in the next turn.
        if (!run.parallel_tool_calls && draft.isFurtherCall(chunk)) continue
        if (!draft.hasCalls) {
          publish(draft.endText())
          await open(draft.openCalls())
        }
        publish(draft.addCall(chunk))
      } else {
        if (!draft.hasMessage) await openMessage()
        publish(draft.addText(chunk.type, chunk.text))
      }
    }
  } finally {
    place?.leave()
  }
  // Even an answer without a word is an answer.
  if (!draft.hasCalls && !draft.hasMessage) await openMessage()
  publish(draft.endText())
  return endOfTurn(hand, draft, end, ours, seconds(clock))
}

const materialOf = ({ before, beforeSteps, steps, messages }: Conversation, ours: RunTools): Material => ({
  sources: ours.has('file_search') ? sourcesOf(steps) : undefined,
  paths: pathsOf(before, [...beforeSteps, ...steps]),
  figures: figuresOf(steps, messages),
})

function exhausted({ state }: Hand) {
  const { max_completion_tokens, max_prompt_tokens } = budgetOf(state)
  if (max_completion_tokens === 0) return 'max_completion_tokens'
  if (max_prompt_tokens === 0) return 'max_prompt_tokens'
  return undefined
}

function endOfTurn(hand: Hand, draft: Draft, { finish_reason, usage }: End, ours: RunTools, now: number): RunChange {
  const spent = sumOf(hand.state.spent, usage)
  if (finish_reason === 'content_filter') return filtered(spent, now, draft.finish(usage, 'content_filter'))
  if (draft.hasCalls) {
    const save = draft.finish(usage)
    // Calls of ours are answered first; the run is not done with this step.
    if (draft.calls.some((call) => ours.has(nameOf(call)))) return { spent, save }
    return { to: 'requires_action', spent, save, patch: { required_action: requiredAction(draft.calls) } }
  }

  if (finish_reason === 'length') {
    return incomplete(spent, now, 'max_completion_tokens', draft.finish(usage, 'max_tokens'))
  }
  return {
    to: 'completed',
    spent,
    save: draft.finish(usage),
    patch: { usage: spent, completed_at: now, expires_at: null },
  }
}

/** What was stopped in the middle of its calls makes none: nobody knows what they would have been. */
function filtered(spent: Usage, now: number, { steps, messages }: Open): RunChange {
  const last_error = {
    code: 'server_error' as const,
    message: 'The content filter of the model backend stopped the answer.',
  }
  const failed = { status: 'failed' as const, failed_at: now, last_error }
  return {
    to: 'failed',
    spent,
    save: {
      steps: steps.map((step) =>
        step.type === 'tool_calls' ? { ...step, ...failed, usage: step.spent ?? noUsage } : step,
      ),
      messages,
    },
    patch: { usage: spent, failed_at: now, expires_at: null, last_error },
  }
}

/** A run that has used up a budget. */
function incomplete(
  spent: Usage,
  now: number,
  reason: 'max_completion_tokens' | 'max_prompt_tokens',
  save?: RunChange['save'],
): RunChange {
  return {
    to: 'incomplete',
    spent,
    ...(save && { save }),
    patch: { usage: spent, completed_at: now, expires_at: null, incomplete_details: { reason } },
  }
}
