import type { Message, MessageContent } from '../schemas/messages.ts'

/** Content, and the files that it links to as attachments. */
export function filledWith(content: MessageContent[]): Pick<Message, 'content' | 'attachments'> {
  const notes = content.flatMap((part) => (part.type === 'text' ? part.text.annotations : []))
  const file_ids = new Set(notes.flatMap((note) => (note.type === 'file_path' ? [note.file_path.file_id] : [])))
  return {
    content,
    attachments: Array.from(file_ids, (file_id) => ({ file_id, tools: [{ type: 'code_interpreter' }] })),
  }
}

export const figurePart = (file_id: string): MessageContent => ({
  type: 'image_file',
  image_file: { file_id, detail: 'auto' },
})

export const newPart = (type: 'text' | 'refusal'): MessageContent =>
  type === 'text' ? { type, text: { value: '', annotations: [] } } : { type, refusal: '' }
