import { Type } from '@sinclair/typebox'
import { Id } from './common.ts'

export const AssistantParams = Type.Object({ assistant_id: Id('asst') })
export const ThreadParams = Type.Object({ thread_id: Id('thread') })
export const MessageParams = Type.Object({ thread_id: Id('thread'), message_id: Id('msg') })
export const RunParams = Type.Object({ thread_id: Id('thread'), run_id: Id('run') })
export const StepParams = Type.Object({ thread_id: Id('thread'), run_id: Id('run'), step_id: Id('step') })
