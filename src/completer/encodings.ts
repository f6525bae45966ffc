/** Counts tokens; a few more than there are for very long words, in a time that is linear in the text. */
export type CountTokens = (text: string) => number

export type Encoding = 'cl100k_base' | 'o200k_base'

/** Of OpenAI's models; others are counted by the older encoding, which has more tokens for most texts. `isOwn`: exactly. */
export function encodingOf(model: string): { encoding: Encoding; isOwn: boolean } {
  const name = model.replace(/^openai\//, '')
  if (/^(?:gpt-4o|gpt-4\.\d|gpt-[5-9]|gpt-oss|chatgpt-|o\d)/.test(name)) return { encoding: 'o200k_base', isOwn: true }
  return { encoding: 'cl100k_base', isOwn: /^gpt-/.test(name) }
}

/** Some megabytes, which only long conversations need. */
export async function loadCounter(encoding: Encoding): Promise<CountTokens> {
  const { countTokens } = await import('../retrieval/extraction/tokens.ts')
  if (encoding === 'cl100k_base') return (text) => countTokens(text)
  const { countTokens: count, setMergeCacheSize } = await import('gpt-tokenizer/encoding/o200k_base')
  setMergeCacheSize(0)
  return (text) => countTokens(text, count)
}
