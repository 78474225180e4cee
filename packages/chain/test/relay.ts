import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { WebSocket, WebSocketServer } from 'ws'

type Frame = {
  id?: number
  method?: string
  params?: unknown
  result?: unknown
  error?: { code: number; message: string; data?: unknown }
}

/** Handlers that fake a bad connection. Each returns the frame, a changed frame, or null to drop it. */
type Faults = {
  toNode?(frame: Frame, connection: Connection): Frame | null
  toClient?(frame: Frame, connection: Connection): Frame | null
}
type Connection = { cut(): void; sendToClient(frame: Frame): void }

export type Relay = AsyncDisposable & { readonly url: string; faults: Faults; cut(): void }

/** Starts a relay to a node. It passes on every frame that the test's handlers do not change, drop or cut off. */
export async function startRelay(node: string): Promise<Relay> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const relay: Relay = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults: {},
    cut: () => {
      for (const client of server.clients) client.terminate()
    },
    [Symbol.asyncDispose]: async () => {
      relay.cut()
      await new Promise(resolve => server.close(resolve))
    },
  }
  server.on('connection', client => join(client, node, relay))
  return relay
}

function join(client: WebSocket, node: string, relay: Relay): void {
  const upstream = new WebSocket(node)
  const early: Frame[] = []
  const connection: Connection = {
    cut: () => client.terminate(),
    sendToClient: frame => client.send(JSON.stringify({ jsonrpc: '2.0', ...frame })),
  }
  const up = (frame: Frame): void => {
    const passed = relay.faults.toNode ? relay.faults.toNode(frame, connection) : frame
    if (passed) upstream.send(JSON.stringify(passed))
  }
  client.on('message', data => {
    const frame = JSON.parse(String(data)) as Frame
    if (upstream.readyState === WebSocket.OPEN) up(frame)
    else early.push(frame)
  })
  upstream.on('open', () => {
    for (const frame of early.splice(0)) up(frame)
  })
  upstream.on('message', data => {
    const frame = JSON.parse(String(data)) as Frame
    const passed = relay.faults.toClient ? relay.faults.toClient(frame, connection) : frame
    if (passed) client.send(JSON.stringify(passed))
  })
  upstream.on('close', () => client.terminate())
  upstream.on('error', () => client.terminate())
  client.on('close', () => upstream.terminate())
}
