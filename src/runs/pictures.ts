import type { Message } from '../schemas/messages.ts'

/** The pictures that messages have by the ids of their files. */
export async function picturesIn(
  messages: readonly Pick<Message, 'role' | 'content'>[],
  pictureOf: (file_id: string) => Promise<string | undefined>,
): Promise<ReadonlyMap<string, string>> {
  const pictures = new Map<string, string>()
  for (const part of messages.flatMap(({ role, content }) => (role === 'user' ? content : []))) {
    if (part.type !== 'image_file' || pictures.has(part.image_file.file_id)) continue
    const url = await pictureOf(part.image_file.file_id)
    if (url) pictures.set(part.image_file.file_id, url)
  }
  return pictures
}
