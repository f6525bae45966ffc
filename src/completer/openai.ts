import OpenAI from 'openai'
import { BoundedMap, mostModels } from '../bounded-map.ts'
import type { Model } from '../schemas/models.ts'
import { AnswerReader } from './answer/answer.ts'
import { errorBody } from './answer/error-object.ts'
import { defaultIdleMs, type IdleMs, stalled } from './answer/idle.ts'
import { isCount, isRecord } from './answer/raw.ts'
import { readAnswer } from './answer/response.ts'
import { ThinkingModels } from './answer/thinking.ts'
import { completionError, MuteError, type Whereabouts } from './backend-error.ts'
import { type Completer, type CompletionRequest, WindowError } from './completer.ts'
import { createEmbedder, type Embedder } from './embeddings.ts'
import type { Place } from './gate.ts'
import { type Abilities, KnownAbilities } from './request/abilities.ts'
import { paramsOf } from './request/params.ts'
import { Quirks } from './request/quirks.ts'
import { lessonOf } from './request/refusal.ts'
import { refusedLength, Windows } from './request/windows.ts'
import { isLoading, mayRetry, type Patience } from './retry.ts'
import { fetchDirectly, within } from './transport.ts'

export interface BackendOptions extends Patience, Pick<Whereabouts, 'keyIn' | 'urlIn'> {
  baseURL?: string | undefined
  apiKey: string
  /** Sent with every call. */
  headers?: Record<string, string>
  /** How long the backend may be silent. How long a call may take in all, the run decides. */
  idleMs?: Partial<IdleMs>
  /** Hears once of what a model turns out not to be able to do. */
  onLearned?(model: string, lesson: Partial<Abilities>): void
}

/** A request with the model by the backend's own name. */
export interface BackendRequest extends CompletionRequest {
  /** The name that the run has. */
  asked?: string
  /** What the operator says of the model. */
  can?: Partial<Abilities> | undefined
}

/** The models that a backend lists, its answers, and the vectors of its embedding models. */
export interface Backend extends Completer {
  models(): Promise<Model[]>
  complete(request: BackendRequest, signal: AbortSignal, place?: Place): ReturnType<Completer['complete']>
  /** `said`: what the operator says it is. */
  windowOf(model: string, said?: number): Promise<number | undefined>
  /** To be made once and kept: it learns how many texts the backend takes at once. */
  embedder(model: string): Embedder
}

/** The SDK finds the words of an error only where OpenAI has them. */
class BackendClient extends OpenAI {
  protected override makeStatusError(status: number, body: object, message: string | undefined, headers: Headers) {
    return super.makeStatusError(status, body && errorBody(body), message, headers)
  }
}

