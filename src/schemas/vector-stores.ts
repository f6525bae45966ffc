import { type Static, Type } from '@sinclair/typebox'
import { Closed, Defaulted, Id, ListQuery, Metadata, Nullable, OneOf, Seconds } from './common.ts'
import { Filter } from './filters.ts'

/** Days after the last use. */
export const StoreExpiry = Closed({
  anchor: Type.Literal('last_active_at'),
  days: Type.Integer({ minimum: 1, maximum: 365 }),
})

const FileCounts = Type.Object({
  in_progress: Type.Integer(),
  completed: Type.Integer(),
  failed: Type.Integer(),
  cancelled: Type.Integer(),
  total: Type.Integer(),
})

export const VectorStore = Type.Object({
  id: Type.String(),
  object: Type.Literal('vector_store'),
  created_at: Seconds,
  name: Nullable(Type.String()),
  description: Nullable(Type.String()),
  usage_bytes: Type.Integer(),
  file_counts: FileCounts,
  status: OneOf('expired', 'in_progress', 'completed'),
  expires_after: Nullable(StoreExpiry),
  expires_at: Nullable(Seconds),
  last_active_at: Nullable(Seconds),
  metadata: Metadata,
})
export type VectorStore = Static<typeof VectorStore>

/** At most 16 pairs, which searches can filter by. */
export const Attributes = Type.Record(
  Type.String({ pattern: '^[^]{0,64}$' }),
  Type.Union([Type.String({ maxLength: 512 }), Type.Number(), Type.Boolean()]),
  { maxProperties: 16, additionalProperties: false },
)
export type Attributes = Static<typeof Attributes>

const StaticChunking = Type.Object({
  type: Type.Literal('static'),
  static: Type.Object({ max_chunk_size_tokens: Type.Integer(), chunk_overlap_tokens: Type.Integer() }),
})
export type StaticChunking = Static<typeof StaticChunking>

export const ChunkingStrategy = Type.Union([
  Closed({ type: Type.Literal('auto') }),
  Closed({
    type: Type.Literal('static'),
    static: Closed({
      max_chunk_size_tokens: Type.Integer({ minimum: 100, maximum: 4096 }),
      chunk_overlap_tokens: Type.Integer({ minimum: 0, maximum: 2048 }),
    }),
  }),
])
export type ChunkingStrategy = Static<typeof ChunkingStrategy>

const FileStatus = OneOf('in_progress', 'completed', 'cancelled', 'failed')

/** A file in a store: its id is the file's. */
export const VectorStoreFile = Type.Object({
  id: Type.String(),
  object: Type.Literal('vector_store.file'),
  usage_bytes: Type.Integer(),
  created_at: Seconds,
  vector_store_id: Type.String(),
  status: FileStatus,
  last_error: Nullable(
    Type.Object({ code: OneOf('server_error', 'unsupported_file', 'invalid_file'), message: Type.String() }),
  ),
  chunking_strategy: StaticChunking,
  attributes: Attributes,
})
export type VectorStoreFile = Static<typeof VectorStoreFile>

export const FileBatch = Type.Object({
  id: Type.String(),
  object: Type.Literal('vector_store.files_batch'),
  created_at: Seconds,
  vector_store_id: Type.String(),
  status: FileStatus,
  file_counts: FileCounts,
})
export type FileBatch = Static<typeof FileBatch>

export const CreateVectorStore = Closed({
  file_ids: Defaulted(Type.Array(Id('file'), { maxItems: 500 })),
  name: Defaulted(Type.String({ maxLength: 256 })),
  description: Defaulted(Type.String({ maxLength: 512 })),
  expires_after: Defaulted(StoreExpiry),
  chunking_strategy: Defaulted(ChunkingStrategy),
  metadata: Defaulted(Metadata),
})
export type CreateVectorStore = Static<typeof CreateVectorStore>

/** The helper in the tool resources of assistants and threads. */
export const StoreHelper = Closed({
  file_ids: Defaulted(Type.Array(Id('file'), { maxItems: 10_000 })),
  chunking_strategy: Defaulted(ChunkingStrategy),
  expires_after: Defaulted(StoreExpiry),
  metadata: Defaulted(Metadata),
})

export const ModifyVectorStore = Closed({
  name: Defaulted(Type.String({ maxLength: 256 })),
  expires_after: Defaulted(StoreExpiry),
  metadata: Defaulted(Metadata),
})
export type ModifyVectorStore = Static<typeof ModifyVectorStore>

export const CreateVectorStoreFile = Closed({
  file_id: Id('file'),
  attributes: Defaulted(Attributes),
  chunking_strategy: Defaulted(ChunkingStrategy),
})
export type CreateVectorStoreFile = Static<typeof CreateVectorStoreFile>

/** Either `file_ids`, with attributes and chunking for all of them, or `files` with their own. */
export const CreateFileBatch = Closed({
  file_ids: Defaulted(Type.Array(Id('file'), { minItems: 1, maxItems: 2000 })),
  files: Defaulted(Type.Array(CreateVectorStoreFile, { minItems: 1, maxItems: 2000 })),
  attributes: Defaulted(Attributes),
  chunking_strategy: Defaulted(ChunkingStrategy),
})
export type CreateFileBatch = Static<typeof CreateFileBatch>

export const ModifyVectorStoreFile = Closed({ attributes: Nullable(Attributes) })

export const FilesOfStoreQuery = Type.Object({ ...ListQuery.properties, filter: Type.Optional(FileStatus) })
export type FileStatus = Static<typeof FileStatus>

export const SearchVectorStore = Closed({
  query: Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })]),
  rewrite_query: Defaulted(Type.Boolean()),
  max_num_results: Defaulted(Type.Integer({ minimum: 1, maximum: 50 })),
  filters: Defaulted(Filter),
  ranking_options: Defaulted(
    Closed({
      ranker: Type.Optional(OneOf('none', 'auto', 'default-2024-11-15')),
      score_threshold: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    }),
  ),
})
export type SearchVectorStore = Static<typeof SearchVectorStore>

const defaultChunking: StaticChunking = {
  type: 'static',
  static: { max_chunk_size_tokens: 800, chunk_overlap_tokens: 400 },
}

/** `auto` is stored as what it stands for. */
export const completeChunking = (given: ChunkingStrategy | null | undefined): StaticChunking =>
  given?.type === 'static' ? given : defaultChunking
