import { sql } from 'drizzle-orm'
import { customType, index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core'
import { activeStatuses } from '../../runs/lifecycle.ts'
import type { Assistant } from '../../schemas/assistants.ts'
import type { Metadata } from '../../schemas/common.ts'
import type { File, Upload } from '../../schemas/files.ts'
import type { Message } from '../../schemas/messages.ts'
import type { RunStep } from '../../schemas/run-steps.ts'
import type { Run } from '../../schemas/runs.ts'
import type { Tool, ToolResources } from '../../schemas/tools.ts'
import type { Usage } from '../../schemas/usage.ts'
import type { Attributes, StaticChunking, VectorStore, VectorStoreFile } from '../../schemas/vector-stores.ts'

// Drizzle's own JSON column would write the text `null` for a null that is given to a prepared statement.
const json = <T>() =>
  customType<{ data: T; driverData: string | null }>({
    dataType: () => 'text',
    toDriver: (value) => (value === null ? null : JSON.stringify(value)),
    fromDriver: (text) => JSON.parse(text as string),
  })()

// `created_at` is in seconds and ties; the order of insertion is what lists go by.
const base = () => ({
  seq: integer().primaryKey({ autoIncrement: true }),
  id: text().notNull().unique(),
  created_at: integer().notNull(),
  metadata: json<Metadata>().notNull(),
})

export const assistants = sqliteTable('assistants', {
  ...base(),
  name: text(),
  description: text(),
  model: text().notNull(),
  instructions: text(),
  tools: json<Tool[]>().notNull(),
  top_p: real().notNull(),
  temperature: real().notNull(),
  reasoning_effort: text().$type<Assistant['reasoning_effort']>(),
  tool_resources: json<ToolResources>().notNull(),
  response_format: json<Assistant['response_format']>().notNull(),
})

export const threads = sqliteTable('threads', {
  ...base(),
  tool_resources: json<ToolResources>().notNull(),
})

const thread_id = () =>
  text()
    .notNull()
    .references(() => threads.id, { onDelete: 'cascade' })

export const messages = sqliteTable(
  'messages',
  {
    ...base(),
    thread_id: thread_id(),
    assistant_id: text(),
    run_id: text(),
    status: text().$type<Message['status']>().notNull(),
    incomplete_details: json<NonNullable<Message['incomplete_details']>>(),
    incomplete_at: integer(),
    completed_at: integer(),
    role: text().$type<Message['role']>().notNull(),
    content: json<Message['content']>().notNull(),
    attachments: json<Message['attachments']>().notNull(),
  },
  (table) => [
    index('messages_of_thread').on(table.thread_id, table.seq),
    index('messages_of_run').on(table.run_id).where(sql`${table.run_id} IS NOT NULL`),
  ],
)

const fileColumns = () => ({
  seq: integer().primaryKey({ autoIncrement: true }),
  id: text().notNull().unique(),
  created_at: integer().notNull(),
  filename: text().notNull(),
  bytes: integer().notNull(),
})

export const files = sqliteTable(
  'files',
  {
    ...fileColumns(),
    purpose: text().$type<File['purpose']>().notNull(),
    status: text().$type<File['status']>().notNull(),
    status_details: text(),
    expires_at: integer(),
  },
  (table) => [
    index('files_of_purpose').on(table.purpose, table.seq),
    index('files_to_expire').on(table.expires_at).where(sql`${table.expires_at} IS NOT NULL`),
  ],
)

export const uploads = sqliteTable(
  'uploads',
  {
    ...fileColumns(),
    purpose: text().$type<Upload['purpose']>().notNull(),
    status: text().$type<Upload['status']>().notNull(),
    expires_at: integer().notNull(),
    /** How long the file that comes of it is kept, in seconds; null: until it is deleted. */
    file_lifetime: integer(),
  },
  (table) => [index('uploads_to_expire').on(table.expires_at).where(sql`status = 'pending'`)],
)

export const uploadParts = sqliteTable(
  'upload_parts',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    id: text().notNull().unique(),
    created_at: integer().notNull(),
    upload_id: text()
      .notNull()
      .references(() => uploads.id, { onDelete: 'cascade' }),
    bytes: integer().notNull(),
  },
  (table) => [index('parts_of_upload').on(table.upload_id)],
)

// A literal: an index cannot have parameters.
const isActive = sql.raw(`status IN (${activeStatuses.map((status) => `'${status}'`).join(', ')})`)

