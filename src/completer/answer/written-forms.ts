import type { Functions, Writing, WrittenCall } from './written-call.ts'
import { deepSeek, harmony, json, kimi, mistral, onlyHarmony, onlyJson } from './written-json.ts'
import { gemma, onlyPython, python } from './written-python.ts'
import { deepSeekTags, glm, miniMax, qwenCoder } from './written-tags.ts'

/** Where in an answer models write calls that their server does not understand, and how. */
export interface Form {
  open: string
  /** Without one, a call goes on to the end of the answer. It may be missing at the end. */
  close?: string
  writings: readonly Writing[]
  /** What its calls may begin with, without blanks: up to the name of a function, and what comes after that. */
  beginnings: readonly (readonly [before: string, after?: string])[]
}

export const withoutBlanks = (text: string) => text.replace(/\s+/g, '')

const form = (open: string, close: string | undefined, ...writings: Writing[]): Form => ({
  open,
  ...(close && { close }),
  writings,
  beginnings: writings.flatMap(({ begins }) =>
    begins.map((one) => withoutBlanks(one).split('*') as [before: string, after?: string]),
  ),
})

/** In the middle of an answer or around it. */
export const forms: readonly Form[] = [
  // Hermes, Qwen, Granite 3.1 and 4, SmolLM3 and many others; Qwen3-Coder, Nemotron 3; GLM.
  form('<tool_call>', '</tool_call>', json, qwenCoder, glm),
  // Llama 3.1; Qwen3-Coder, when it forgets the other tag.
  form('<function=', '</function>', { ...qwenCoder, begins: ['*>'] }),
  // Llama 3.1 and later.
  form('<|python_tag|>', undefined, json),
  // Llama 4.
  form('<|python_start|>', '<|python_end|>', python, json),
  form('[TOOL_CALLS]', undefined, json, mistral),
  form('<｜tool▁calls▁begin｜>', '<｜tool▁calls▁end｜>', deepSeek),
  // DeepSeek V3.2, and what comes after it.
  form('<｜DSML｜function_calls>', '</｜DSML｜function_calls>', deepSeekTags),
  form('<｜DSML｜tool_calls>', '</｜DSML｜tool_calls>', deepSeekTags),
  // Granite 3.0; Phi-4-mini, which closes it.
  form('<|tool_call|>', '<|/tool_call|>', json),
  // Jamba, Hunyuan A13B, Apriel.
  form('<tool_calls>', '</tool_calls>', json),
  // Nemotron Nano 2.
  form('<TOOLCALL>', '</TOOLCALL>', json),
  // Command R7B and Command A.
  form('<|START_ACTION|>', '<|END_ACTION|>', json),
  // InternLM 2.5 and 3.
  form('<|action_start|><|plugin|>', '<|action_end|>', json),
  form('<|tool_calls_section_begin|>', '<|tool_calls_section_end|>', kimi),
  form('<minimax:tool_call>', '</minimax:tool_call>', miniMax),
  form('<seed:tool_call>', '</seed:tool_call>', qwenCoder),
  // LFM2.
  form('<|tool_call_start|>', '<|tool_call_end|>', python, json),
  // Olmo 3.
  form('<function_calls>', '</function_calls>', python),
  // Gemma 3, FunctionGemma and Gemma 4.
  form('```tool_code', '```', python, json),
  form('<start_function_call>', '<end_function_call>', gemma),
  form('<|tool_call>', '<tool_call|>', gemma),
  // gpt-oss.
  form('<|channel|>', '<|call|>', harmony),
  form('<|start|>assistant', '<|call|>', harmony),
]

/** From the beginning of an answer to its end: Llama 3.2, Gemma 3, xLAM, small models that were shown no way. */
export const whole = form('', undefined, onlyJson, onlyPython, onlyHarmony)

/** Whether a text without blanks may go on to be calls in this form. */
export const mayBecomeCalls = ({ beginnings }: Form, text: string, functions: Functions): boolean =>
  beginnings.some(([before, after]) => {
    if (after === undefined || !text.startsWith(before)) return startsAlike(text, before)
    const rest = text.slice(before.length)
    return functions.keys().some((name) => startsAlike(rest, name + after))
  })

const startsAlike = (text: string, other: string) => text.startsWith(other) || other.startsWith(text)

export function callsOf({ writings }: Form, text: string, functions: Functions): WrittenCall[] | undefined {
  for (const writing of writings) {
    const calls = writing.read(text, functions)
    if (calls) return calls
  }
  return undefined
}
