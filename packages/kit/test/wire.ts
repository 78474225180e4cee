import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type NetConnectOpts,
  type Server,
  type Socket as TcpSocket,
} from 'node:net'
import { upgradeRouter } from '@horde/kit/http'
import { silentLog } from '@horde/kit/log'
import { dialSocket, type Socket, type SocketOptions, wrapSocket } from '@horde/kit/socket'
import type { WebSocket } from 'ws'

export const MIB = 1024 * 1024

export type TestSocket = Socket<unknown, unknown>

export const options: SocketOptions<unknown> = {
  parse: frame => (typeof frame === 'string' ? JSON.parse(frame) : frame),
  maxFrameBytes: 50 * MIB,
  log: silentLog,
}

export async function listening(server: Server, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A server that gives every WebSocket on /ws to `accept`. */
export async function startServer(accept: (ws: WebSocket) => void, port = 0) {
  const server = createServer()
  const router = upgradeRouter(server, { log: silentLog, maxPayload: 60 * MIB })
  router.onUpgrade(/^\/ws$/, accept)
  const actualPort = await listening(server, port)
  return {
    port: actualPort,
    url: `ws://127.0.0.1:${actualPort}/ws`,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Two ends of one connection. `link` puts something in between: it gets the server's port and gives its own. */
export async function connectPair(
  overrides: { near?: Partial<SocketOptions<unknown>>; far?: Partial<SocketOptions<unknown>> } = {},
  link: (port: number) => Promise<{ port: number } & AsyncDisposable> = async port => ({
    port,
    async [Symbol.asyncDispose]() {},
  }),
) {
  const accepted = Promise.withResolvers<TestSocket>()
  const stack = new AsyncDisposableStack()
  const server = stack.use(
    await startServer(ws => accepted.resolve(wrapSocket(ws, { closeTimeoutMs: 500, ...options, ...overrides.far }))),
  )
  const { port } = stack.use(await link(server.port))
  const near: TestSocket = await dialSocket(`ws://127.0.0.1:${port}/ws`, {
    closeTimeoutMs: 500,
    ...options,
    ...overrides.near,
  })
  const far = await accepted.promise
  stack.use(near)
  stack.use(far)
  return { near, far, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** A link that passes at most `bytes` each `everyMs`, in either direction. */
export function slowLink(bytes: number, everyMs: number) {
  return async (port: number) => {
    const sockets = new Set<TcpSocket>()
    const timers = new Set<NodeJS.Timeout>()
    const server = createTcpServer({ highWaterMark: bytes }, inner => {
      const outer = connect({ port, host: '127.0.0.1', highWaterMark: bytes } as NetConnectOpts)
      for (const [from, to] of [
        [inner, outer],
        [outer, inner],
      ] as const) {
        sockets.add(from)
        from.on('error', () => {})
        from.on('close', () => to.destroy())
        timers.add(setInterval(() => pass(from, to, bytes), everyMs))
      }
    })
    return {
      port: await listening(server),
      async [Symbol.asyncDispose]() {
        for (const timer of timers) clearInterval(timer)
        for (const socket of sockets) socket.destroy()
        server.close()
      },
    }
  }
}

function pass(from: TcpSocket, to: TcpSocket, bytes: number): void {
  const chunk = from.read(Math.min(bytes, from.readableLength))
  if (chunk) to.write(chunk)
}

/**
 * A peer that sends raw bytes: upgraded, and then whatever the test writes. `first` goes out with the request; the peer
 * takes up to `atOnce` bytes off the wire in one go.
 */
export async function rawPeer(port: number, first: Buffer = Buffer.alloc(0), atOnce?: number) {
  const host = { port, host: '127.0.0.1', allowHalfOpen: true, highWaterMark: atOnce }
  const socket = connect(host as NetConnectOpts)
  socket.on('error', () => {})
  const request = [
    'GET /ws HTTP/1.1',
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '\r\n',
  ]
  socket.write(Buffer.concat([Buffer.from(request.join('\r\n')), first]))
  await once(socket, 'data')
  return Object.assign(socket, { [Symbol.asyncDispose]: async () => void socket.destroy() })
}

/** A frame from a client, masked with zeros. */
export function frame(opcode: number, payload: Buffer | string, { fin = true, length = -1 } = {}): Buffer {
  const body = Buffer.from(payload)
  const head = Buffer.alloc(14)
  head[0] = (fin ? 0x80 : 0) | opcode
  head[1] = 0x80 | 127
  head.writeBigUInt64BE(BigInt(length < 0 ? body.length : length), 2)
  if (length < 0 && body.length < 126)
    return Buffer.concat([Buffer.from([head[0], 0x80 | body.length, 0, 0, 0, 0]), body])
  if (length < 0 && body.length < 65_536) {
    return Buffer.concat([Buffer.from([head[0], 0x80 | 126, body.length >> 8, body.length & 255, 0, 0, 0, 0]), body])
  }
  return Buffer.concat([head, body])
}

export async function ticks(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await new Promise(resolve => setImmediate(resolve))
}
