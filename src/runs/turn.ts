import { type Clock, seconds } from '../clock.ts'
import type { Completer, CompletionChunk } from '../completer/completer.ts'
import { noUsage, sumOf, type Usage } from '../schemas/usage.ts'
import type { RunChange, Store } from '../store/store.ts'
import type { Recorder } from './commit.ts'
import { Draft } from './draft.ts'
import type { Hand } from './hand.ts'
import { requestFor } from './prompt.ts'

export interface TurnContext {
  store: Store
  recorder: Recorder
  completer: Completer
  clock: Clock
}

/** A change in the middle of a turn was refused: the run has moved, or is somebody else's by now. */
export class RefusedError extends Error {}

type End = Extract<CompletionChunk, { type: 'end' }>

/**
 * One model call: its prompt, its answer piece by piece, and the change that ends it. Rejects with a CompletionError,
 * with the signal's reason, or with RefusedError; what has come by then is in `hand.draft`.
 */
export async function takeTurn(hand: Hand, { store, recorder, completer, clock }: TurnContext): Promise<RunChange> {
  const { run } = hand.state
  const { type, last_messages } = run.truncation_strategy
  const limit = type === 'last_messages' ? (last_messages ?? undefined) : undefined
  const request = requestFor(run, await store.runs.conversation(run, limit), tokensLeft(hand))
  const draft = new Draft(run, clock)
  hand.draft = draft

  const open = async (change: RunChange) => {
    const commit = await recorder.commit(run.id, change, hand.lease_id)
    if (!commit.applied) throw new RefusedError()
    hand.state = commit.state
    draft.opened(change)
  }

  let end: End = { type: 'end', finish_reason: 'stop', usage: noUsage }
  for await (const chunk of completer.complete(request, hand.signal)) {
    if (chunk.type === 'end') {
      end = chunk
    } else if (chunk.type === 'tool_call') {
      // Some backends do not know the parameter; what they call too much, the model can call in the next turn.
      if (!run.parallel_tool_calls && draft.isFurtherCall(chunk)) continue
      if (!draft.hasCalls) await open(draft.openCalls())
      for (const delta of draft.addCall(chunk)) recorder.publishDelta(hand.state, delta)
    } else {
      if (!draft.hasMessage) await open(draft.openMessage())
      recorder.publishDelta(hand.state, draft.addText(chunk.type, chunk.text))
    }
  }
  // Even an answer without a word is an answer.
  if (!draft.hasCalls && !draft.hasMessage) await open(draft.openMessage())
  return endOfTurn(hand, draft, end, seconds(clock))
}

function tokensLeft({ state: { run, spent } }: Hand): number | null {
  return run.max_completion_tokens === null ? null : run.max_completion_tokens - spent.completion_tokens
}

function endOfTurn(hand: Hand, draft: Draft, { finish_reason, usage }: End, now: number): RunChange {
  const spent = sumOf(hand.state.spent, usage)
  if (draft.hasCalls) return { to: 'requires_action', spent, save: draft.finish(usage), patch: required(draft) }

  if (finish_reason === 'length') {
    return incomplete(spent, now, 'max_completion_tokens', draft.finish(usage, 'max_tokens'))
  }
  if (finish_reason === 'content_filter') {
    const message = 'The content filter of the model backend stopped the answer.'
    return {
      to: 'failed',
      spent,
      save: draft.finish(usage, 'content_filter'),
      patch: { usage: spent, failed_at: now, expires_at: null, last_error: { code: 'server_error', message } },
    }
  }
  return {
    to: 'completed',
    spent,
    save: draft.finish(usage),
    patch: { usage: spent, completed_at: now, expires_at: null },
  }
}

/** A run that has used up a budget. */
export function incomplete(
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

function required(draft: Draft): RunChange['patch'] {
  const tool_calls = draft.calls.map(({ id, type, function: { name, arguments: args } }) => ({
    id,
    type,
    function: { name, arguments: args },
  }))
  return { required_action: { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls } } }
}
