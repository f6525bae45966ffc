import type { ChatCompletionCreateParams, ChatCompletionMessageParam } from 'openai/resources/chat/completions'
import type { Abilities } from './abilities.ts'
import { isForced } from './params.ts'
import { either, names, type Refused, says } from './words.ts'

type Params = ChatCompletionCreateParams

/** A refusal, and what was known before it. */
export interface Refusal {
  sent: Params
  said: string
  can: Abilities
  learned: Partial<Abilities>
}

/** What a refusal of one kind teaches. */
export interface Teaching {
  had(sent: Params): boolean
  refused: Refused
  lesson(refusal: Refusal): Partial<Abilities> | undefined
}

const plain = (lessons: Partial<Abilities>) => () => lessons

/** Of messages, and of the calls in them. */
const reasoningNames = ['reasoning_content', 'reasoning', 'reasoning_details', 'extra_content'] as const

const hasCalls = (message: ChatCompletionMessageParam) =>
  message.role === 'assistant' && message.tool_calls !== undefined
const hasReasoning = (message: ChatCompletionMessageParam) =>
  message.role === 'assistant' &&
  [message, ...(message.tool_calls ?? [])].some((part) => reasoningNames.some((name) => name in part))
const hasTools = (sent: Params) => sent.tools !== undefined
const formatIn = (sent: Params) => sent.response_format?.type ?? 'text'
const rolesIn = (sent: Params) => sent.messages.map(({ role }) => role)
const withoutSystem = (sent: Params) => rolesIn(sent).filter((role) => role !== 'system')

