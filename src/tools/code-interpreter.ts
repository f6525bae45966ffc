import type { Execution, Sandbox, SandboxFile } from '../sandbox/sandbox.ts'
import type { File } from '../schemas/files.ts'
import type { CodeInterpreterCall } from '../schemas/run-steps.ts'
import type { Run } from '../schemas/runs.ts'
import { CodeInput } from './code-input.ts'
import { told } from './code-report.ts'
import type { ServerTool, ToolContext } from './registry.ts'

export interface CodeInterpreterOptions {
  /** The sandbox, or why there is none. */
  sandbox(): Promise<Sandbox | string>
  /** What can be imported besides the standard library, in a sentence. */
  packages(): Promise<string>
  /** Files that the code of a run is to find: its assistant's and its thread's. */
  filesOf(run: Run): Promise<File[]>
  open: (file_id: string) => Promise<AsyncIterable<Uint8Array> | undefined>
  onError(error: unknown, run_id: string): void
}

/** Files of one call that can be downloaded; the code may write more of them. */
const maxFiles = 100
/** Names that the model is told; it can list the folder itself. */
const maxNames = 50

export function createCodeInterpreter(options: CodeInterpreterOptions): ServerTool<CodeInterpreterCall> {
  const { sandbox, packages, filesOf, open, onError } = options

  async function execute(running: Sandbox, code: string, { run, signal }: ToolContext) {
    const files = placed(await filesOf(run), open)
    // One session for each thread: its variables and files are there in later runs.
    const execution = await running.execute({ session: run.thread_id, code, files, signal })
    return {
      ...execution,
      omitted: [...execution.omitted, ...execution.written.slice(maxFiles).map(({ name }) => name)],
    }
  }

  return {
    type: 'code_interpreter',
    isStateful: true,

    async describe(run) {
      const running = await sandbox()
      const description =
        typeof running === 'string'
          ? `${running} Do not call this; tell the user, if code would have to be run.`
          : [
              'Runs Python as a notebook does, and tells what it printed and the value of the last line.',
              'Variables and files stay from one call to the next. There is no network.',
              await packages(),
              filesTold(placed(await filesOf(run), open)),
              'Write files for the user to /mnt/data, and link to them in the answer: [name](sandbox:/mnt/data/name).',
            ].join(' ')
      return {
        type: 'function',
        function: {
          name: 'code_interpreter',
          description,
          parameters: {
            type: 'object',
            properties: { code: { type: 'string', description: 'The Python code to run.' } },
            required: ['code'],
          },
        },
      }
    },

    begin: (_run, id) => ({
      id,
      type: 'code_interpreter',
      code_interpreter: { input: '', outputs: [] },
      model_call: { arguments: '', output: null },
    }),

    reader(call) {
      const reading = new CodeInput()
      return (piece) => {
        const input = reading.push(piece)
        if (input === '') return undefined
        call.code_interpreter.input += input
        return { type: 'code_interpreter', code_interpreter: { input } } as Partial<CodeInterpreterCall>
      }
    },

    ready: async () => {},

    async answer(call, context) {
      const { input } = call.code_interpreter
      const answered = (
        output: string,
        outputs: CodeInterpreterCall['code_interpreter']['outputs'] = [],
        written: CodeInterpreterCall['written'] = [],
      ): CodeInterpreterCall => ({
        ...call,
        code_interpreter: { input, outputs },
        model_call: { arguments: '', ...call.model_call, output },
        written,
      })
      const refused = (text: string) => answered(text, [{ type: 'logs', logs: text }])

      if (input.trim() === '') return answered('There was no code. Call code_interpreter with {"code": "the code"}.')
      const running = await sandbox()
      if (typeof running === 'string') return refused(running)
      let execution: Execution
      try {
        execution = await execute(running, input, context)
      } catch (error) {
        context.signal.throwIfAborted()
        onError(error, context.run.id)
        return refused('The code could not be run, for a reason that is not in it.')
      }
      const written = await Promise.all(
        execution.written.slice(0, maxFiles).map(async ({ name, bytes }) => ({
          path: name,
          file_id: await context.makeFile(name.slice(name.lastIndexOf('/') + 1), bytes),
        })),
      )
      const { shown, model } = told(execution, context.hasCalled)
      const outputs = await Promise.all(
        shown.map(async (output) =>
          output.type === 'logs'
            ? output
            : { type: 'image' as const, image: { file_id: await context.makeFile(output.name, output.bytes) } },
        ),
      )
      return answered(model, outputs, written)
    },
  }
}

/** Files under their names, and by links under their ids, as the hosted service had them; of one name the first has it. */
function placed(files: readonly File[], open: CodeInterpreterOptions['open']): SandboxFile[] {
  const names = new Set<string>()
  return files.map(({ id, filename, bytes }) => {
    const name = filename.split(/[/\\]/).at(-1) ?? ''
    const isFree = isUsable(name) && !names.has(name)
    names.add(name)
    return { name: isFree ? name : id, ...(isFree && { alias: id }), bytes, open: () => open(id) }
  })
}

const isUsable = (name: string) =>
  name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= 255 && !/\p{Cc}/u.test(name)

function filesTold(files: readonly SandboxFile[]): string {
  if (files.length === 0) return 'The folder /mnt/data has no files of the user.'
  const names = files.slice(0, maxNames).map(({ name, alias }) => `/mnt/data/${name}${alias ? ` (${alias})` : ''}`)
  const more = files.length > maxNames ? [`and ${files.length - maxNames} more`] : []
  return `Files of the user: ${[...names, ...more].join(', ')}.`
}
