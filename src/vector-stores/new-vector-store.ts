import { invalidRequest, notFound } from '../errors.ts'
import { newVectorStoreId } from '../ids.ts'
import {
  type ChunkingStrategy,
  type CreateVectorStore,
  type CreateVectorStoreFile,
  completeChunking,
  type VectorStore,
} from '../schemas/vector-stores.ts'
import type { Attachment, AttachRefusal, StoredStore } from '../store/vector-stores.ts'

export function refusalError(refusal: AttachRefusal, id: string) {
  return refusal.refused === 'no_store' ? notFound('vector store', id) : notFound('file', refusal.file_id)
}

export const expiryOf = (expires_after: VectorStore['expires_after'] | undefined, since: number) =>
  expires_after ? since + expires_after.days * 86_400 : null

/** As stored; `now` in seconds. */
export function newVectorStore(
  body: Pick<CreateVectorStore, 'name' | 'description' | 'expires_after' | 'metadata'>,
  now: number,
): StoredStore {
  return {
    id: newVectorStoreId(),
    created_at: now,
    name: body.name ?? null,
    description: body.description ?? null,
    expires_after: body.expires_after ?? null,
    expires_at: expiryOf(body.expires_after, now),
    last_active_at: now,
    metadata: body.metadata ?? {},
  }
}

/** The files of a body; throws an ApiError for chunks that overlap too much. A file named twice counts once. */
export function attachmentsOf({
  file_ids,
  chunking_strategy,
}: Pick<CreateVectorStore, 'file_ids' | 'chunking_strategy'>): Attachment[] {
  return [...new Set(file_ids ?? [])].map((file_id) => attachmentOf({ file_id, chunking_strategy }))
}

/** `where`: the path of the file in the body, with its dot. */
export function attachmentOf(
  { file_id, attributes, chunking_strategy }: CreateVectorStoreFile,
  where = '',
): Attachment {
  checkChunking(chunking_strategy, where)
  return { file_id, attributes: attributes ?? {}, chunking_strategy: completeChunking(chunking_strategy) }
}

function checkChunking(given: ChunkingStrategy | null | undefined, where: string) {
  if (given?.type !== 'static') return
  const { max_chunk_size_tokens, chunk_overlap_tokens } = given.static
  if (chunk_overlap_tokens <= max_chunk_size_tokens / 2) return
  throw invalidRequest('chunk_overlap_tokens must be less than or equal to half of max_chunk_size_tokens.', {
    param: `${where}chunking_strategy.static.chunk_overlap_tokens`,
    code: 'invalid_value',
  })
}
