/** A line to the miner that a test can freeze and cut, as networks do. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type BadLine = AsyncDisposable & {
  url: string
  /** From now on nothing that the miner says gets through, though its kernel goes on taking it. */
  freeze(): void
  /** Ends all connections without a word. */
  cut(): void
}

export async function openBadLine(minerPort: number): Promise<BadLine> {
  const sockets = new Set<Socket>()
  const fromMiner = new Set<Socket>()
  const server = createServer(near => {
    const far = connect({ host: '127.0.0.1', port: minerPort })
    fromMiner.add(far)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {})
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    freeze() {
      for (const far of fromMiner) far.unpipe().pause()
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}
