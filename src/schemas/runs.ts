import { type Static, Type } from '@sinclair/typebox'
import { Closed, Defaulted, Id, Metadata, Nullable, OneOf, Seconds } from './common.ts'
import { CreateMessage, LongText } from './messages.ts'
import { CreateThread } from './threads.ts'
import {
  ModifyToolResources,
  OptionalReasoningEffort,
  ReasoningEffort,
  ResponseFormat,
  Tool,
  ToolChoice,
  ToolParam,
  ToolResources,
} from './tools.ts'
import { Usage } from './usage.ts'

export const RunStatus = OneOf(
  'queued',
  'in_progress',
  'requires_action',
  'cancelling',
  'cancelled',
  'failed',
  'completed',
  'incomplete',
  'expired',
)
export type RunStatus = Static<typeof RunStatus>

export const LastError = Type.Object({
  code: OneOf('server_error', 'rate_limit_exceeded', 'invalid_prompt'),
  message: Type.String(),
})
export type LastError = Static<typeof LastError>

const RequiredAction = Type.Object({
  type: Type.Literal('submit_tool_outputs'),
  submit_tool_outputs: Type.Object({
    tool_calls: Type.Array(
      Type.Object({
        id: Type.String(),
        type: Type.Literal('function'),
        function: Type.Object({ name: Type.String(), arguments: Type.String() }),
      }),
    ),
  }),
})

const TruncationStrategy = Type.Object({
  type: OneOf('auto', 'last_messages'),
  last_messages: Nullable(Type.Integer()),
})

export const Run = Type.Object({
  id: Type.String(),
  object: Type.Literal('thread.run'),
  created_at: Seconds,
  assistant_id: Type.String(),
  thread_id: Type.String(),
  status: RunStatus,
  started_at: Nullable(Seconds),
  expires_at: Nullable(Seconds),
  cancelled_at: Nullable(Seconds),
  failed_at: Nullable(Seconds),
  completed_at: Nullable(Seconds),
  required_action: Nullable(RequiredAction),
  last_error: Nullable(LastError),
  model: Type.String(),
  instructions: Nullable(Type.String()),
  tools: Type.Array(Tool),
  tool_resources: ToolResources,
  metadata: Metadata,
  temperature: Type.Number(),
  top_p: Type.Number(),
  reasoning_effort: OptionalReasoningEffort,
  max_completion_tokens: Nullable(Type.Integer()),
  max_prompt_tokens: Nullable(Type.Integer()),
  truncation_strategy: TruncationStrategy,
  incomplete_details: Nullable(Type.Object({ reason: OneOf('max_completion_tokens', 'max_prompt_tokens') })),
  usage: Nullable(Usage),
  response_format: ResponseFormat,
  tool_choice: ToolChoice,
  parallel_tool_calls: Type.Boolean(),
})
export type Run = Static<typeof Run>

/** More is no limit, and some databases count no further. */
const most = 2_147_483_647
const TokenBudget = Type.Integer({ minimum: 256, maximum: most })

const Overrides = {
  model: Defaulted(Type.String({ minLength: 1, maxLength: 256 })),
  instructions: Defaulted(LongText),
  // differs: 128 tools here as on assistants; the published schema says 20.
  tools: Defaulted(Type.Array(ToolParam, { maxItems: 128 })),
  metadata: Defaulted(Metadata),
  temperature: Defaulted(Type.Number({ minimum: 0, maximum: 2 })),
  top_p: Defaulted(Type.Number({ minimum: 0, maximum: 1 })),
  stream: Defaulted(Type.Boolean()),
  max_prompt_tokens: Defaulted(TokenBudget),
  max_completion_tokens: Defaulted(TokenBudget),
  truncation_strategy: Defaulted(
    Closed({
      type: OneOf('auto', 'last_messages'),
      last_messages: Defaulted(Type.Integer({ minimum: 1, maximum: most })),
    }),
  ),
  tool_choice: Defaulted(ToolChoice),
  parallel_tool_calls: Defaulted(Type.Boolean()),
  response_format: Defaulted(ResponseFormat),
}

export const CreateRun = Closed({
  assistant_id: Id('asst'),
  ...Overrides,
  reasoning_effort: Defaulted(ReasoningEffort),
  additional_instructions: Defaulted(LongText),
  additional_messages: Defaulted(Type.Array(CreateMessage)),
})
export type CreateRun = Static<typeof CreateRun>

export const CreateThreadAndRun = Closed({
  assistant_id: Id('asst'),
  thread: Defaulted(CreateThread),
  ...Overrides,
  tool_resources: Defaulted(ModifyToolResources),
})
export type CreateThreadAndRun = Static<typeof CreateThreadAndRun>

export const ModifyRun = Closed({ metadata: Defaulted(Metadata) })

/** One output may have 1,048,576 characters; all of them together are limited by the run service. */
export const SubmitToolOutputs = Closed({
  tool_outputs: Type.Array(
    Closed({
      tool_call_id: Type.Optional(Type.String()),
      output: Defaulted(Type.String({ maxLength: 1_048_576 })),
    }),
  ),
  stream: Defaulted(Type.Boolean()),
})
export type SubmitToolOutputs = Static<typeof SubmitToolOutputs>
