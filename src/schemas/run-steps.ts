import { type Static, Type } from '@sinclair/typebox'
import { Metadata, Nullable, OneOf, Seconds } from './common.ts'
import { Usage } from './usage.ts'

const FunctionCall = Type.Object({
  id: Type.String(),
  type: Type.Literal('function'),
  function: Type.Object({ name: Type.String(), arguments: Type.String(), output: Nullable(Type.String()) }),
})

const CodeInterpreterCall = Type.Object({
  id: Type.String(),
  type: Type.Literal('code_interpreter'),
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

const StepDetails = Type.Union([
  Type.Object({
    type: Type.Literal('message_creation'),
    message_creation: Type.Object({ message_id: Type.String() }),
  }),
  Type.Object({ type: Type.Literal('tool_calls'), tool_calls: Type.Array(ToolCall) }),
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
