import type { Run } from '../schemas/runs.ts'
import type { Conversation, Earlier } from '../store/store.ts'
import { earlierTurns, isCalls, madeTurns, type Turn, withoutReasoning } from './history.ts'
import type { Room } from './room.ts'

/** Messages of a thread that are read at once, at first and later: most prompts need no more than the first. */
export const firstPage = 100
const nextPage = 2000

export interface Selection {
  /** Oldest first, here as below. */
  earlier: Turn[]
  made: Turn[]
}

/**
 * What of a conversation a model call is made of: the newest message and the run's newest answer in any case, then what
 * else the run has made, then what was said before, all from the newest on, as long as there is room. Undefined if there
 * is no room for what has to be sent. `mayDropThoughts`: of that answer, if there is no room for it otherwise.
 */
export async function select(
  conversation: Conversation,
  room: Room,
  run: Run,
  more: (older: number, limit: number) => Promise<Earlier>,
  mayDropThoughts = false,
): Promise<Selection | undefined> {
  const made = madeTurns(conversation).reverse()
  const pages = newestFirst(conversation, run, more)
  const first = (await pages.next()).value ?? []
  if (first[0] && !(await room.requireTurn(first[0]))) return undefined
  const answer = made[0] && (await withRoom(made[0], room, mayDropThoughts))
  if (made[0] && !answer) return undefined

  const keptMade = [...(answer ? [answer] : []), ...(await room.fill(made.slice(1)))]
  const keptEarlier = first.slice(0, 1)
  // No page is read that nothing can be taken of.
  let page: Turn[] | undefined = keptMade.length < made.length ? undefined : first.slice(1)
  while (page) {
    const kept = await room.fill(page)
    keptEarlier.push(...kept)
    page = kept.length < page.length ? undefined : (await pages.next()).value
  }
  return { earlier: keptEarlier.reverse(), made: keptMade.reverse() }
}

async function withRoom(turn: Turn, room: Room, mayDropThoughts: boolean): Promise<Turn | undefined> {
  if (await room.requireTurn(turn)) return turn
  const bare = turn.map(withoutReasoning)
  return mayDropThoughts && (await room.requireTurn(bare)) ? bare : undefined
}

/** The turns before the run, read as they are asked for. No page is empty. */
async function* newestFirst(
  first: Earlier,
  run: Run,
  more: (older: number, limit: number) => Promise<Earlier>,
): AsyncGenerator<Turn[], undefined> {
  let page = first
  let wanted = wantedMessages(run) - first.before.length
  for (;;) {
    const turns = earlierTurns(page, run.model)
    const goesOn = page.older !== undefined && wanted > 0
    const oldest = turns[0]?.find((item) => !isCalls(item))?.run_id
    // The older part of this run may be on the next page.
    const isCut = goesOn && typeof oldest === 'string'
    const whole = turns.slice(isCut ? 1 : 0).reverse()
    if (whole.length > 0) yield whole
    if (page.older === undefined || wanted <= 0) return undefined
    const rest = isCut ? page.before.filter(({ run_id }) => run_id === oldest) : []
    const stepsOfRest = page.beforeSteps.filter(({ run_id }) => isCut && run_id === oldest)
    const next = await more(page.older, Math.min(nextPage, wanted))
    wanted -= next.before.length
    const isThere = next.before.some(({ run_id }) => isCut && run_id === oldest)
    page = {
      before: [...next.before, ...rest],
      beforeSteps: isThere ? next.beforeSteps : [...next.beforeSteps, ...stepsOfRest],
      older: next.older,
    }
  }
}

/** How many messages of a thread its run wants. */
export function wantedMessages({ truncation_strategy: { type, last_messages } }: Run): number {
  return type === 'last_messages' ? (last_messages ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY
}
