import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { MessageCreateParams } from 'openai/resources/beta/threads/messages'
import { describe, expect, test } from 'vitest'
import { type Harness, startApp } from './harness/app.ts'
import { atRest, checkEnded, converse } from './harness/engine.ts'

type Part = Exclude<MessageCreateParams['content'], string>[number]
type Detail = 'auto' | 'low' | 'high'

const bytesOf = {
  png: Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
  jpeg: Buffer.from('ffd8ffe000104a464946000101', 'hex'),
  gif: Buffer.from('GIF89a\x01\x00\x01\x00', 'latin1'),
  webp: Buffer.concat([Buffer.from('RIFF'), Buffer.from('1a000000', 'hex'), Buffer.from('WEBPVP8L')]),
}

async function upload(
  h: Harness,
  bytes: Uint8Array<ArrayBuffer>,
  name = 'picture',
  purpose: 'vision' | 'assistants' = 'vision',
) {
  return (await h.client.files.create({ file: new File([bytes], name), purpose })).id
}

const shown = (file_id: string, detail?: Detail): Part => ({
  type: 'image_file',
  image_file: { file_id, ...(detail && { detail }) },
})
const urlOf = (type: string, bytes: Buffer) => `data:image/${type};base64,${bytes.toString('base64')}`
const sent = (url: string, detail: Detail = 'auto') => ({ type: 'image_url', image_url: { url, detail } })

/** What the model is asked when these parts are the message of a user; the run completes. */
async function askedWith(h: Harness, content: Part[]) {
  const { run, thread } = await converse(h.client, {}, 'Hi')
  await h.client.beta.threads.messages.create(thread.id, { role: 'user', content })
  const before = h.backend.requests.length
  const ended = await checkEnded(h, await atRest(h.client, await run()))
  expect(ended.run.status).toBe('completed')
  return h.backend.requests[before]?.messages.slice(1)
}

describe('a picture that is a file', () => {
  test.each(['png', 'jpeg', 'gif', 'webp'] as const)(
    'reaches the model as a data URL: %s, whatever its name',
    async (type) => {
      const h = await startApp()
      const bytes = bytesOf[type]
      const id = await upload(h, bytes, 'holiday.txt')
      const question: Part = { type: 'text', text: 'What is it?' }
      expect(await askedWith(h, [question, shown(id)])).toEqual([
        { role: 'user', content: [question, sent(urlOf(type, bytes))] },
      ])
    },
  )

  test('keeps its detail and its place among others, a second one of the same file its own', async () => {
    const h = await startApp()
    const png = await upload(h, bytesOf.png)
    const gif = await upload(h, bytesOf.gif, 'b.gif', 'assistants')
    const elsewhere = 'https://example.com/a.png'
    const content: Part[] = [
      shown(png, 'high'),
      { type: 'text', text: 'or' },
      shown(gif, 'low'),
      { type: 'image_url', image_url: { url: elsewhere, detail: 'low' } },
      { type: 'image_url', image_url: { url: urlOf('png', bytesOf.png) } },
      shown(png, 'low'),
    ]
    const [first, second] = [urlOf('png', bytesOf.png), urlOf('gif', bytesOf.gif)]
    expect(await askedWith(h, content)).toEqual([
      {
        role: 'user',
        content: [
          sent(first, 'high'),
          { type: 'text', text: 'or' },
          sent(second, 'low'),
          sent(elsewhere, 'low'),
          sent(first),
          sent(first, 'low'),
        ],
      },
    ])
  })

  test('alone is a message too, and is there again in later runs', async () => {
    const h = await startApp()
    const id = await upload(h, bytesOf.png)
    const { run, thread } = await converse(h.client, {}, 'Hi')
    await h.client.beta.threads.messages.create(thread.id, { role: 'user', content: [shown(id)] })
    for (const at of [0, 1]) {
      await atRest(h.client, await run())
      const content = [sent(urlOf('png', bytesOf.png))]
      expect(h.backend.requests[at]?.messages[1]).toEqual({ role: 'user', content })
    }
  })

  test('is sent whole when it is large, and not at all when it is too large', async () => {
    const h = await startApp()
    const most = 20 * 1024 * 1024
    const large = Buffer.concat([bytesOf.png, Buffer.alloc(most - bytesOf.png.length, 7)])
    const good = await upload(h, large)
    const tooLarge = await upload(h, Buffer.concat([large, Buffer.alloc(1)]))
    const [message] = (await askedWith(h, [{ type: 'text', text: 'Which?' }, shown(good), shown(tooLarge)])) ?? []
    const parts = Array.isArray(message?.content) ? message.content : []
    expect(parts).toHaveLength(2)
    expect(parts[1]?.type === 'image_url' && parts[1].image_url.url === urlOf('png', large)).toBe(true)
  })
})

describe('a picture that cannot be shown is left out, and the run goes on', () => {
  const question: Part = { type: 'text', text: 'What is it?' }

  test.each([
    ['no picture', Buffer.from('%PDF-1.7 and so on')],
    ['of another kind', Buffer.from('BM6\x00\x00\x00 a bitmap', 'latin1')],
    ['a file of RIFF that is a sound', Buffer.from('RIFF\x24\x00\x00\x00WAVEfmt ', 'latin1')],
    ['cut after a byte', bytesOf.png.subarray(0, 4)],
  ])('because it is %s', async (_, bytes) => {
    const h = await startApp()
    const [good, bad] = [await upload(h, bytesOf.gif), await upload(h, bytes, 'picture.png')]
    expect(await askedWith(h, [question, shown(bad), shown(good)])).toEqual([
      { role: 'user', content: [question, sent(urlOf('gif', bytesOf.gif))] },
    ])
  })

  test('because it was deleted, or never was; what is left is plain text', async () => {
    const h = await startApp()
    const id = await upload(h, bytesOf.png)
    await h.client.files.delete(id)
    expect(await askedWith(h, [question, shown(id), shown('file-none')])).toEqual([
      { role: 'user', content: 'What is it?' },
    ])
  })

  test('because its bytes are gone from the disk', async () => {
    const h = await startApp()
    const id = await upload(h, bytesOf.png)
    for (const name of readdirSync(h.folder, { recursive: true })) {
      if (String(name).endsWith(id)) rmSync(join(h.folder, String(name)))
    }
    expect(await askedWith(h, [question, shown(id)])).toEqual([{ role: 'user', content: 'What is it?' }])
  })

  test('and a message that has nothing else says so', async () => {
    const h = await startApp()
    const content = '[A picture was sent that cannot be shown.]'
    expect(await askedWith(h, [shown('file-none')])).toEqual([{ role: 'user', content }])
  })
})

test('a picture at an address of its own is handed on as it is', async () => {
  const h = await startApp()
  const url = 'https://example.com/a.png?size=1#2'
  expect(await askedWith(h, [{ type: 'image_url', image_url: { url, detail: 'high' } }])).toEqual([
    { role: 'user', content: [sent(url, 'high')] },
  ])
})
