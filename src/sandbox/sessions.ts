import { turn, type WaitingLine } from '../waiting-line.ts'
import { isFileName } from './frames.ts'
import type { InterpreterProcess } from './interpreter-process.ts'
import type { ExecuteRequest, Execution, Sandbox, SandboxLimits } from './sandbox.ts'

interface Session {
  process: InterpreterProcess | undefined
  /** Settles when nobody who has asked so far still waits or runs. */
  last: Promise<unknown>
  calls: number
  timer: NodeJS.Timeout | undefined
}

/** Sessions in front of any driver: each is a process, which is started when there is something to do. */
export function createSessions(
  driver: Sandbox['driver'],
  limits: SandboxLimits,
  start: () => Promise<InterpreterProcess>,
): Sandbox {
  // In the order of their last use.
  const sessions = new Map<string, Session>()
  const waiting: WaitingLine = []
  const closing = new AbortController()

  const end = async (id: string, session: Session) => {
    clearTimeout(session.timer)
    if (sessions.get(id) === session) sessions.delete(id)
    session.process?.kill()
    await session.process?.ended
    waiting.shift()?.()
  }
  const makeRoom = async (signal: AbortSignal) => {
    while (sessions.size >= limits.sessions) {
      const unused = sessions.entries().find(([, session]) => session.calls === 0)
      if (unused) await end(...unused)
      // Called when it is worth looking again.
      else await turn(waiting, signal)
    }
  }
  const take = async (id: string, signal: AbortSignal): Promise<Session> => {
    let session = sessions.get(id)
    if (!session) await makeRoom(signal)
    // Another call may have made it meanwhile.
    session = sessions.get(id) ?? { process: undefined, last: Promise.resolve(), calls: 0, timer: undefined }
    sessions.delete(id)
    sessions.set(id, session)
    clearTimeout(session.timer)
    session.calls++
    return session
  }
  const giveBack = (id: string, session: Session) => {
    session.calls--
    if (session.calls > 0) return
    if (!session.process?.isAlive()) return void end(id, session)
    session.timer = setTimeout(() => void end(id, session), limits.idleMs).unref()
    waiting.shift()?.()
  }
  const run = async (session: Session, request: ExecuteRequest): Promise<Execution> => {
    request.signal.throwIfAborted()
    if (!session.process?.isAlive()) session.process = await start()
    if (closing.signal.aborted) session.process.kill()
    const files = request.files.filter(({ name }) => isFileName(name))
    const execution = await session.process.execute({ ...request, files })
    for (const file of request.files) if (!isFileName(file.name)) execution.absent.push(file.name)
    return execution
  }

  return {
    driver,
    async execute(given) {
      const request = { ...given, signal: AbortSignal.any([given.signal, closing.signal]) }
      request.signal.throwIfAborted()
      const session = await take(request.session, request.signal)
      const running = session.last.then(() => run(session, request))
      session.last = running.catch(() => {}).then(() => giveBack(request.session, session))
      return await running
    },
    async endSession(id) {
      const session = sessions.get(id)
      if (session) await end(id, session)
    },
    async close() {
      closing.abort(new Error('The sandbox is closed.'))
      const all = Array.from(sessions.values(), ({ last }) => last)
      await Promise.all(Array.from(sessions, (entry) => end(...entry)))
      await Promise.all(all)
    },
  }
}
