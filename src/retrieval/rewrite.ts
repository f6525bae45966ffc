// What a question has around its matter.
const asking =
  /^(?:please\s+)?(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?)?(?:tell|show|give|find|explain|search|list|look\s+up|describe)(?:\s+(?:me|us|to\s+me|for))?(?:\s+about)?\s+|^(?:please\s+)?(?:i\s+(?:want|need|would\s+like)\s+to\s+know|do\s+you\s+know)\s+/i
const interrogative =
  /^(?:what|which|who|whom|whose|when|where|why|how(?:\s+(?:many|much|long|often))?)(?:['’]s|\s+(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had))?\s+(?:(?:the|a|an|i|we|you|it|there)\s+)?/i

/** A question as search words: without courtesies, its question word and its question mark. */
export function keywordsOf(query: string): string {
  const bare = query
    .trim()
    .replace(asking, '')
    .replace(interrogative, '')
    .replace(/[?!.\s]+$/, '')
  return bare || query
}
