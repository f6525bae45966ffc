import type { AddressInfo } from 'node:net'
import { buildApp } from './app.ts'
import type { Services } from './services.ts'

export interface Server {
  /** Where it listens: `http://127.0.0.1:3000`. */
  url: string
  /** Takes no new requests, lets runs come to rest for a while, ends streams, and closes everything. */
  close(): Promise<void>
}

const sweepMs = 3_600_000

/** Listens and works on runs. */
export async function serve(services: Services): Promise<Server> {
  const { config, logger, executor, ingestor, codeSandbox, bus, files } = services
  const app = buildApp(services)
  const { HOST: host, PORT: port } = config
  await app.listen({ host, port, listenTextResolver: (url) => `listening on ${url}/v1` })
  executor.start()
  ingestor.start()
  void codeSandbox.ready()
  const sweep = () => files.sweep().catch((error) => logger.error(error, 'not all that is over could be deleted'))
  const sweeping = setInterval(sweep, sweepMs)
  void sweep()
  const address = app.server.address() as AddressInfo

  return {
    url: `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`,
    async close() {
      clearInterval(sweeping)
      const closed = app.close()
      await executor.stop(config.SHUTDOWN_SECONDS * 1000)
      // Streams whose runs came to rest have ended by themselves; the others are told that theirs will go on.
      bus.close()
      // Connections that clients keep open close when their last answer has gone.
      const closing = setInterval(() => app.server.closeIdleConnections(), 50)
      await closed
      clearInterval(closing)
      await services.close()
    },
  }
}
