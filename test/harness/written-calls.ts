/** The name of a function and what it is to look up. */
export type Wanted = readonly [name: string, q: string]

/** How a family of models writes calls. */
export interface Family {
  family: string
  write(...calls: Wanted[]): string
  /** No text may stand before the calls. */
  isFirst: boolean
  /** No text may stand after them. */
  isLast: boolean
}

interface Around {
  open?: string
  between?: string
  close?: string
  isFirst?: boolean
  isLast?: boolean
}

type One = (name: string, q: string, number: number) => string

const like = (family: string, one: One, around: Around = {}): Family => {
  const { open = '', between = '', close = '', isFirst = false, isLast = false } = around
  const write = (...calls: Wanted[]) => open + calls.map(([name, q], n) => one(name, q, n)).join(between) + close
  return { family, write, isFirst, isLast }
}

export const spoken = (name: string, q: string, key = 'arguments', nameKey = 'name') =>
  `{"${nameKey}": "${name}", "${key}": {"q":"${q}"}}`

const json: One = (name, q) => spoken(name, q)
const cohere: One = (name, q) => spoken(name, q, 'parameters', 'tool_name')
const cohereWithId: One = (name, q, n) => `{"tool_call_id": "${n}", ${cohere(name, q, n).slice(1)}`
const python: One = (name, q) => `${name}(q='${q}')`
const seed: One = (name, q) => `<function=${name}>\n<parameter=q>${q}</parameter>\n</function>`
const invoke =
  (mark = '', attribute = ''): One =>
  (name, q) =>
    `<${mark}invoke name="${name}">\n<${mark}parameter name="q"${attribute}>${q}</${mark}parameter>\n</${mark}invoke>\n`

const list = (before: string, after: string, more: Around = {}): Around => ({
  ...{ open: `${before}[`, between: ', ', close: `]${after}` },
  ...more,
})
const only = { isFirst: true, isLast: true }

/** Each as it is in the templates, or in the tests of llama.cpp, vLLM, SGLang or Ollama. */
export const families: readonly Family[] = [
  like(
    'GLM-4.5 and 4.6',
    (name, q) => `<tool_call>${name}\n<arg_key>q</arg_key>\n<arg_value>${q}</arg_value>\n</tool_call>`,
  ),
  like('GLM-4.7', (name, q) => `<tool_call>${name}<arg_key>q</arg_key><arg_value>${q}</arg_value></tool_call>`),
  like('Granite 3.0', json, list('<|tool_call|>', '', { isLast: true })),
  like('Granite 3.1', json, list('<tool_call>', '', { isLast: true })),
  like('Phi-4-mini', json, list('<|tool_call|>', '<|/tool_call|>')),
  like('Phi-4-mini with functools', json, list('functools', '', only)),
  like(
    'Kimi K2',
    (name, q, n) =>
      `<|tool_call_begin|>functions.${name}:${n}<|tool_call_argument_begin|>{"q":"${q}"}<|tool_call_end|>`,
    { open: '<|tool_calls_section_begin|>', close: '<|tool_calls_section_end|>' },
  ),
  like(
    'gpt-oss',
    (name, q) =>
      `<|start|>assistant<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>{"q":"${q}"}<|call|>`,
  ),
  like(
    'gpt-oss with the function before the channel',
    (name, q) =>
      `<|start|>assistant to=functions.${name}<|channel|>analysis <|constrain|>json<|message|>{"q":"${q}"}<|call|>`,
  ),
  like('MiniMax M2', invoke(), { open: '<minimax:tool_call>\n', close: '</minimax:tool_call>' }),
  ...[
    ['V3.2', 'function_calls'],
    ['V4', 'tool_calls'],
  ].map(([version, tag]) =>
    like(`DeepSeek ${version}`, invoke('｜DSML｜', ' string="true"'), {
      open: `<｜DSML｜${tag}>\n`,
      close: `</｜DSML｜${tag}>`,
    }),
  ),
  like('Seed-OSS', (...call) => `<seed:tool_call>\n${seed(...call)}\n</seed:tool_call>`),
  like('Hunyuan A13B, Jamba', json, list('<tool_calls>', '</tool_calls>')),
  like('Nemotron Nano 2', json, list('<TOOLCALL>', '</TOOLCALL>')),
  like('Command R7B', cohereWithId, list('<|START_ACTION|>', '<|END_ACTION|>')),
  like('Command R+', cohere, list('Action:\n```json\n', '\n```', only)),
  like('InternLM 2.5', (name, q) => `<|action_start|><|plugin|>\n${spoken(name, q, 'parameters')}<|action_end|>`),
  like('xLAM', json, list('', '', only)),
  like('Llama 3.2, Gemma 3', python, list('', '', only)),
  like('Llama 4', python, list('<|python_start|>', '<|python_end|>')),
  like('LFM2', python, list('<|tool_call_start|>', '<|tool_call_end|>')),
  like('Olmo 3', python, { open: '<function_calls>', between: '\n', close: '</function_calls>' }),
  like('Gemma 3 with tool_code', (...call) => `print(default_api.${python(...call)})\n`, {
    open: '```tool_code\n',
    close: '```',
  }),
  like('FunctionGemma', (name, q) => `<start_function_call>call:${name}{q:<escape>${q}<escape>}<end_function_call>`),
  like('Gemma 4', (name, q) => `<|tool_call>call:${name}{q:<|"|>${q}<|"|>}<tool_call|>`),
]
