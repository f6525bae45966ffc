import { type Static, Type } from '@sinclair/typebox'
import { BoundedMap, mostModels } from '../../bounded-map.ts'

const Flag = Type.Boolean({ meaning: 'true or false' })

/** What a model can be asked, as far as backends differ. What it cannot is put in another way, or left out. */
export const Abilities = Type.Object(
  {
    /** Else the model is told of them in its instructions, and its calls are read from its text. */
    tools: Flag,
    /**
     * `tool_choice`. "required": a forced function is the only one that is told of, and some call is required; "auto": a
     * forced call is only asked for, in the instructions; false: so too, and nothing is sent.
     */
    toolChoice: Type.Union([Type.Boolean(), Type.Literal('required'), Type.Literal('auto')], {
      meaning: 'true, false, "required" or "auto"',
    }),
    /** The parameter `parallel_tool_calls`. */
    parallelTools: Flag,
    /** Keywords of the JSON Schemas of tools that are left out, and `strict`. */
    refusedKeywords: Type.Array(Type.String({ meaning: 'a text' }), { meaning: 'a list of texts' }),
    /** Else an answer that may have calls is asked for in one piece. */
    toolsInStream: Flag,
    /** Else the schema is in the instructions, and a JSON object is asked for. */
    jsonSchema: Flag,
    /** Else JSON is asked for in the instructions alone. */
    jsonObject: Flag,
    /** A format while there are tools; else it is in the instructions alone. */
    formatWithTools: Flag,
    /** Else a note stands in place of each, and all content is plain text. */
    images: Flag,
    /** The values that may be sent, or whether any may. */
    reasoningEffort: Type.Union([Type.Boolean(), Type.Array(Type.String())], {
      meaning: 'true, false or a list of texts',
    }),
    /** Else the effort `none` is sent while there are tools. */
    reasoningWithTools: Flag,
    /** Thoughts and signatures that came with calls are sent back with them; "always": some with the calls of others too. */
    reasoningBack: Type.Union([Type.Boolean(), Type.Literal('always')], { meaning: 'true, false or "always"' }),
    temperature: Flag,
    topP: Flag,
    /** The parameter that limits an answer. */
    maxTokens: Type.Union(
      (['max_completion_tokens', 'max_tokens', 'none'] as const).map((name) => Type.Literal(name)),
      { meaning: '"max_completion_tokens", "max_tokens" or "none"' },
    ),
    /** The most that may be asked for as an answer. */
    answerTokens: Type.Optional(Type.Integer({ minimum: 1, meaning: 'a whole number of tokens' })),
    /** The parameter `stream_options`; else tokens are counted here. */
    usageInStream: Flag,
    /** Else the instructions begin the first message of the user. */
    system: Flag,
    /** Two messages of one role in a row; else they are joined. */
    repeatedRoles: Flag,
    /** A message of the user after the outputs of calls; else one of the assistant is put between. */
    userAfterOutputs: Flag,
    /** A conversation that begins with the assistant, or ends with it; else a message of the user is put there. */
    assistantFirst: Flag,
    assistantLast: Flag,
  },
  { additionalProperties: false },
)
export type Abilities = Static<typeof Abilities>

/** What is tried with a model of which nothing is known. */
const unknown: Abilities = {
  tools: true,
  toolChoice: true,
  parallelTools: true,
  refusedKeywords: [],
  toolsInStream: true,
  jsonSchema: true,
  jsonObject: true,
  formatWithTools: true,
  images: true,
  reasoningEffort: true,
  reasoningWithTools: true,
  reasoningBack: true,
  temperature: true,
  topP: true,
  maxTokens: 'max_completion_tokens',
  usageInStream: true,
  system: true,
  repeatedRoles: true,
  userAfterOutputs: true,
  assistantFirst: true,
  assistantLast: true,
}

interface Family {
  names: RegExp
  can?: Partial<Abilities>
  /** Of the hosted service. */
  window?: number
}

/** Hosted models, by the names that their services have for them. The first that fits holds. */
const families: readonly Family[] = [
  // They refuse even the default.
  {
    names: /^o[134](?:-|$)/,
    can: { temperature: false, topP: false, parallelTools: false },
    window: 200_000,
  },
  { names: /^gpt-5(?:\.\d+)?-chat/, can: { reasoningEffort: false }, window: 128_000 },
  { names: /^gpt-5(?:[.-]|$)/, can: { temperature: false, topP: false }, window: 400_000 },
  { names: /^gpt-4\.1(?:-|$)/, can: { reasoningEffort: false }, window: 1_047_576 },
  {
    names: /^(?:chatgpt-4o|gpt-4o|gpt-4-turbo|gpt-4-1106|gpt-4-0125)(?:-|$)/,
    can: { reasoningEffort: false },
    window: 128_000,
  },
  { names: /^gpt-4(?:-0\d+)?$/, can: { reasoningEffort: false }, window: 8192 },
  { names: /^gpt-3\.5-turbo(?:-|$)/, can: { reasoningEffort: false }, window: 16_385 },
  // Of Mistral's own service; it refuses the other name.
  {
    names: /^(?:open-)?(?:mistral|mixtral|ministral|magistral|codestral|devstral|pixtral)-[\w-]*(?:latest|\d{4})$/,
    can: { maxTokens: 'max_tokens' },
  },
  // DeepSeek's own service passes over the other name without a word, and Anthropic's over a format.
  {
    names: /^deepseek-(?:chat|reasoner|(?:v\d[\d.]*-)?(?:flash|pro)(?:-\d+)?)$/,
    can: { maxTokens: 'max_tokens', jsonSchema: false },
  },
  // Moonshot's own service refuses all values but one, and not the same for all.
  { names: /^kimi-(?:k2\.\d|k[3-9]|for-coding)/, can: { temperature: false, topP: false } },
  { names: /^claude-/, can: { jsonSchema: false, jsonObject: false } },
]

function familyOf(model: string): Family | undefined {
  // Gateways put it before the same names.
  const name = model.replace(/^openai\//, '')
  return families.find(({ names }) => names.test(name))
}

/** At OpenAI: elsewhere, a model of the same name may be any. */
export const hostedWindow = (model: string): number | undefined => familyOf(model)?.window

/** What the models of one backend can be asked: known of their families, said by the operator, learned from refusals. */
export class KnownAbilities {
  readonly #families = new BoundedMap<string, Abilities>(mostModels)
  readonly #learned = new BoundedMap<string, Partial<Abilities>>(mostModels)

  of(model: string, said: Partial<Abilities> | undefined): Abilities {
    const learned = this.#learned.get(model)
    const base = this.#families.get(model) ?? this.#baseOf(model)
    return said || learned ? { ...base, ...said, ...learned } : base
  }

  /** Keeps it until the next start. False if it was known. */
  learn(model: string, lesson: Partial<Abilities>): boolean {
    if (Object.keys(lesson).length === 0) return false
    const before = this.#learned.get(model)
    const after = { ...before, ...lesson }
    if (JSON.stringify(after) === JSON.stringify(before)) return false
    this.#learned.set(model, after)
    return true
  }

  #baseOf(model: string): Abilities {
    const base = { ...unknown, ...familyOf(model)?.can }
    this.#families.set(model, base)
    return base
  }
}
