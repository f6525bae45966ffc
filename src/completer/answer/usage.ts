import { setImmediate as turn } from 'node:timers/promises'
import type { Usage } from '../../schemas/usage.ts'
import type { CompletionRequest } from '../completer.ts'
import { encodingOf, loadCounter } from '../encodings.ts'
import { isCount, isRecord, type RawChoice, type RawChunk } from './raw.ts'

/** What the model has written. */
export interface Written {
  /** The answer with its calls, and with the thoughts that came in it. */
  answer: string
  /** Those thoughts. */
  thoughts: string
  /** Thoughts that came apart from the answer. */
  reasoning: string
}

/** Tokens that a chat format puts around each message, and a picture of low detail: as OpenAI's models count them. */
const perMessage = 4
const perPicture = 85
/** Counting is done in parts of this many characters, and others get their turn in between. */
const partLength = 20_000

/** The usage that a chunk has: beside its choices, where Moonshot puts it within one, or where Groq puts it. */
export function usageIn(chunk: RawChunk, choice: RawChoice | undefined): Record<string, unknown> | undefined {
  const given = chunk.usage ?? choice?.usage ?? (isRecord(chunk.x_groq) ? chunk.x_groq.usage : undefined)
  return isRecord(given) ? given : undefined
}

/** The usage as the backend counts it. What it leaves out, or counts as 0 though there is something, is counted here. */
export async function usageOf(
  given: Record<string, unknown> = {},
  request: CompletionRequest,
  { answer, thoughts, reasoning }: Written,
): Promise<Usage> {
  const prompt = numberIn(given.prompt_tokens)
  const completion = numberIn(given.completion_tokens)
  const prompt_tokens = prompt || (await countPrompt(request))
  const completion_tokens = completion || (await count(request.model, [answer, reasoning]))
  const reasoning_tokens = completion
    ? numberIn(detailsIn(given.completion_tokens_details).reasoning_tokens)
    : await count(request.model, [thoughts, reasoning])
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: (prompt && completion && numberIn(given.total_tokens)) || prompt_tokens + completion_tokens,
    prompt_token_details: {
      // The second is DeepSeek's.
      cached_tokens: numberIn(detailsIn(given.prompt_tokens_details).cached_tokens ?? given.prompt_cache_hit_tokens),
    },
    completion_tokens_details: { reasoning_tokens },
  }
}

/** Whether the backend has counted the prompt. */
export const hasPrompt = (given: Record<string, unknown> = {}) => numberIn(given.prompt_tokens) > 0

const detailsIn = (value: unknown) => (isRecord(value) ? value : {})

function numberIn(value: unknown): number {
  const whole = typeof value === 'number' ? Math.trunc(value) : 0
  return isCount(whole) ? whole : 0
}

async function countPrompt({ model, messages, tools }: CompletionRequest): Promise<number> {
  const texts: string[] = tools.length > 0 ? [JSON.stringify(tools)] : []
  let tokens = messages.length * perMessage
  for (const message of messages) {
    for (const part of [message.content ?? []].flat()) {
      if (typeof part === 'string') texts.push(part)
      else if (part.type === 'text') texts.push(part.text)
      else tokens += perPicture
    }
    if ('tool_calls' in message && message.tool_calls) texts.push(JSON.stringify(message.tool_calls))
  }
  return tokens + (await count(model, texts))
}

/** The encoding takes a while to load, and most backends count by themselves. */
async function count(model: string, texts: readonly string[]): Promise<number> {
  const countTokens = await loadCounter(encodingOf(model).encoding)
  let tokens = 0
  let since = 0
  for (const text of texts) {
    for (let from = 0; from < text.length; from += partLength) {
      const part = text.slice(from, from + partLength)
      tokens += countTokens(part)
      since += part.length
      if (since < partLength) continue
      since = 0
      await turn()
    }
  }
  return tokens
}
