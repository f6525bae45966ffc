import type { Clock } from '../clock.ts'
import { seconds } from '../clock.ts'
import type { CompletionChunk, Reasoning } from '../completer/completer.ts'
import { newId } from '../ids.ts'
import type { Piece, SourceOf } from '../retrieval/cite.ts'
import type { Delta } from '../schemas/events.ts'
import type { Message, MessageContent } from '../schemas/messages.ts'
import { type RunStep, shownCall, type ToolCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { noUsage, type Usage } from '../schemas/usage.ts'
import type { Open, RunChange } from '../store/store.ts'
import type { Paths } from '../tools/file-links.ts'
import type { RunTools } from '../tools/registry.ts'
import { type Annotator, annotatorOf } from './annotate.ts'
import { messageDelta, numbered, stepDelta, toldCalls } from './deltas.ts'
import { figurePart, filledWith, newPart } from './message-parts.ts'

type ToolCallChunk = Extract<CompletionChunk, { type: 'tool_call' }>

interface OpenMessage {
  step: RunStep
  /** As committed; never changed, since events hold it. */
  message: Message
  content: MessageContent[]
}

/** What an answer may refer to. */
export interface Material {
  /** What its marks stand for; undefined if it can have none. */
  sources: SourceOf | undefined
  /** Files that it may link to. */
  paths: Paths
  /** Files of figures that no message has shown yet: the next one begins with them. */
  figures: readonly string[]
}

interface OpenCall {
  call: ToolCall
  read: ((piece: string) => object | undefined) | undefined
}

/**
 * One answer of the model as it grows: at most one message, and one step for all its tool calls. Each `open…` gives
 * the change to commit before the deltas of that object go out; `opened` says that it was.
 */
export class Draft {
  readonly #run: Run
  readonly #clock: Clock
  readonly #tools: RunTools
  readonly #material: Material
  #hasFigures = false
  /** Of the text part that grows. */
  #annotator: Annotator | undefined
  #message: OpenMessage | undefined
  #calls: { step: RunStep; byIndex: Map<number, OpenCall> } | undefined
  #reasoning: Reasoning | undefined

  constructor(run: Run, clock: Clock, tools: RunTools, material: Material) {
    this.#run = run
    this.#clock = clock
    this.#tools = tools
    this.#material = material
  }

  get hasMessage() {
    return this.#message !== undefined
  }

  get hasCalls() {
    return this.#calls !== undefined
  }

  openMessage(): RunChange {
    const { id: run_id, thread_id, assistant_id } = this.#run
    const message: Message = {
      id: newId('msg_'),
      object: 'thread.message',
      created_at: seconds(this.#clock),
      assistant_id,
      thread_id,
      run_id,
      status: 'in_progress',
      incomplete_details: null,
      incomplete_at: null,
      completed_at: null,
      role: 'assistant',
      content: [],
      attachments: [],
      metadata: {},
    }
    const step = this.#newStep({ type: 'message_creation', message_creation: { message_id: message.id } })
    return { open: { step, message } }
  }

  /** Ends the message, if there is one: what a turn says comes before what it calls. */
  openCalls(): RunChange {
    const step = this.#newStep({ type: 'tool_calls', tool_calls: [] })
    return { ...(this.#message && { save: this.#endOf(this.#message, noUsage) }), open: { step } }
  }

  /** The change was committed; only now does the draft have what it opens. */
  opened({ open }: RunChange) {
    if (!open) return
    const { step, message } = open
    this.#message = message && { message, step, content: [] }
    if (!message) this.#calls = { step, byIndex: new Map() }
  }

  /** The pictures with which a message begins. */
  addFigures(): Delta[] {
    const open = this.#message
    if (!open || this.#hasFigures) return []
    this.#hasFigures = true
    open.content.push(...this.#material.figures.map(figurePart))
    return numbered(open.content).map((part) => messageDelta(open.message.id, part))
  }

  /** Nothing, while what has come may still become a mark or a link. */
  addText(type: 'text' | 'refusal', text: string): Delta[] {
    if (type === 'refusal') return [...this.endText(), this.#addRefusal(text)]
    this.#annotator ??= annotatorOf(this.#material.sources, this.#material.paths)
    return this.#annotator.push(text).map((piece) => this.#addPiece(piece))
  }

  /** What of the text was held back, at its end. */
  endText(): Delta[] {
    const pieces = this.#annotator?.end() ?? []
    this.#annotator = undefined
    return pieces.map((piece) => this.#addPiece(piece))
  }

  /** A mark or link comes whole, with its annotation. */
  #addPiece({ text: value, annotation }: Piece): Delta {
    const { id, part, index, isNew } = this.#part('text')
    if (part.type !== 'text') throw new Error('The part is no text.')
    const { annotations } = part.text
    part.text.value += value
    const told = annotation && {
      index: annotations.push(annotation) - 1,
      ...annotation,
      // The hosted service sent a quote, too, which was always empty.
      ...(annotation.type === 'file_citation' && { file_citation: { ...annotation.file_citation, quote: '' } }),
    }
    return messageDelta(id, {
      index,
      type: 'text',
      text: { value, ...((isNew || told) && { annotations: told ? [told] : [] }) },
    })
  }

  #addRefusal(refusal: string): Delta {
    const { id, part, index } = this.#part('refusal')
    if (part.type === 'refusal') part.refusal += refusal
    return messageDelta(id, { index, type: 'refusal', refusal })
  }

  /** The last part of the message, if it is of this type, or a new one. */
  #part(type: 'text' | 'refusal') {
    const open = this.#message
    if (!open) throw new Error('There is no open message.')
    const { content } = open
    const last = content.at(-1)
    const isNew = last?.type !== type
    const part = isNew ? newPart(type) : last
    if (isNew) content.push(part)
    return { id: open.message.id, part, index: content.length - 1, isNew }
  }

  /** Whether a chunk is of another call than the one that is there. */
  isFurtherCall({ index }: ToolCallChunk): boolean {
    return this.#calls !== undefined && this.#calls.byIndex.size > 0 && !this.#calls.byIndex.has(index)
  }

  /** The first delta of a call has its id and name and no arguments; the others only pieces of these. */
  addCall(chunk: ToolCallChunk): Delta[] {
    const open = this.#calls
    if (!open) throw new Error('There is no open step for calls.')
    const deltas: Delta[] = []
    const tell = (piece: object) => isTold && deltas.push(stepDelta(open.step.id, { index, ...piece }))
    const known = open.byIndex.get(chunk.index)
    const { call, read } = known ?? this.#newCall(chunk.name ?? '')
    if (!known) open.byIndex.set(chunk.index, { call, read })
    const index = this.#positionOf(chunk.index)
    const isTold = index < toldCalls(this.calls).length
    if (!known) tell(structuredClone(shownCall(call)))
    if (chunk.arguments === '') return deltas
    if (call.type === 'function') {
      call.function.arguments += chunk.arguments
      tell({ type: 'function', function: { arguments: chunk.arguments } })
    } else if (call.model_call) {
      call.model_call.arguments += chunk.arguments
      const shown = read?.(chunk.arguments)
      if (shown) tell(shown)
    }
    return deltas
  }

  #newCall(name: string): OpenCall {
    const id = newId('call_')
    const tool = this.#tools.get(name)
    if (!tool)
      return { call: { id, type: 'function', function: { name, arguments: '', output: null } }, read: undefined }
    const call = tool.begin(this.#run, id)
    return { call, read: tool.reader?.(call) }
  }

  /** What is to be sent back with the calls. */
  keep(reasoning: Reasoning | undefined) {
    this.#reasoning = reasoning
  }

  /** Backends number calls as they like; the API counts from 0 in the order in which they began. */
  #positionOf(index: number): number {
    return [...(this.#calls?.byIndex.keys() ?? [])].indexOf(index)
  }

  get calls(): ToolCall[] {
    return [...(this.#calls?.byIndex.values() ?? [])].map(({ call }) => call)
  }

  /** Everything at the end of the answer. Calls stay open: they wait for their outputs. */
  finish(usage: Usage, reason?: 'max_tokens' | 'content_filter'): Open {
    const said = this.#message
      ? this.#endOf(this.#message, this.#calls ? noUsage : usage, reason)
      : { steps: [], messages: [] }
    if (!this.#calls) return said
    return { ...said, steps: [...said.steps, { ...this.#callStep(this.#calls.step), spent: usage }] }
  }

  /** Everything open, with all that has come so far. */
  get open(): Open {
    const steps: RunStep[] = []
    if (this.#message) steps.push(this.#message.step)
    if (this.#calls) steps.push(this.#callStep(this.#calls.step))
    return {
      steps,
      messages: this.#message
        ? [{ ...this.#message.message, ...filledWith(structuredClone(this.#message.content)) }]
        : [],
    }
  }

  #callStep(step: RunStep): RunStep {
    const reasoning = this.#keptReasoning()
    const tool_calls = structuredClone(this.calls)
    return { ...step, step_details: { type: 'tool_calls', tool_calls, ...(reasoning && { reasoning }) } }
  }

  #keptReasoning() {
    if (!this.#reasoning) return undefined
    const { message, calls } = this.#reasoning
    const byId: Record<string, Record<string, unknown>> = {}
    for (const [index, { call }] of this.#calls?.byIndex ?? []) {
      const given = calls[index]
      if (given) byId[call.id] = given
    }
    const isAny = Object.keys(message).length > 0 || Object.keys(byId).length > 0
    return isAny ? { model: this.#run.model, message, calls: byId } : undefined
  }

  #endOf({ message, step, content }: OpenMessage, usage: Usage, reason?: 'max_tokens' | 'content_filter'): Open {
    const now = seconds(this.#clock)
    const end = reason
      ? ({ status: 'incomplete', incomplete_at: now, incomplete_details: { reason } } as const)
      : ({ status: 'completed', completed_at: now } as const)
    return {
      steps: [{ ...step, status: 'completed', completed_at: now, usage }],
      // Clients read `content[0].text` without looking.
      messages: [{ ...message, ...filledWith(content.length > 0 ? content : [newPart('text')]), ...end }],
    }
  }

  #newStep(step_details: RunStep['step_details']): RunStep {
    return {
      id: newId('step_'),
      object: 'thread.run.step',
      created_at: seconds(this.#clock),
      run_id: this.#run.id,
      assistant_id: this.#run.assistant_id,
      thread_id: this.#run.thread_id,
      type: step_details.type,
      status: 'in_progress',
      cancelled_at: null,
      completed_at: null,
      expires_at: this.#run.expires_at,
      expired_at: null,
      failed_at: null,
      last_error: null,
      step_details,
      usage: null,
      metadata: {},
    }
  }
}
