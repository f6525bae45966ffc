import { Type } from '@sinclair/typebox'
import { Id } from './common.ts'

export const AssistantParams = Type.Object({ assistant_id: Id('asst') })
export const ThreadParams = Type.Object({ thread_id: Id('thread') })
export const MessageParams = Type.Object({ thread_id: Id('thread'), message_id: Id('msg') })
export const RunParams = Type.Object({ thread_id: Id('thread'), run_id: Id('run') })
export const StepParams = Type.Object({ thread_id: Id('thread'), run_id: Id('run'), step_id: Id('step') })
export const VectorStoreParams = Type.Object({ vector_store_id: Id('vs') })
export const VectorStoreFileParams = Type.Object({ vector_store_id: Id('vs'), file_id: Id('file') })
export const FileBatchParams = Type.Object({ vector_store_id: Id('vs'), batch_id: Id('vsfb') })
