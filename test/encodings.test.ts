import { countTokens as cl100k } from 'gpt-tokenizer/encoding/cl100k_base'
import { countTokens as o200k } from 'gpt-tokenizer/encoding/o200k_base'
import { expect, test } from 'vitest'
import { encodingOf, loadCounter } from '../src/completer/encodings.ts'

test.for([
  ['gpt-4o-mini', 'o200k_base'],
  ['openai/gpt-4o', 'o200k_base'],
  ['gpt-4.1', 'o200k_base'],
  ['gpt-5-nano', 'o200k_base'],
  ['o3-mini', 'o200k_base'],
  ['gpt-4', 'cl100k_base'],
  ['gpt-4-turbo', 'cl100k_base'],
  ['gpt-3.5-turbo', 'cl100k_base'],
  ['qwen3:4b', 'cl100k_base'],
  ['ollama/gpt-4o', 'cl100k_base'],
] as const)('%s is counted by %s', ([model, encoding]) => {
  expect(encodingOf(model).encoding).toBe(encoding)
})

const texts = [
  'The quick brown fox jumps over the lazy dog, twice a day.',
  'async function main() { const answer = await fetch("https://example.com/a?b=c"); return answer.json() }',
  'Der Donaudampfschifffahrtsgesellschaftskapitän aß Äpfel.',
  '東京タワーは高さ三百三十三メートルです。',
  '👩‍👩‍👧‍👦 🇮🇸 1234567890 \t\n\n  x',
  '{"a": [1, 2, {"b": null}], "ключ": "значение"}',
]

test.for([
  ['cl100k_base', cl100k],
  ['o200k_base', o200k],
] as const)('%s: no fewer tokens than there are, and few more', async ([encoding, exact]) => {
  const count = await loadCounter(encoding)
  for (const text of texts) {
    expect(count(text), text).toBeGreaterThanOrEqual(exact(text))
    expect(count(text), text).toBeLessThanOrEqual(exact(text) * 1.25 + 4)
  }
})

test('a text that is made to be dear is counted in a moment', async () => {
  const count = await loadCounter('o200k_base')
  const texts = ['a'.repeat(1_000_000), ' '.repeat(1_000_000), '='.repeat(1_000_000), '👨‍'.repeat(200_000)]
  for (const text of texts) expect(count(text)).toBeLessThanOrEqual(Buffer.byteLength(text))
})
