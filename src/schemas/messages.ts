import { type Static, Type } from '@sinclair/typebox'
import { Closed, Defaulted, Id, ListQuery, Metadata, Nullable, OneOf, Seconds } from './common.ts'
import { AttachmentTool } from './tools.ts'

const Detail = OneOf('auto', 'low', 'high')
const Role = OneOf('user', 'assistant')
export const LongText = Type.String({ maxLength: 256_000 })

const ImageFile = Type.Object({
  type: Type.Literal('image_file'),
  image_file: Type.Object({ file_id: Type.String(), detail: Detail }),
})
const ImageUrl = Type.Object({
  type: Type.Literal('image_url'),
  image_url: Type.Object({ url: Type.String(), detail: Detail }),
})
const Annotation = Type.Union([
  Type.Object({
    type: Type.Literal('file_citation'),
    text: Type.String(),
    start_index: Type.Integer(),
    end_index: Type.Integer(),
    file_citation: Type.Object({ file_id: Type.String() }),
  }),
  Type.Object({
    type: Type.Literal('file_path'),
    text: Type.String(),
    start_index: Type.Integer(),
    end_index: Type.Integer(),
    file_path: Type.Object({ file_id: Type.String() }),
  }),
])
const Text = Type.Object({
  type: Type.Literal('text'),
  text: Type.Object({ value: Type.String(), annotations: Type.Array(Annotation) }),
})
const Refusal = Type.Object({ type: Type.Literal('refusal'), refusal: Type.String() })

export const MessageContent = Type.Union([Text, ImageUrl, ImageFile, Refusal])
export type MessageContent = Static<typeof MessageContent>

const Attachment = Type.Object({ file_id: Type.String(), tools: Type.Array(AttachmentTool) })

export const Message = Type.Object({
  id: Type.String(),
  object: Type.Literal('thread.message'),
  created_at: Seconds,
  assistant_id: Nullable(Type.String()),
  thread_id: Type.String(),
  run_id: Nullable(Type.String()),
  status: OneOf('in_progress', 'incomplete', 'completed'),
  incomplete_details: Nullable(
    Type.Object({ reason: OneOf('content_filter', 'max_tokens', 'run_cancelled', 'run_expired', 'run_failed') }),
  ),
  incomplete_at: Nullable(Seconds),
  completed_at: Nullable(Seconds),
  role: Role,
  content: Type.Array(MessageContent),
  attachments: Type.Array(Attachment),
  metadata: Metadata,
})
export type Message = Static<typeof Message>

const ContentPart = Type.Union([
  Closed({ type: Type.Literal('text'), text: LongText }),
  Closed({
    type: Type.Literal('image_url'),
    // differs: a data URL is accepted; the hosted service took only http(s) URLs.
    image_url: Closed({ url: Type.String({ pattern: '^(https?://|data:image/)' }), detail: Defaulted(Detail) }),
  }),
  Closed({
    type: Type.Literal('image_file'),
    image_file: Closed({ file_id: Id('file'), detail: Defaulted(Detail) }),
  }),
])

export const CreateMessage = Closed({
  role: Role,
  content: Type.Union([LongText, Type.Array(ContentPart, { minItems: 1 })]),
  attachments: Defaulted(Type.Array(Closed({ file_id: Id('file'), tools: Type.Array(AttachmentTool) }))),
  metadata: Defaulted(Metadata),
})
export type CreateMessage = Static<typeof CreateMessage>

export const ModifyMessage = Closed({ metadata: Defaulted(Metadata) })

export const MessageListQuery = Type.Object({ ...ListQuery.properties, run_id: Type.Optional(Type.String()) })

/** A string becomes one text part; an image without `detail` gets `auto`. */
export function completeContent(content: CreateMessage['content']): MessageContent[] {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content
  return parts.map((part): MessageContent => {
    if (part.type === 'text') return { type: 'text', text: { value: part.text, annotations: [] } }
    if (part.type === 'image_url') {
      return { type: 'image_url', image_url: { url: part.image_url.url, detail: part.image_url.detail ?? 'auto' } }
    }
    return {
      type: 'image_file',
      image_file: { file_id: part.image_file.file_id, detail: part.image_file.detail ?? 'auto' },
    }
  })
}