export function connect(options: BackendOptions): Backend {
  const { baseURL, apiKey, headers = {}, onLearned = () => {}, keyIn, urlIn, maxRetries, backoffMs } = options
  // What the SDK cannot parse it would print, and that is what somebody said.
  const client = new BackendClient({
    ...{ baseURL, apiKey, defaultHeaders: headers, maxRetries: 0, logLevel: 'off', fetch: fetchDirectly },
  })
  const patience = { maxRetries, backoffMs }
  const idleMs = { ...defaultIdleMs, ...options.idleMs }
  const whereabouts = { ...(keyIn && { keyIn }), ...(urlIn && { urlIn }) }
  const thinking = new ThinkingModels()
  const known = new KnownAbilities()
  const list = (ms: number) => within(ms, async (signal) => listIn(await client.get('/models', { signal })))
  const windows = new Windows(list, client.baseURL)
  /** Models that can. */
  const streamCalls = new BoundedMap<string, true>(mostModels)
  const quirks = new Quirks(client, () => windows.owners())

  async function send(params: ReturnType<typeof paramsOf>, key: string | undefined, signal: AbortSignal) {
    const own = key === undefined ? undefined : { headers: { authorization: `Bearer ${key}` } }
    const { first } = idleMs
    // Of a refusal the whole is read, of an answer no more than the headers.
    const ask = (either: AbortSignal) =>
      client.chat.completions.create(params, { signal: either, timeout: first, ...own }).asResponse()
    return within(first, ask, signal)
  }

  /** The same without what was refused, if that can be left out; throws what is worth no other try. */
  function afterRefusal(failure: unknown, model: string, sent: ReturnType<typeof paramsOf>, now: Adapted) {
    if (failure instanceof MuteError && mayBeMute(sent)) return adaptedBy(now, { toolsInStream: false })
    const length = refusedLength(failure)
    if (length) {
      if (length.tokens !== undefined) windows.learn(model, length.tokens)
      throw new WindowError((failure as Error).message.replace(/^\d{3} /, ''), length.tokens, { cause: failure })
    }
    if (now.refusals === mostRefusals) return undefined
    const lesson = lessonOf(failure, sent, now.can, now.lessons)
    return lesson && adaptedBy(now, lesson)
  }

  return {
    async models() {
      const data = await list(10_000)
      windows.see(data)
      return data.flatMap(modelIn)
    },

    windowOf: async (model, said) => windows.of(model, said ?? (await quirks.windowOf(model))),

    embedder: (model) => createEmbedder(client, { ...whereabouts, model }, patience),

    async *complete(request, signal, given) {
      const { model, client_key } = request
      // A limit is that of the client's key, and is no news for those who bring another.
      const place = given && client_key !== undefined ? { ...given, limited: given.answered } : given
      const can = known.of(model, { ...(await quirks.of(request)), ...request.can })
      let adapted: Adapted = { can, lessons: {}, refusals: 0 }
      let params = paramsOf(request, adapted.can)
      const attempts = { loading: 0, failed: 0 }
      for (;;) {
        let begun = false
        try {
          const response = await send(params, client_key, signal)
          const answer = new AnswerReader(request, thinking.areOpened(model))
          for await (const chunk of readAnswer(response, answer, idleMs)) {
            if (!begun) place?.answered()
            if (chunk.type === 'end' && answer.isEmpty && mayBeMute(params) && !streamCalls.has(model))
              throw new MuteError()
            // What did not help was no lesson.
            if (!begun && !answer.isEmpty && known.learn(model, adapted.lessons)) onLearned(model, adapted.lessons)
            begun = true
            yield chunk
          }
          signal.throwIfAborted()
          thinking.learn(model, answer.thoughts)
          if (answer.hasCalls && params.stream) streamCalls.set(model, true)
          return
        } catch (error) {
          signal.throwIfAborted()
          const failure = error instanceof OpenAI.APIConnectionTimeoutError ? stalled(idleMs.first) : error
          const next = begun ? undefined : afterRefusal(failure, model, params, adapted)
          if (next) {
            adapted = next
            params = paramsOf(request, adapted.can)
            continue
          }
          const attempt = attempts[isLoading(failure) ? 'loading' : 'failed']++
          if (begun || !(await mayRetry(failure, attempt, patience, signal, place))) {
            const { asked } = request
            throw completionError(failure, { ...whereabouts, model, asked, isClientKey: client_key !== undefined })
          }
        }
      }
    },
  }
}

function listIn(answer: unknown): unknown[] {
  if (isRecord(answer) && Array.isArray(answer.data)) return answer.data
  throw new Error('The model backend answered with something that is no list of models.')
}

/** Some backends add keys of their own, or leave out those that are not the id. */
function modelIn(entry: unknown): Model[] {
  if (!isRecord(entry) || typeof entry.id !== 'string') return []
  const { id, created, owned_by } = entry
  return [
    {
      ...{ id, object: 'model', created: isCount(created) ? created : 0 },
      owned_by: typeof owned_by === 'string' ? owned_by : 'backend',
    },
  ]
}

/** Some servers stream nothing while there are tools, though they have an answer. */
const mayBeMute = ({ stream, tools }: ReturnType<typeof paramsOf>) => stream === true && tools !== undefined

/** One that says now this, now that, could teach for ever. */
const mostRefusals = 30

const adaptedBy = ({ can, lessons, refusals }: Adapted, lesson: Partial<Abilities>): Adapted => ({
  refusals: refusals + 1,
  can: { ...can, ...lesson },
  lessons: { ...lessons, ...lesson },
})

/** How a call is put, and what refusals of it have taught. */
interface Adapted {
  can: Abilities
  lessons: Partial<Abilities>
  refusals: number
}
