import type { Abilities } from './request/abilities.ts'

/** What becomes of requests for a model. */
export interface Rule {
  /** A name, the beginning of names with a `*` after it, or `*` alone. */
  match: string
  /** The name of a backend. */
  backend: string
  /** What the model is called there, if not the same. */
  model?: string
  /** How many tokens it takes, prompt and answer together. */
  window?: number
  can?: Partial<Abilities>
}

export const isExact = ({ match }: Rule) => !match.endsWith('*')

/**
 * Finds the rule for a model's name: the one that is the name, else the one with the longest beginning of it. The order
 * of the rules does not matter, so none can hide another.
 */
export function createRules(rules: readonly Rule[]) {
  const exact = new Map(rules.filter(isExact).map((rule) => [rule.match, rule]))
  const prefixes = rules
    .filter((rule) => !isExact(rule))
    .map((rule) => ({ rule, prefix: rule.match.slice(0, -1) }))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)
  return (model: string): Rule | undefined =>
    exact.get(model) ?? prefixes.find(({ prefix }) => model.startsWith(prefix))?.rule
}
