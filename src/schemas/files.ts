import { type Static, Type } from '@sinclair/typebox'
import { Closed, Id, Nullable, OneOf, Seconds } from './common.ts'

export const uploadPurposes = ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] as const
const producedPurposes = ['assistants_output', 'batch_output', 'fine-tune-results'] as const

export const File = Type.Object({
  id: Type.String(),
  object: Type.Literal('file'),
  purpose: OneOf(...uploadPurposes, ...producedPurposes),
  filename: Type.String(),
  bytes: Type.Integer(),
  created_at: Seconds,
  expires_at: Nullable(Seconds),
  status: OneOf('uploaded', 'processed', 'error'),
  status_details: Nullable(Type.String()),
})
export type File = Static<typeof File>

export const ExpiresAfter = Closed({
  anchor: Type.Literal('created_at'),
  seconds: Type.Integer({ minimum: 3600, maximum: 2_592_000 }),
})

/** The fields of the form of POST /files that are no file. */
export const FileForm = Closed({
  purpose: OneOf(...uploadPurposes),
  expires_after: Type.Optional(ExpiresAfter),
})
export type FileForm = Static<typeof FileForm>

export const FileListQuery = Type.Object({
  purpose: Type.Optional(Type.String()),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  order: Type.Optional(OneOf('asc', 'desc')),
  after: Type.Optional(Type.String()),
})

/** Without `file`, which an upload has only at its end. */
export const Upload = Type.Object({
  id: Type.String(),
  object: Type.Literal('upload'),
  bytes: Type.Integer(),
  created_at: Seconds,
  filename: Type.String(),
  purpose: OneOf(...uploadPurposes),
  status: OneOf('pending', 'completed', 'cancelled', 'expired'),
  expires_at: Seconds,
})
export type Upload = Static<typeof Upload>

/** 8 GB in all; 64 MB a part. */
export const CreateUpload = Closed({
  filename: Type.String({ minLength: 1, maxLength: 1024 }),
  purpose: OneOf(...uploadPurposes),
  bytes: Type.Integer({ minimum: 1, maximum: 8_589_934_592 }),
  mime_type: Type.String(),
  expires_after: Type.Optional(ExpiresAfter),
})
export type CreateUpload = Static<typeof CreateUpload>

export const CompleteUpload = Closed({
  part_ids: Type.Array(Id('part'), { minItems: 1, maxItems: 10_000 }),
  md5: Type.Optional(Nullable(Type.String({ pattern: '^[0-9a-fA-F]{32}$' }))),
})
export type CompleteUpload = Static<typeof CompleteUpload>

export const UploadPart = Type.Object({
  id: Type.String(),
  object: Type.Literal('upload.part'),
  created_at: Seconds,
  upload_id: Type.String(),
})
export type UploadPart = Static<typeof UploadPart>
