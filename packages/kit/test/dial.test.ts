import { createServer } from 'node:http'
import { createServer as createTcpServer, type Socket as TcpSocket } from 'node:net'
import { createLog } from '@horde/kit/log'
import { keepConnected } from '@horde/kit/reconnect'
import { DialError, type DialOptions, dialSocket, wrapSocket } from '@horde/kit/socket'
import { freePort } from '@horde/testing/port'
import { expect, test } from 'vitest'
import { listening, options, startServer, type TestSocket } from './wire.ts'

/** A port that no test listens on. */
const UNUSED_PORT = 1

/** A TCP server that calls the test's function for each connection, and knows when all connections are closed. */
async function tcpServer(onConnection: (socket: TcpSocket) => void = () => {}) {
  const connected: Promise<unknown>[] = []
  const arrived = Promise.withResolvers<void>()
  const server = createTcpServer(socket => {
    connected.push(new Promise(resolve => socket.once('close', resolve)))
    socket.on('error', () => {})
    socket.resume()
    onConnection(socket)
    arrived.resolve()
  })
  const port = await listening(server)
  return {
    url: `ws://127.0.0.1:${port}/v0.1/executor_interface/hush`,
    arrived: arrived.promise,
    allGone: async () => Promise.all(connected),
    count: () => connected.length,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

function dial(url: string, overrides: Partial<DialOptions<unknown>> = {}): Promise<TestSocket> {
  return dialSocket(url, { ...options, ...overrides })
}

async function failed(dialling: Promise<unknown>): Promise<DialError> {
  const error = await dialling.catch(error => error)
  if (!(error instanceof DialError)) throw new Error('no DialError', { cause: error })
  expect(error.message).not.toContain('hush')
  return error
}

test.each([401, 404, 503, 302, 200])('rejects with the status %i of the peer', async status => {
  const server = createServer((_, response) => response.writeHead(status, { location: 'ws://x/' }).end('secret body'))
  server.on('upgrade', (_, socket) => {
    socket.end(`HTTP/1.1 ${status} No\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 11\r\n\r\nsecret body`)
  })
  const port = await listening(server)
  const gone = new Promise(resolve => server.once('connection', socket => socket.once('close', resolve)))
  const error = await failed(dial(`ws://127.0.0.1:${port}/`))
  expect(error.status).toBe(status)
  expect(error.message).toBe(`127.0.0.1:${port} refused the connection with status ${status}`)
  await gone
  server.close()
})

test('rejects when nothing listens on the port', async () => {
  const error = await failed(dial(`ws://127.0.0.1:${UNUSED_PORT}/hush`))
  expect(error).toMatchObject({ status: undefined, cause: { code: 'ECONNREFUSED' } })
})

test('gives up a peer that never answers, and closes the connection', async () => {
  await using server = await tcpServer()
  const error = await failed(dial(server.url, { handshakeTimeoutMs: 100 }))
  expect(error.message).toMatch(/did not answer within 100 ms/)
  await server.allGone()
})

test('gives up a peer that answers too slowly', async () => {
  await using server = await tcpServer(socket => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\n')
    const timer = setInterval(() => socket.write('X-Wait: 1\r\n'), 10)
    socket.on('close', () => clearInterval(timer))
  })
  await failed(dial(server.url, { handshakeTimeoutMs: 200 }))
  await server.allGone()
})

test.each([
  ['garbage', 'hello\r\n\r\n'],
  ['a wrong key', 'HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n'],
  ['another protocol', 'HTTP/1.1 101 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'],
  ['a hang-up', ''],
])('a peer that answers with %s', async (_, answer) => {
  await using server = await tcpServer(socket => socket.end(answer))
  expect(await failed(dial(server.url))).toMatchObject({ status: undefined })
  await server.allGone()
})

test('rejects with the reason of an abort, and closes the connection', async () => {
  await using server = await tcpServer()
  const stop = new AbortController()
  const dialling = dial(server.url, { signal: stop.signal })
  await server.arrived
  stop.abort('enough')
  await expect(dialling).rejects.toBe('enough')
  await server.allGone()
})

test('does not dial after an abort, and ignores an abort once connected', async () => {
  await using idle = await tcpServer()
  await expect(dial(idle.url, { signal: AbortSignal.abort('before') })).rejects.toBe('before')
  expect(idle.count()).toBe(0)
  await using server = await startServer(ws => void wrapSocket(ws, options))
  const stop = new AbortController()
  await using socket = await dial(server.url, { signal: stop.signal })
  stop.abort()
  await socket.send('still here')
  expect(socket.isOpen).toBe(true)
})

test.each(['', 'hush', 'http://127.0.0.1/hush', 'ws://', 'ws://h/#hush'])('rejects the URL %j', async url => {
  await failed(dial(url))
})

test('sends headers', async () => {
  const asked = Promise.withResolvers<string | undefined>()
  await using server = await tcpServer(socket => {
    socket.once('data', data => asked.resolve(/x-who: (.*)\r/i.exec(String(data))?.[1]))
    socket.once('data', () => socket.end())
  })
  await failed(dial(server.url, { headers: { 'X-Who': 'me' } }))
  expect(await asked.promise).toBe('me')
})

test('keepConnected reconnects after a restart of the peer, until it is stopped', async () => {
  const received: unknown[] = []
  const enough = new AbortController()
  const greet = (text: string) => (ws: Parameters<Parameters<typeof startServer>[0]>[0]) =>
    void wrapSocket<unknown, unknown>(ws, options).send(text)
  const lines: string[] = []
  const first = await startServer(greet('first'), await freePort())
  const { url, port } = first
  const keeping = keepConnected<TestSocket>({
    dial: signal => dial(url, { signal }),
    async use(socket, signal) {
      for (let message = await socket.receive(signal); message !== undefined; message = await socket.receive(signal)) {
        received.push(message)
        if (message === 'first') void first[Symbol.asyncDispose]()
        if (message === 'second') enough.abort()
      }
    },
    backoff: { minMs: 20, maxMs: 100, jitterMs: 10 },
    stableMs: 60_000,
    log: createLog('test', { destination: { write: line => void lines.push(JSON.parse(line).msg) } }),
    signal: enough.signal,
  })
  while (!lines.includes('connection lost, trying again')) await new Promise(resolve => setImmediate(resolve))
  await using _second = await startServer(greet('second'), port)
  expect(await keeping).toBe('aborted')
  expect(received).toEqual(['first', 'second'])
})
