import { type Clock, seconds } from '../clock.ts'
import { ApiError, invalidRequest, notFound } from '../errors.ts'
import type { Ingestor } from '../retrieval/ingest.ts'
import type { Message } from '../schemas/messages.ts'
import type { Run } from '../schemas/runs.ts'
import {
  type CreateToolResources,
  completeResources,
  type ModifyToolResources,
  type Tool,
  type ToolResources,
} from '../schemas/tools.ts'
import { completeChunking, type VectorStore } from '../schemas/vector-stores.ts'
import type { Store } from '../store/store.ts'
import type { Attachment } from '../store/vector-stores.ts'
import { attachmentsOf, newVectorStore, refusalError } from './new-vector-store.ts'

type Given = CreateToolResources | ModifyToolResources | null | undefined

/** What assistants, threads and messages give to the tools. Every method throws an ApiError for what does not exist. */
export interface Resources {
  /**
   * An assistant's as they are answered; the helper's vector store is made. What it had `before` is taken as it is: it may
   * have been deleted since.
   */
  ofAssistant(given: Given, tools: readonly Tool[], before?: ToolResources): Promise<ToolResources>
  /** A thread's; a store that is made for it expires after a week without use. */
  ofThread(given: Given, before?: ToolResources): Promise<ToolResources>
  /** A thread's that is about to be made with these messages. */
  ofNewThread(given: Given, messages: readonly Message[]): Promise<ToolResources>
  /** Gives what the messages have attached to their thread. */
  attach(thread_id: string, messages: readonly Message[]): Promise<void>
  /** Throws if a store that the run would search has expired. */
  checkStores(run: Run, thread: ToolResources | undefined): Promise<void>
}

const maxCodeFiles = 20
const threadExpiry: NonNullable<VectorStore['expires_after']> = { anchor: 'last_active_at', days: 7 }

export function createResources(store: Store, ingestor: Ingestor, clock: Clock): Resources {
  const now = () => seconds(clock)
  const freshOfThread = () => newVectorStore({ expires_after: threadExpiry }, now())

  async function complete(
    given: Given,
    tools: readonly Tool[],
    expires_after: VectorStore['expires_after'],
    before: ToolResources = {},
  ) {
    const { vector_store_ids = [] } = given?.file_search ?? {}
    for (const [index, id] of vector_store_ids.entries()) {
      const param = `tool_resources.file_search.vector_store_ids[${index}]`
      if (before.file_search?.vector_store_ids.includes(id) || (await store.vectorStores.get(id, now()))) continue
      throw new ApiError(404, notFound('vector store', id).message, { param })
    }
    for (const [index, id] of (given?.code_interpreter?.file_ids ?? []).entries()) {
      const param = `tool_resources.code_interpreter.file_ids[${index}]`
      if (before.code_interpreter?.file_ids.includes(id) || (await store.files.get(id))) continue
      throw new ApiError(404, notFound('file', id).message, { param })
    }
    const resources = completeResources(given, tools)
    const helper = given?.file_search && 'vector_stores' in given.file_search && given.file_search.vector_stores?.[0]
    if (!helper) return resources
    if (vector_store_ids.length > 0) {
      const param = 'tool_resources.file_search.vector_stores'
      throw invalidRequest("Only one of 'vector_store_ids' and 'vector_stores' may be given.", { param })
    }
    const made = newVectorStore({ expires_after, ...helper }, now())
    await insert(made, attachmentsOf(helper))
    return { ...resources, file_search: { vector_store_ids: [made.id] } }
  }

  async function insert(made: ReturnType<typeof newVectorStore>, files: readonly Attachment[]) {
    const refusal = await store.vectorStores.insert(made, files)
    if (refusal) throw refusalError(refusal, made.id)
    ingestor.wake()
  }

  async function addTo(vector_store_id: string, files: readonly Attachment[]) {
    const found = await store.vectorStores.get(vector_store_id, now())
    if (found?.status === 'expired') throw expired(vector_store_id)
    const refusal = await store.vectorStoreFiles.attach(vector_store_id, files, now())
    if (refusal) throw refusalError(refusal, vector_store_id)
    ingestor.wake()
  }

  async function checkFiles(ids: readonly string[]) {
    for (const id of ids) if (!(await store.files.get(id))) throw notFound('file', id)
  }

  return {
    ofAssistant: (given, tools, before) => complete(given, tools, null, before),
    ofThread: (given, before) => complete(given, [], threadExpiry, before),

    async ofNewThread(given, messages) {
      const { search, code } = attachedTo(messages)
      if (!given && search.length + code.length === 0) return {}
      await checkFiles([...search, ...code])
      const resources = withCode(await complete(given, [], threadExpiry), code)
      if (search.length === 0) return resources
      const [existing] = resources.file_search?.vector_store_ids ?? []
      const files = search.map(searched)
      if (existing) {
        await addTo(existing, files)
        return resources
      }
      const made = freshOfThread()
      await insert(made, files)
      return { ...resources, file_search: { vector_store_ids: [made.id] } }
    },

    async attach(thread_id, messages) {
      const { search, code } = attachedTo(messages)
      if (search.length + code.length === 0) return
      await checkFiles([...search, ...code])
      const { code_interpreter } = (await store.threads.get(thread_id))?.tool_resources ?? {}
      checkCount([...(code_interpreter?.file_ids ?? []), ...code])
      const resources = await store.threads.addResources(thread_id, {
        code_files: code,
        ...(search.length > 0 && { vector_store: freshOfThread() }),
      })
      const [id] = resources?.file_search?.vector_store_ids ?? []
      if (id && search.length > 0) await addTo(id, search.map(searched))
    },

    async checkStores({ tools, tool_resources }, thread) {
      if (!tools.some(({ type }) => type === 'file_search')) return
      for (const resources of [tool_resources, thread]) {
        for (const id of resources?.file_search?.vector_store_ids ?? []) {
          if ((await store.vectorStores.get(id, now()))?.status === 'expired') throw expired(id)
        }
      }
    },
  }
}

const expired = (id: string) => invalidRequest(`Vector store ${id} is expired.`)

const searched = (file_id: string): Attachment => ({
  file_id,
  attributes: {},
  chunking_strategy: completeChunking(null),
})

function attachedTo(messages: readonly Message[]) {
  const attachments = messages.flatMap((message) => message.attachments)
  const filesFor = (type: string) => [
    ...new Set(
      attachments.flatMap(({ file_id, tools }) => (tools.some((tool) => tool.type === type) ? [file_id] : [])),
    ),
  ]
  return { search: filesFor('file_search'), code: filesFor('code_interpreter') }
}

function checkCount(code_files: readonly string[]) {
  const count = new Set(code_files).size
  if (count <= maxCodeFiles) return
  const message = `A thread can have at most ${maxCodeFiles} files for code_interpreter, but with these it would have ${count}.`
  throw invalidRequest(message, { param: 'attachments' })
}

function withCode(resources: ToolResources, code: readonly string[]): ToolResources {
  if (code.length === 0) return resources
  const file_ids = [...new Set([...(resources.code_interpreter?.file_ids ?? []), ...code])]
  checkCount(file_ids)
  return { ...resources, code_interpreter: { file_ids } }
}