export const runs = sqliteTable(
  'runs',
  {
    ...base(),
    thread_id: thread_id(),
    assistant_id: text().notNull(),
    status: text().$type<Run['status']>().notNull(),
    started_at: integer(),
    expires_at: integer(),
    cancelled_at: integer(),
    failed_at: integer(),
    completed_at: integer(),
    required_action: json<NonNullable<Run['required_action']>>(),
    last_error: json<NonNullable<Run['last_error']>>(),
    model: text().notNull(),
    instructions: text(),
    tools: json<Tool[]>().notNull(),
    tool_resources: json<ToolResources>().notNull(),
    temperature: real().notNull(),
    top_p: real().notNull(),
    reasoning_effort: text().$type<Run['reasoning_effort']>(),
    max_completion_tokens: integer(),
    max_prompt_tokens: integer(),
    truncation_strategy: json<Run['truncation_strategy']>().notNull(),
    incomplete_details: json<NonNullable<Run['incomplete_details']>>(),
    usage: json<Usage>(),
    response_format: json<Run['response_format']>().notNull(),
    tool_choice: json<Run['tool_choice']>().notNull(),
    parallel_tool_calls: integer({ mode: 'boolean' }).notNull(),
    version: integer().notNull(),
    spent: json<Usage>().notNull(),
    /** The worker's claim; null while nobody works on the run. */
    lease_id: text(),
    /** When the run next wants a worker, in ms: now, the end of a lease, or its expiry. Null: never again. */
    available_at: integer(),
    /** Of the run of a specialist: the run that asked for it. */
    parent_run_id: text(),
  },
  (table) => [
    index('runs_of_thread').on(table.thread_id, table.seq),
    uniqueIndex('one_active_run_of_thread').on(table.thread_id).where(isActive),
    index('runs_to_do').on(table.available_at, table.seq).where(sql`${table.available_at} IS NOT NULL`),
    index('runs_by_lease').on(table.lease_id).where(sql`${table.lease_id} IS NOT NULL`),
    index('runs_of_parent').on(table.parent_run_id).where(sql`${table.parent_run_id} IS NOT NULL`),
  ],
)

export const steps = sqliteTable(
  'run_steps',
  {
    ...base(),
    run_id: text()
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    assistant_id: text().notNull(),
    thread_id: text().notNull(),
    type: text().$type<RunStep['type']>().notNull(),
    status: text().$type<RunStep['status']>().notNull(),
    cancelled_at: integer(),
    completed_at: integer(),
    expires_at: integer(),
    expired_at: integer(),
    failed_at: integer(),
    last_error: json<NonNullable<RunStep['last_error']>>(),
    step_details: json<RunStep['step_details']>().notNull(),
    usage: json<Usage>(),
    /** Null while the step's model call is not over. */
    spent: json<Usage>(),
  },
  (table) => [index('steps_of_run').on(table.run_id, table.seq)],
)

export const vectorStores = sqliteTable('vector_stores', {
  ...base(),
  name: text(),
  description: text(),
  expires_after: json<NonNullable<VectorStore['expires_after']>>(),
  expires_at: integer(),
  last_active_at: integer(),
})

const vector_store_id = () =>
  text()
    .notNull()
    .references(() => vectorStores.id, { onDelete: 'cascade' })

export const vectorStoreFiles = sqliteTable(
  'vector_store_files',
  {
    seq: integer().primaryKey({ autoIncrement: true }),
    /** The file's: a file may be part of many stores. */
    id: text()
      .notNull()
      .references(() => files.id, { onDelete: 'cascade' }),
    created_at: integer().notNull(),
    vector_store_id: vector_store_id(),
    status: text().$type<VectorStoreFile['status']>().notNull(),
    usage_bytes: integer().notNull(),
    last_error: json<NonNullable<VectorStoreFile['last_error']>>(),
    chunking_strategy: json<StaticChunking>().notNull(),
    attributes: json<Attributes>().notNull(),
    /** The embedding model of its vectors. */
    embedded_by: text(),
    /** As for runs. */
    lease_id: text(),
    available_at: integer(),
  },
  (table) => [
    uniqueIndex('file_of_store').on(table.vector_store_id, table.id),
    // Covers the counts that every answer about a store has.
    index('counts_of_store').on(table.vector_store_id, table.status, table.usage_bytes),
    index('places_of_file').on(table.id),
    index('files_to_do').on(table.available_at, table.seq).where(sql`${table.available_at} IS NOT NULL`),
    index('files_by_lease').on(table.lease_id).where(sql`${table.lease_id} IS NOT NULL`),
  ],
)

export const fileBatches = sqliteTable('file_batches', {
  seq: integer().primaryKey({ autoIncrement: true }),
  id: text().notNull().unique(),
  created_at: integer().notNull(),
  vector_store_id: vector_store_id(),
  is_cancelled: integer({ mode: 'boolean' }).notNull(),
})

export const filesOfBatches = sqliteTable(
  'files_of_batches',
  {
    batch: integer()
      .notNull()
      .references(() => fileBatches.seq, { onDelete: 'cascade' }),
    entry: integer()
      .notNull()
      .references(() => vectorStoreFiles.seq, { onDelete: 'cascade' }),
  },
  (table) => [primaryKey({ columns: [table.batch, table.entry] }), index('batches_of_file').on(table.entry)],
)