/** OpenAI; Anthropic; DeepSeek; Groq. */
const mostTokens =
  /supports at most (\d+) (?:completion|output) tokens|max_tokens: \d+ > (\d+), which is the maximum|valid range of max_tokens is \[\d+, ?(\d+)\]|max_(?:completion_)?tokens['"`]? must be less than or equal to ['"`]?(\d+)/i

/** Gemini, and gateways to it; servers that check a request with Pydantic: within a tool, not of the request itself. */
const refusedKeyword =
  /unknown name \\?"(?<a>[$\w]+)\\?" at '[\w.]*(?:tools?\[\d+\]|response_(?:json_)?schema)|loc['"]: ?[[(](?:['"]body['"], ?)?['"]tools['"], ?[^\])]*['"](?<b>[$\w]+)['"],?[\])][^}]*(?:extra_forbidden|not permitted)/i

/** The first that fits holds: what is more special comes first. */
export const teachings: readonly Teaching[] = [
  {
    had: (sent) => hasTools(sent) && sent.stream === true,
    // llama.cpp, Bedrock, and others in the like words.
    refused: says(
      /(?:cannot|can't|not|n't|unsupported)[^.]{0,40}\btool[^.]{0,30}\bstream|stream(?:ing)?\b[^.]{0,40}(?:not|cannot|n't|unsupported)[^.]{0,40}\btool|\btools?\b[^.]{0,30}not supported[^.]{0,30}stream/i,
    ),
    lesson: plain({ toolsInStream: false }),
  },
  {
    had: (sent) => hasTools(sent) && formatIn(sent) !== 'text',
    // llama.cpp, Groq, Gemini.
    refused: says(
      /grammar constraints with tools|(?:json mode|response_?format|structured outputs?)[^.]{0,40}(?:cannot|can't|not)[^.]{0,30}tool|function calling with a response mime type/i,
    ),
    lesson: plain({ formatWithTools: false }),
  },
  {
    had: (sent) => hasTools(sent) || formatIn(sent) === 'json_schema',
    refused: says(refusedKeyword),
    lesson({ said, sent, can: { refusedKeywords: known } }) {
      const found = Array.from(
        said.matchAll(new RegExp(refusedKeyword, 'gi')),
        ({ groups = {} }) => groups.a ?? groups.b,
      )
      // Keywords that are not there cannot be left out.
      const asked = JSON.stringify([sent.tools, sent.response_format])
      const there = found.filter((name) => name !== undefined && asked.includes(JSON.stringify(name)))
      return { refusedKeywords: [...new Set([...known, ...there])] as string[] }
    },
  },
  {
    had: (sent) => formatIn(sent) !== 'text',
    refused: (said, param) =>
      // A schema that is refused is another matter.
      !/invalid schema/i.test(said) &&
      either(
        names('response_format'),
        // OpenAI, Groq; DeepSeek; llama.cpp and LM Studio; TGI; Azure.
        says(
          /json_(?:schema|object)[^.]{0,40}(?:not supported|unsupported|unavailable|not available|only for api versions)|not support[^.]{0,40}json_(?:schema|object)|response_format type is unavailable|response_format(?:\.type)?['"`]? (?:type )?must be|unknown variant `json_(?:schema|object)`/i,
        ),
      )(said, param),
    lesson: ({ sent }) => (formatIn(sent) === 'json_schema' ? { jsonSchema: false } : { jsonObject: false }),
  },
  {
    had: hasTools,
    refused: either(
      names('tool_choice'),
      // Anthropic, vLLM of old, DeepSeek's and Qwen's thinking models.
      says(
        /tool_choice[^.]{0,20}(?:forces|required|named|object)[^.]{0,40}(?:not|thinking|may)|thinking may not[^.]*tool_choice/i,
      ),
    ),
    lesson: ({ sent: { tool_choice } }) =>
      tool_choice === undefined ? undefined : { toolChoice: isForced(tool_choice) ? 'auto' : false },
  },
  {
    had: (sent) => sent.parallel_tool_calls !== undefined,
    refused: names('parallel_tool_calls'),
    lesson: plain({ parallelTools: false }),
  },
  {
    had: hasTools,
    refused: either(
      names('tools'),
      // Ollama; OpenRouter; llama.cpp; vLLM; Groq.
      says(
        /not support (?:tools?|tool[ _-]?(?:use|calls?|calling)|function[ _-]?call(?:s|ing)|functions)\b|no endpoints found that support tool use|tools (?:param )?requires? --jinja|requires --enable-auto-tool-choice|(?:tool|function)[ _-]calling[`'"]? is not (?:supported|enabled)/i,
      ),
    ),
    lesson: plain({ tools: false }),
  },
  {
    had: (sent) => sent.messages.some(({ content }) => Array.isArray(content)),
    refused: says(
      /image(?:_url|s| inputs?)?['"`]? (?:content )?(?:is|are) (?:not|only) (?:supported|enabled)|not support[^.]{0,20}(?:image|vision|multimodal)|no endpoints found that support image|not a multimodal model|at most 0 image|unknown variant `image_url`|unsupported content (?:part )?type|content['"`]?[^.]{0,20}must be a string|does not have vision/i,
    ),
    lesson: plain({ images: false }),
  },
  {
    had: (sent) => hasTools(sent) && sent.reasoning_effort !== 'none',
    // OpenAI's since GPT-5.4.
    refused: says(/function tools with reasoning_effort are not supported/i),
    lesson: plain({ reasoningWithTools: false }),
  },
  {
    had: (sent) => sent.reasoning_effort !== undefined,
    // The last two are Ollama's.
    refused: either(
      names('reasoning_effort'),
      says(/reasoning_effort['"`]? must be one of|not support thinking|invalid reasoning value/i),
    ),
    lesson({ said, sent }) {
      // "Supported values are: 'low', 'medium', and 'high'."
      const [, list = ''] = /(?:supported values are|must be(?: one of)?):? ([^.]*)/i.exec(said) ?? []
      const values = Array.from(list.matchAll(/['"`](\w+)['"`]/g), ([, value = '']) => value)
      const others = values.filter((value) => value !== sent.reasoning_effort)
      return { reasoningEffort: others.length > 0 ? others : false }
    },
  },
  {
    had: (sent) => sent.messages.some(hasCalls),
    // DeepSeek; Kimi.
    refused: says(/reasoning_content\W{0,3} (?:in the thinking mode )?(?:must be passed back|is missing)/i),
    lesson: reasoningBack('always'),
  },
  {
    had: (sent) => sent.messages.some(hasReasoning),
    // Any by the name; DeepSeek's older models.
    refused: either(...reasoningNames.map(names), says(/remove the reasoning_content/i)),
    lesson: reasoningBack(false),
  },
  // Anthropic's newer models: "`temperature` and `top_p` cannot both be specified"; Moonshot's.
  {
    had: (sent) => sent.top_p !== undefined,
    refused: either(names('top_p'), says(/top_p[^.]{0,10} cannot both be specified|invalid top_p: only /i)),
    lesson: plain({ topP: false }),
  },
  {
    had: (sent) => sent.temperature !== undefined,
    refused: either(names('temperature'), says(/only temperature=1 is supported|invalid temperature: only /i)),
    lesson: plain({ temperature: false }),
  },
  {
    had: (sent) => limitIn(sent) !== undefined,
    refused: says(mostTokens),
    lesson({ said, sent }) {
      const answerTokens = Number(mostTokens.exec(said)?.slice(1).find(Boolean))
      return answerTokens > 0 && answerTokens < Number(limitIn(sent)) ? { answerTokens } : undefined
    },
  },
  {
    had: (sent) => hasLimit(sent, 'max_completion_tokens'),
    refused: names('max_completion_tokens'),
    lesson: otherLimit,
  },
  { had: (sent) => hasLimit(sent, 'max_tokens'), refused: names('max_tokens'), lesson: otherLimit },
  {
    had: (sent) => sent.stream_options !== undefined,
    refused: names('stream_options'),
    lesson: plain({ usageInStream: false }),
  },
  {
    had: (sent) => rolesIn(sent).includes('system'),
    // Gemma's and Mistral's templates; OpenAI's o1-mini; Gemini's Gemma; Qwen's templates.
    refused: says(
      /system (?:role|messages?|prompts?|instructions?) (?:is |are )?(?:not|n't) (?:supported|allowed|enabled)|not support (?:the |a )?['"`]?system|developer instruction is not enabled|unsupported role:? ['"`]?system|only user and assistant roles|system message must be at the beginning/i,
    ),
    lesson: plain({ system: false }),
  },
  {
    had: (sent) => rolesIn(sent).at(-1) === 'assistant',
    // Mistral; Anthropic; llama.cpp with a thinking model.
    refused: says(/expected last role|must end with a user message|assistant (?:message |response )?prefill/i),
    lesson: plain({ assistantLast: false }),
  },
  {
    had: (sent) => withoutSystem(sent)[0] === 'assistant',
    refused: says(/first message must (?:be|use|have)[^.]*user/i),
    lesson: plain({ assistantFirst: false }),
  },
  {
    had: ({ messages }) => messages.some(({ role }, at) => role === 'user' && messages[at - 1]?.role === 'tool'),
    // Mistral.
    refused: says(/unexpected role '?user'? after role '?tool/i),
    lesson: plain({ userAfterOutputs: false }),
  },
  {
    had: () => true,
    refused: says(
      /roles? must alternate|must alternate between|2 or more assistant messages|consecutive [^.]{0,30}(?:messages|roles)/i,
    ),
    lesson: turnsOf,
  },
]

const limitIn = (sent: Params) => sent.max_completion_tokens ?? sent.max_tokens ?? undefined
const hasLimit = (sent: Params, name: 'max_tokens' | 'max_completion_tokens') => sent[name] !== undefined

/** Of the two names, the other one; neither if that was refused too. */
function otherLimit({ can, learned }: Refusal): Partial<Abilities> {
  if (learned.maxTokens !== undefined) return { maxTokens: 'none' }
  return { maxTokens: can.maxTokens === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens' }
}

/** A backend that refuses both is not to be helped. */
function reasoningBack(value: Abilities['reasoningBack']) {
  return ({ learned }: Refusal) => (learned.reasoningBack === undefined ? { reasoningBack: value } : undefined)
}

/** Templates say all that they cannot do in these words; so one thing after the other is mended. */
function turnsOf({ sent }: Refusal): Partial<Abilities> | undefined {
  const roles = rolesIn(sent)
  const turns = withoutSystem(sent)
  if (turns.some((role, index) => role !== 'tool' && role === turns[index - 1])) return { repeatedRoles: false }
  if (turns[0] === 'assistant') return { assistantFirst: false }
  if (roles.includes('system')) return { system: false }
  return roles.includes('tool') ? { tools: false } : undefined
}
