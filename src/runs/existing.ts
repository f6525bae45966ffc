import { notFound } from '../errors.ts'
import type { Assistant } from '../schemas/assistants.ts'
import type { Run } from '../schemas/runs.ts'
import type { Thread } from '../schemas/threads.ts'
import type { Store } from '../store/store.ts'

// What a request names must exist. Each throws the ApiError that says what is missing.

export async function existingAssistant(store: Store, id: string): Promise<Assistant> {
  const assistant = await store.assistants.get(id)
  if (!assistant) throw notFound('assistant', id)
  return assistant
}

export async function existingThread(store: Store, id: string): Promise<Thread> {
  const thread = await store.threads.get(id)
  if (!thread) throw notFound('thread', id)
  return thread
}

export async function existingRun(store: Store, thread_id: string, id: string): Promise<Run> {
  const run = await store.runs.get(thread_id, id)
  if (run) return run
  await existingThread(store, thread_id)
  throw notFound('run', id)
}
