import { type Static, Type } from '@sinclair/typebox'
import { Metadata, Nullable, OneOf, Seconds } from './common.ts'
import { Usage } from './usage.ts'
import { Attributes } from './vector-stores.ts'

/** Kept with a call that the server answers itself, and shown to no client: what the model wrote and was told. */
const ModelCall = Type.Optional(Type.Object({ arguments: Type.String(), output: Nullable(Type.String()) }))

/** Shown to no client either: files that came of the call, by their paths under /mnt/data. */
const Written = Type.Optional(Type.Array(Type.Object({ path: Type.String(), file_id: Type.String() })))
export type Written = Static<typeof Written>

const FunctionCall = Type.Object({
  id: Type.String(),
  type: Type.Literal('function'),
  written: Written,
  function: Type.Object({ name: Type.String(), arguments: Type.String(), output: Nullable(Type.String()) }),
})

const CodeInterpreterCall = Type.Object({
  id: Type.String(),
  type: Type.Literal('code_interpreter'),
  model_call: ModelCall,
  written: Written,
  code_interpreter: Type.Object({
    input: Type.String(),
    outputs: Type.Array(
      Type.Union([
        Type.Object({ type: Type.Literal('logs'), logs: Type.String() }),
        Type.Object({ type: Type.Literal('image'), image: Type.Object({ file_id: Type.String() }) }),
      ]),
    ),
  }),
})

const FileSearchCall = Type.Object({
  id: Type.String(),
  type: Type.Literal('file_search'),
  model_call: ModelCall,
  file_search: Type.Object({
    ranking_options: Type.Optional(
      Type.Object({ ranker: OneOf('auto', 'default_2024_08_21'), score_threshold: Type.Number() }),
    ),
    results: Type.Optional(
      Type.Array(
        Type.Object({
          file_id: Type.String(),
          file_name: Type.String(),
          score: Type.Number(),
          attributes: Type.Optional(Attributes),
          content: Type.Optional(
            Type.Array(Type.Object({ type: Type.Optional(Type.Literal('text')), text: Type.Optional(Type.String()) })),
          ),
        }),
      ),
    ),
  }),
})

export const ToolCall = Type.Union([FunctionCall, CodeInterpreterCall, FileSearchCall])
export type ToolCall = Static<typeof ToolCall>
export type FunctionCall = Static<typeof FunctionCall>
export type FileSearchCall = Static<typeof FileSearchCall>
export type CodeInterpreterCall = Static<typeof CodeInterpreterCall>
/** A call that the server answers itself. */
export type ServerCall = Exclude<ToolCall, { type: 'function' }>

const Raw = Type.Record(Type.String(), Type.Unknown())

/** Shown to no client: what the model's backend wants back with these calls, of the message and of each call by its id. */
const Reasoning = Type.Object({ model: Type.String(), message: Raw, calls: Type.Record(Type.String(), Raw) })

const StepDetails = Type.Union([
  Type.Object({
    type: Type.Literal('message_creation'),
    message_creation: Type.Object({ message_id: Type.String() }),
  }),
  Type.Object({
    type: Type.Literal('tool_calls'),
    tool_calls: Type.Array(ToolCall),
    reasoning: Type.Optional(Reasoning),
  }),
])

export const RunStep = Type.Object({
  id: Type.String(),
  object: Type.Literal('thread.run.step'),
  created_at: Seconds,
  run_id: Type.String(),
  assistant_id: Type.String(),
  thread_id: Type.String(),
  type: OneOf('message_creation', 'tool_calls'),
  status: OneOf('in_progress', 'cancelled', 'failed', 'completed', 'expired'),
  cancelled_at: Nullable(Seconds),
  completed_at: Nullable(Seconds),
  // The published schema has `expired_at`, the hosted service sent `expires_at`: clients of both are served.
  expires_at: Nullable(Seconds),
  expired_at: Nullable(Seconds),
  failed_at: Nullable(Seconds),
  last_error: Nullable(Type.Object({ code: OneOf('server_error', 'rate_limit_exceeded'), message: Type.String() })),
  step_details: StepDetails,
  usage: Nullable(Usage),
  metadata: Metadata,
})
export type RunStep = Static<typeof RunStep>

type Stepped = Pick<RunStep, 'step_details'>

export const callsOf = ({ step_details: details }: Stepped): ToolCall[] =>
  details.type === 'tool_calls' ? details.tool_calls : []

/** A step of calls with these in their place. */
export const withCalls = <Step extends Stepped>(step: Step, tool_calls: ToolCall[]): Step =>
  step.step_details.type === 'tool_calls' ? { ...step, step_details: { ...step.step_details, tool_calls } } : step

/** The only value that `include[]` may have. */
export const resultContent = 'step_details.tool_calls[*].file_search.results[*].content'

/** A call as clients see it. */
export function shownCall(call: ToolCall): ToolCall {
  const { model_call: _, written: __, ...shown } = { model_call: undefined, written: undefined, ...call }
  return shown
}

/** A step as clients see it: the text of what was found only where the request asked for it. */
export function shownStep(step: RunStep, withContent: boolean): RunStep {
  const details = step.step_details
  if (details.type !== 'tool_calls') return step
  const tool_calls = details.tool_calls.map((call) => (withContent ? shownCall(call) : withoutContent(shownCall(call))))
  return { ...step, step_details: { type: details.type, tool_calls } }
}

function withoutContent(call: ToolCall): ToolCall {
  if (call.type !== 'file_search') return call
  const results = call.file_search.results?.map(({ content: _, ...result }) => result)
  return { ...call, file_search: { ...call.file_search, ...(results && { results }) } }
}
