import { BrokenOffError, MuteError } from '../backend-error.ts'
import type { CompletionChunk, CompletionRequest } from '../completer.ts'
import { errorIn, errorOf } from './error-object.ts'
import { type FinishReason, finishReasonOf } from './finish.ts'
import { HarmonyReader } from './harmony.ts'
import { isRecord, type RawChoice, type RawChunk, type RawDelta, textIn } from './raw.ts'
import { ReasoningReader } from './reasoning.ts'
import { ThoughtFilter } from './thinking.ts'
import { ToolCallReader } from './tool-calls.ts'
import { hasPrompt, usageIn, usageOf } from './usage.ts'
import { WrittenCallReader } from './written-calls.ts'

/** Makes one answer out of what a backend sends, whatever it is like. Each kind of repair has a file of its own. */
export class AnswerReader {
  readonly thoughts: ThoughtFilter
  readonly #request: CompletionRequest
  readonly #harmony = new HarmonyReader()
  readonly #calls = new ToolCallReader()
  readonly #reasoning = new ReasoningReader()
  readonly #writtenCalls: WrittenCallReader | undefined
  /** All the text that came. */
  #content = ''
  /** Text that is blank and may have been only what parts thoughts from calls. */
  #blank: string | undefined
  #finishReason: FinishReason | undefined
  #usage: Record<string, unknown> | undefined
  /** The last chunk was nothing but the usage, as it comes at the end. Some servers send it with each piece. */
  #isCounted = false
  /** Some part of an answer has come, if only an empty one. */
  hasBegun = false
  /** The backend has said that nothing follows. */
  isDone = false

  /** `isOpened`: the answers of the model begin within a thought. */
  constructor(request: CompletionRequest, isOpened: boolean) {
    this.#request = request
    this.thoughts = new ThoughtFilter(isOpened)
    const { tools, tool_choice } = request
    if (tools.length === 0 || tool_choice === 'none') return
    this.#writtenCalls = new WrittenCallReader(new Map(tools.map((tool) => [tool.function.name, tool.function])))
    this.#blank = ''
  }

  /** Nothing at all was said, thought or called. */
  get isEmpty(): boolean {
    return this.#content === '' && this.#reasoning.text === '' && !this.hasCalls
  }

  get hasCalls(): boolean {
    return this.#calls.hasCalls
  }

  /** Nothing but the usage can follow. */
  get isFinished(): boolean {
    return this.isDone || this.#finishReason !== undefined
  }

  /** What is certain after one more chunk. Throws an APIError if that is an error. */
  push(raw: unknown, headers: Headers): CompletionChunk[] {
    const given: unknown = Array.isArray(raw) ? raw[0] : raw
    if (!isRecord(given)) return []
    const chunk: RawChunk = given
    const error = errorIn(chunk, headers)
    if (error) throw error
    const choice =
      Array.isArray(chunk.choices) && isRecord(chunk.choices[0]) ? (chunk.choices[0] as RawChoice) : undefined
    const usage = usageIn(chunk, choice)
    this.#usage = usage ?? this.#usage
    this.#isCounted = usage !== undefined && this.hasBegun && isBare(choice)
    if (!choice) return []
    this.hasBegun = true
    const out: CompletionChunk[] = []
    if (isRecord(choice.delta)) this.#read(choice.delta, out)
    else if (isRecord(choice.message)) this.#readMessage(choice.message, out)
    if (choice.finish_reason) {
      const reason = finishReasonOf(choice.finish_reason)
      if (reason === 'error' || choice.error) {
        throw errorOf({ error: choice.error ?? 'It ended its answer by an error.' }, headers)
      }
      this.#finishReason = reason
    }
    return out
  }

  /** The rest. Rejects with a BrokenOffError if the backend cannot have meant to end here. */
  async end(): Promise<CompletionChunk[]> {
    if (!this.hasBegun) throw new MuteError()
    if (!(this.isFinished || this.#isCounted)) {
      throw new BrokenOffError('The model backend broke off its answer.')
    }
    const isCutOff = this.#finishReason === 'length'
    const out: CompletionChunk[] = []
    this.#answer(this.thoughts.push(this.#harmony.end()), out)
    this.#answer(this.thoughts.end(isCutOff), out)
    if (this.#writtenCalls) this.#say(this.#writtenCalls.end(isCutOff), out)
    out.push(...this.#calls.end(isCutOff))
    const answer = this.#content + this.#calls.text
    // After all text: a message ends where calls begin.
    for (const call of this.#writtenCalls?.calls ?? []) out.push(...this.#calls.add(call))
    const { hasCalls } = this.#calls
    if (this.#blank && !hasCalls) out.push({ type: 'text', text: this.#blank })
    const thoughts = this.#harmony.thought + this.thoughts.thought
    const usage = await usageOf(this.#usage, this.#request, { answer, thoughts, reasoning: this.#reasoning.text })
    // Many say `stop` with calls, and some `tool_calls` without.
    const normal = hasCalls ? 'tool_calls' : 'stop'
    const isNormal = this.#finishReason === 'stop' || this.#finishReason === 'tool_calls'
    const finish_reason = isNormal ? normal : (this.#finishReason ?? normal)
    const reasoning = hasCalls ? { message: this.#reasoning.message, calls: this.#calls.extras } : undefined
    const isEstimate = !hasPrompt(this.#usage)
    out.push({ type: 'end', finish_reason, usage, isEstimate, reasoning })
    return out
  }

  #read(delta: RawDelta, out: CompletionChunk[]) {
    const { content, refusal, tool_calls, function_call } = delta
    if (this.#reasoning.push(delta)) this.thoughts.thinksElsewhere()
    if (content) {
      const text = textIn(content)
      this.#content += text
      this.#answer(this.thoughts.push(this.#harmony.push(text)), out)
    }
    if (typeof refusal === 'string' && refusal !== '') {
      this.#content += refusal
      out.push({ type: 'refusal', text: refusal })
    }
    if (!tool_calls && !function_call) return
    for (const call of [tool_calls || function_call].flat()) {
      out.push(...this.#calls.push(call))
      // Blank text after calls would become a message of its own.
      if (this.#writtenCalls) this.#blank ??= ''
    }
  }

  /** A whole message. Some servers send one at the end of what they have streamed already. */
  #readMessage(message: RawDelta, out: CompletionChunk[]) {
    const isRepeated = this.#content !== '' && textIn(message.content) === this.#content
    this.#read(isRepeated ? { ...message, content: '' } : message, out)
  }

  /** What is no thought. */
  #answer(text: string, out: CompletionChunk[]) {
    if (text !== '') this.#say(this.#writtenCalls ? this.#writtenCalls.push(text) : text, out)
  }

  /** What is no written call either. */
  #say(text: string, out: CompletionChunk[]) {
    if (text === '') return
    if (this.#blank !== undefined) {
      this.#blank += text
      if (text.trim() === '') return
    }
    out.push({ type: 'text', text: this.#blank ?? text })
    this.#blank = undefined
  }
}

/** Whether nothing of an answer is in it. */
function isBare(choice: RawChoice | undefined): boolean {
  const { role: _, ...said } = { role: '', ...(choice?.delta ?? choice?.message ?? {}) }
  return Object.values(said).every((value) => !value || (Array.isArray(value) && value.length === 0))
}
