import { type CompletionRequest, type Models, WindowError } from '../completer/completer.ts'
import type { Conversation, Store } from '../store/store.ts'
import type { RunTools } from '../tools/registry.ts'
import { budgetOf, type Hand } from './hand.ts'
import { isCalls } from './history.ts'
import { picturesIn } from './pictures.ts'
import { requestFor, toolsOf } from './prompt.ts'
import { Room } from './room.ts'
import { select } from './select.ts'
import type { Tokens } from './tokens.ts'

export interface ComposeContext {
  store: Store
  completer: Pick<Models, 'windowOf' | 'nameOf'>
  /** Of a model by the name that its backend has for it. */
  tokensOf(model: string): Tokens
  /** A picture as a data URL; undefined if there is none, or it cannot be shown to a model. */
  pictureOf(file_id: string): Promise<string | undefined>
  /** The backend's key that the client has brought for a run. */
  keyOf(run_id: string): string | undefined
}

/** A model call that is to be made. */
export interface Prompt {
  request: CompletionRequest
  /** Is told how many tokens the backend has counted for it. */
  onUsage(prompt_tokens: number): void
}

/** What may be used of a model's window. */
export interface Fit {
  share: number
  /** No more than these tokens, whatever the window. */
  most: number | undefined
}

/** An answer is left so much of a window that is known, or a quarter of a small one, if the run does not say how much. */
const answerTokens = 4096

/**
 * The next model call of a run, with as much of the conversation as there is room for in its budget and in the model's
 * window, as far as `fit` says. Undefined if the budget does not reach for what has to be sent; rejects with a
 * WindowError if the window does not.
 */
export async function compose(
  hand: Hand,
  conversation: Conversation,
  ours: RunTools,
  { store, completer, tokensOf, pictureOf, keyOf }: ComposeContext,
  fit: Fit = { share: 1, most: undefined },
): Promise<Prompt | undefined> {
  const { run } = hand.state
  const { max_prompt_tokens, max_completion_tokens } = budgetOf(hand.state)
  const [tools, whole] = await Promise.all([toolsOf(run, ours), completer.windowOf(run.model)])
  const window = windowIn(whole, fit)
  const inBudget = max_prompt_tokens ?? Number.POSITIVE_INFINITY
  const inWindow = window === undefined ? Number.POSITIVE_INFINITY : window - reserved(window, max_completion_tokens)
  const tokens = tokensOf(completer.nameOf(run.model))
  const room = new Room(Math.min(inBudget, inWindow), tokens)

  const fixed = [run.instructions ?? '', ...(tools.length > 0 ? [JSON.stringify(tools)] : [])]
  const more = (older: number, limit: number) => store.runs.earlier(run, older, limit)
  // A budget is the client's, and what it is spent for; in the window, long thoughts leave no room for what they were about.
  const isOfWindow = inWindow < inBudget
  const selected = (await room.require(fixed)) ? await select(conversation, room, run, more, isOfWindow) : undefined
  if (!selected) {
    if (!isOfWindow) return undefined
    throw new WindowError(
      `The instructions, the tools and the newest message do not fit into the ${whole} tokens of the model '${run.model}'.`,
      whole,
    )
  }
  const turns = [...selected.earlier, ...selected.made]
  const messages = selected.earlier.flat().filter((item) => !isCalls(item))
  const request = requestFor(run, turns, {
    completionTokens: await answerIn(room, window, max_completion_tokens),
    tools,
    hasCalled: conversation.steps.some((step) => step.type === 'tool_calls'),
    pictures: await picturesIn(messages, pictureOf),
  })
  const counted = await room.counted()
  return {
    request: { ...request, client_key: keyOf(run.id) },
    onUsage(prompt_tokens) {
      // What pictures cost is not known.
      const isText = request.messages.every(({ content }) => !Array.isArray(content))
      if (counted !== undefined && isText) tokens.scale.learn(counted, prompt_tokens)
    },
  }
}

function windowIn(whole: number | undefined, { share, most }: Fit): number | undefined {
  if (whole === undefined) return most
  return Math.min(Math.floor(whole * share), most ?? Number.POSITIVE_INFINITY)
}

/** What may be asked for as an answer: backends refuse what does not fit into the window together with its prompt. */
async function answerIn(room: Room, window: number | undefined, asked: number | null): Promise<number | null> {
  if (window === undefined || asked === null || asked <= reserved(window, asked)) return asked
  return Math.max(1, Math.min(asked, window - (await room.taken())))
}

/** What of a window is for the answer. */
const reserved = (window: number, asked: number | null) => Math.min(asked ?? answerTokens, Math.floor(window / 4))
