import { countTokens as otherTokens } from 'gpt-tokenizer/encoding/r50k_base'
import { describe, expect, test } from 'vitest'
import { Scale } from '../src/runs/tokens.ts'
import { type Harness, startApp } from './harness/app.ts'
import type { Turn } from './harness/backend.ts'
import { atRest, converse } from './harness/engine.ts'

/** A model with an encoding of its own, whose chat template puts five tokens around each message. */
const counting: Turn = ({ body, chunk, end }) => {
  const prompt_tokens = body.messages.reduce((sum, { content }) => sum + otherTokens(String(content)) + 5, 10)
  chunk({ content: 'Yes.' })
  chunk({}, 'stop')
  end({ prompt_tokens, completion_tokens: 2, total_tokens: prompt_tokens + 2 })
}

const texts = {
  English: (n: number) =>
    `${n}. The boxes for order #${n * 7919} left the depot in Reykjavík at ${n % 24}:15, a day late.`,
  code: (n: number) => `  const total${n} = items.map((item) => item.price * ${n}).reduce((a, b) => a + b, 0)\n`,
  German: (n: number) => `${n}. Die Bestellung ist unterwegs; bitte richten Sie der Kundin aus, dass sie später kommt.`,
  Chinese: (n: number) => `第${n}条:订单已经离开仓库,请告诉客户它会晚一天到达,并询问这样是否可以。`,
}

async function threadOf(h: Harness, text: (n: number) => string, model?: string) {
  const messages = Array.from({ length: 200 }, (_, n) => ({ role: 'user' as const, content: text(n) }))
  const { assistant } = await converse(h.client, { tools: [], ...(model && { model }) })
  const thread = await h.client.beta.threads.create({ messages: messages.slice(0, 32) })
  for (const message of messages.slice(32)) await h.client.beta.threads.messages.create(thread.id, message)
  return async (max_prompt_tokens: number) => {
    const body = { assistant_id: assistant.id, max_prompt_tokens }
    const run = await atRest(h.client, await h.client.beta.threads.runs.create(thread.id, body))
    expect(run.status).toBe('completed')
    return run.usage?.prompt_tokens ?? 0
  }
}

describe('a model that has other tokens than those that are counted', () => {
  test.for(['English', 'code', 'German'] as const)(
    'is sent no more than the budget, and most of it: %s',
    async (kind) => {
      const h = await startApp()
      h.backend.otherwise = counting
      const spent = await threadOf(h, texts[kind])
      for (const budget of [600, 900, 2500]) {
        const used = await spent(budget)
        expect(used).toBeLessThanOrEqual(budget)
        expect(used).toBeGreaterThan(budget * 0.6)
      }
    },
  )

  test('is known by its own usage from the second call on, however it counts', async () => {
    const h = await startApp()
    h.backend.otherwise = counting
    const spent = await threadOf(h, texts.Chinese)
    expect(await spent(1000)).toBeGreaterThan(1000)
    for (const budget of [700, 1000, 3000]) {
      const used = await spent(budget)
      expect(used).toBeLessThanOrEqual(budget)
      expect(used).toBeGreaterThan(budget * 0.8)
    }
  })

  test('is known by the name that the backend has for it', async () => {
    const h = await startApp({ env: { MODELS: 'gpt-4o=other,gpt-4.1=other' } })
    h.backend.otherwise = counting
    const [first, second] = [await threadOf(h, texts.code, 'gpt-4o'), await threadOf(h, texts.Chinese, 'gpt-4.1')]
    expect(await first(900)).toBeLessThanOrEqual(900)
    await second(900)
    expect(await second(900)).toBeLessThanOrEqual(900)
  })
})

test('what backends report is believed within reason', () => {
  const scale = new Scale(1.25)
  expect([scale.sure, scale.careful]).toEqual([1, 1.25])
  for (const [counted, reported] of [
    [100, 300],
    [1000, 0],
    [1000, 10],
    [1000, 9000],
  ] as const) {
    scale.learn(counted, reported)
    expect([scale.sure, scale.careful]).toEqual([1, 1.25])
  }
  scale.learn(1000, 800)
  expect([scale.sure, scale.careful]).toEqual([1, 1])
  scale.learn(1000, 1500)
  expect([scale.sure, scale.careful]).toEqual([1.545, 1.545])
  for (let n = 0; n < 8; n++) scale.learn(1000, 1100)
  expect(scale.sure).toBeCloseTo(1.133)
})
