import type { ChatCompletionFunctionTool, ChatCompletionToolChoiceOption } from 'openai/resources/chat/completions'
import type { ResponseFormat } from '../../schemas/tools.ts'

/** In the form that most models without tools of their own have seen: that of Hermes and Qwen. */
export function tellTools(tools: readonly ChatCompletionFunctionTool[], parallel: boolean): string {
  const functions = tools.map((tool) => JSON.stringify(tool.function)).join('\n')
  return `You can call these functions:
<tools>
${functions}
</tools>
To call one, write nothing but its name and its arguments, as JSON, in this form:
<tool_call>
{"name": "<name of the function>", "arguments": {<its arguments>}}
</tool_call>
${parallel ? 'To call several, write that once for each.' : 'Call one at a time.'} Then wait: their outputs come in <tool_response> tags. Call a function only if you need its output.`
}

export function askForCall(choice: ChatCompletionToolChoiceOption): string {
  const name = typeof choice === 'object' && 'function' in choice ? choice.function.name : undefined
  return name ? `Call the function '${name}' now.` : 'Call at least one function now.'
}

export function tellFormat(format: Exclude<ResponseFormat, 'auto'>): string {
  const json = 'Answer with one JSON object and nothing else: no text around it, no code fence.'
  const schema = format.type === 'json_schema' ? format.json_schema.schema : undefined
  return schema ? `${json} It must be valid by this JSON Schema:\n${JSON.stringify(schema)}` : json
}
