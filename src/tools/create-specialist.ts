import { Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { withoutMarks } from '../retrieval/cite.ts'
import type { Message } from '../schemas/messages.ts'
import type { FunctionCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { isFunction } from '../schemas/tools.ts'
import type { Snapshot } from '../store/store.ts'
import { linkedIn } from './code-results.ts'
import { parsed } from './custom.ts'
import type { ServerTool, ToolContext } from './registry.ts'

/** A specialist may have specialists of its own, and those none. */
const maxDepth = 2
/** Of one run, those of its specialists included. */
const maxSpecialists = 10

/** What a specialist is asked for. */
export interface Assignment {
  name: string
  instructions: string
  task: string
  model: string
  tools: Run['tools']
}

/** Runs of specialists, each on a thread of its own. */
export interface Specialists {
  /** See Store.runs.family. */
  family(run_id: string): Promise<{ depth: number; descendants: number }>
  /**
   * Begins a run that ends with its parent at the latest, and has no more to spend than that. The same call begins it once.
   * Undefined if the parent is not at work any more.
   */
  begin(call_id: string, parent: Run, assignment: Assignment, budget: ToolContext['budget']): Promise<Run | undefined>
  /** The run of a call that has begun it before. */
  begun(call_id: string): Promise<Run | undefined>
  /** The run at its end; undefined if it was deleted. When the parent is cancelled, so is this. Rejects with the signal's reason. */
  ended(run: Run, signal: AbortSignal): Promise<Snapshot | undefined>
}

const Arguments = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 256, description: 'What the specialist is called.' }),
  instructions: Type.String({ minLength: 1, description: 'Who the specialist is, and how it is to work.' }),
  task: Type.String({
    minLength: 1,
    description: 'What it is to do, with all that it needs to know: it sees nothing of this conversation.',
  }),
  model: Type.Optional(Type.String({ description: 'A model of its own, if it needs another one.' })),
  tools: Type.Optional(
    Type.Array(Type.String(), {
      description: 'Those of your tools that it may use; all but create_specialist if none are named.',
    }),
  ),
})
let compiled: TypeCheck<typeof Arguments> | undefined
/** Compiled when it is first needed: most servers never do. */
const validatorOf = () => (compiled ??= TypeCompiler.Compile(Arguments))

/** Hands a task to an agent of its own. In run steps it is a function call with its output. */
export function createCreateSpecialist(specialists: Specialists): ServerTool<FunctionCall> {
  const type = 'create_specialist'

  /** The run of the call, new or from before a crash, or why there is none. */
  async function runOf(call: FunctionCall, { run, budget }: ToolContext): Promise<Run | string> {
    const begun = await specialists.begun(call.id)
    if (begun) return begun
    const args = parsed(call.function.arguments)
    const validator = validatorOf()
    if (!validator.Check(args)) {
      const [first] = validator.Errors(args)
      return `The arguments do not fit: ${first?.path.slice(1) || 'they'}: ${first?.message}. Call again.`
    }
    const { depth, descendants } = await specialists.family(run.id)
    if (depth >= maxDepth) return 'A specialist of a specialist has none of its own. Do the task yourself.'
    if (descendants >= maxSpecialists)
      return `There have been ${descendants} specialists, and no more may be. Do the task yourself.`
    const tools = toolsFor(run, args.tools, depth + 1 < maxDepth)
    if (typeof tools === 'string') return tools
    if (Object.values(budget).includes(0)) return 'The tokens of this run are used up.'
    const assignment = { ...args, model: args.model || run.model, tools }
    return (await specialists.begin(call.id, run, assignment, budget)) ?? 'The run that asks is over.'
  }

  return {
    type,
    // Each has what the one before left of the budget.
    isStateful: true,

    async describe(run) {
      const { depth } = await specialists.family(run.id)
      const types = grantable(run, depth + 1 < maxDepth).map((tool) => tool.type)
      const description =
        'Creates a specialist, an agent with instructions of its own, hands it a task, and tells its answer. ' +
        `Tools that it can have: ${types.join(', ') || 'none'}.`
      return { type: 'function', function: { name: type, description, parameters: Arguments } }
    },

    begin: (_run, id) => ({ id, type: 'function', function: { name: type, arguments: '', output: null } }),

    ready: async () => {},

    async answer(call, context) {
      const answered = (output: string, written: FunctionCall['written'] = []): FunctionCall => ({
        ...call,
        written,
        function: { ...call.function, output },
      })
      const child = await runOf(call, context)
      if (typeof child === 'string') return answered(child)
      await context.note(call.id, `${child.thread_id}/${child.id}`)
      const end = await context.aside(specialists.ended(child, context.signal))
      if (!end) return answered('The specialist was deleted before it answered.')
      if (end.run.usage) context.spend(end.run.usage)
      return answered(outcomeOf(end), linkedIn(end.messages))
    },
  }
}

/** What can be handed on: what runs here. A client's functions are between it and the run that it started. */
const grantable = (run: Run, mayAsk: boolean) =>
  run.tools.filter((tool) => !isFunction(tool) && (mayAsk || tool.type !== 'create_specialist'))

/** The tools that a specialist gets, or why not. */
function toolsFor(run: Run, asked: readonly string[] | undefined, mayAsk: boolean): Run['tools'] | string {
  const own = grantable(run, mayAsk)
  if (!asked?.length) return own.filter((tool) => tool.type !== 'create_specialist')
  const ofClient = run.tools.filter(isFunction).find((tool) => asked.includes(tool.function.name))
  if (ofClient)
    return `'${ofClient.function.name}' is a function of the client, and specialists have none of these. Call again.`
  const missing = asked.find((name) => !own.some((tool) => tool.type === name))
  if (missing === undefined) return own.filter((tool) => asked.includes(tool.type))
  return `There is no tool '${missing}' for a specialist. There are: ${own.map((tool) => tool.type).join(', ') || 'none'}. Call again.`
}

function outcomeOf({ run, messages }: Snapshot): string {
  const said = messages.map(textOf).filter(Boolean).join('\n\n')
  switch (run.status) {
    case 'completed':
      return said || 'The specialist had nothing to say.'
    case 'incomplete':
      return `${said}\n[The specialist had to stop here: its tokens were used up.]`.trimStart()
    case 'failed':
      return `The specialist failed: ${run.last_error?.message}`
    default:
      return `The specialist was stopped before it answered (${run.status}).`
  }
}

const textOf = ({ content }: Message): string =>
  content
    .map((part) => {
      if (part.type === 'refusal') return part.refusal
      return part.type === 'text' ? withoutMarks(part.text.value, part.text.annotations) : ''
    })
    .filter(Boolean)
    .join('\n')
