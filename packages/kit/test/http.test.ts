import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { createHttp, type Health, type HttpOptions, upgradeRouter } from '@horde/kit/http'
import { createLog, silentLog } from '@horde/kit/log'
import { createMetrics } from '@horde/kit/metrics/registry'
import { dialSocket, wrapSocket } from '@horde/kit/socket'
import { Counter } from 'prom-client'
import { expect, test } from 'vitest'
import { frame, listening, options, rawPeer, type TestSocket } from './wire.ts'

const well: Health = { live: true, ready: true, reasons: [] }

async function serve(overrides: Partial<HttpOptions> = {}) {
  const app = createHttp({ log: silentLog, health: async () => well, ...overrides })
  app.get('/bug', () => {
    throw new Error('the password is hunter2')
  })
  app.get('/teapot', () => {
    throw Object.assign(new Error('short and stout'), { statusCode: 418, code: 'TEAPOT' })
  })
  app.post('/echo', async request => request.body)
  const base = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    app,
    base,
    port: (app.server.address() as AddressInfo).port,
    get: (path: string, init?: RequestInit) => fetch(base + path, init),
    [Symbol.asyncDispose]: () => app.close(),
  }
}

test.each([
  [well, 200],
  [{ live: true, ready: false, reasons: ['database is away'] }, 503],
  [{ live: false, ready: true, reasons: ['stuck'] }, 503],
])('/health says %j with %i', async (health, status) => {
  await using server = await serve({ health: async () => health })
  const answer = await server.get('/health')
  expect([answer.status, await answer.json()]).toEqual([status, health])
})

test('reports a failing health check as not live', async () => {
  await using server = await serve({ health: () => Promise.reject(new Error('no database')) })
  const answer = await server.get('/health')
  expect([answer.status, await answer.json()]).toEqual([
    503,
    { live: false, ready: false, reasons: ['health check failed'] },
  ])
})

test('/metrics shows metrics of the process and of the service', async () => {
  const metrics = createMetrics('horde_test')
  new Counter({ name: 'horde_test_jobs_total', help: 'Jobs.', registers: [metrics] }).inc(3)
  await using server = await serve({ metrics })
  const answer = await server.get('/metrics')
  const text = await answer.text()
  expect(answer.headers.get('content-type')).toContain('text/plain')
  expect(text).toContain('horde_test_jobs_total 3')
  expect(text).toMatch(/^horde_test_nodejs_eventloop_lag_seconds \d/m)
  await using bare = await serve()
  expect((await bare.get('/metrics')).status).toBe(404)
})

test('sends errors as JSON, and logs internal errors without sending them', async () => {
  const lines: string[] = []
  const log = createLog('test', { destination: { write: line => void lines.push(line) } })
  await using server = await serve({ log })
  const json = async (path: string, init?: RequestInit) => {
    const answer = await server.get(path, init)
    return [answer.status, await answer.json()]
  }
  expect(await json('/bug')).toEqual([500, { error: 'internal', message: 'Something went wrong here' }])
  expect(lines.map(line => JSON.parse(line))).toMatchObject([{ level: 'error', route: '/bug', msg: 'request failed' }])
  expect(await json('/none')).toEqual([404, { error: 'not_found', message: 'No such page' }])
  expect(await json('/teapot')).toEqual([418, { error: 'teapot', message: 'short and stout' }])
  const headers = { 'content-type': 'application/json' }
  expect(await json('/echo', { method: 'POST', body: '{', headers })).toMatchObject([
    400,
    { error: expect.any(String) },
  ])
  const large = JSON.stringify('x'.repeat(2_000_000))
  expect(await json('/echo', { method: 'POST', body: large, headers })).toMatchObject([413, {}])
  expect(lines).toHaveLength(1)
})

test('logs requests at debug, without the token in their path', async () => {
  const lines: string[] = []
  const log = createLog('test', { level: 'debug', destination: { write: line => void lines.push(line) } })
  await using server = await serve({ log })
  await server.get('/v0.1/executor_interface/hush?x=1')
  expect(lines.map(line => JSON.parse(line))).toMatchObject([
    { level: 'debug', method: 'GET', url: '/v0.1/executor_interface/[redacted]?x=1', status: 404 },
  ])
})

async function serveUpgrades(overrides: { maxConnections?: number; maxPayload?: number } = {}) {
  const stack = new AsyncDisposableStack()
  const server = stack.use(await serve())
  const router = stack.use(upgradeRouter(server.app.server, { log: silentLog, ...overrides }))
  router.onUpgrade(/^\/echo\/(?<room>\w+)$/g, (ws, match, request) => {
    const socket: TestSocket = wrapSocket(ws, options)
    void echo(socket, [match.groups?.room, request.url])
  })
  router.onUpgrade(/^\/echo\/special$/, ws => ws.close(4999))
  router.onUpgrade(/^\/ws$/, () => {
    throw new Error('a bug')
  })
  router.onUpgrade(/^\/later$/, async () => Promise.reject(new Error('a later bug')))
  const dial = (path: string): Promise<TestSocket> => dialSocket(`ws://127.0.0.1:${server.port}${path}`, options)
  return { ...server, router, dial, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function echo(socket: TestSocket, greeting: unknown): Promise<void> {
  await socket.send(greeting)
  for await (const message of socket) await socket.send(message)
}

test('routes upgrades by path: the first match counts, the query does not', async () => {
  await using server = await serveUpgrades()
  for (const path of ['/echo/room1', '/echo/room1?x=/echo/room2', '/echo/special']) {
    await using socket = await server.dial(path)
    expect(await socket.receive()).toEqual([path.slice(6).split('?')[0], path])
    await socket.send({ back: 1 })
    expect(await socket.receive()).toEqual({ back: 1 })
  }
  await expect(server.dial('/echo/')).rejects.toMatchObject({ status: 404 })
  await expect(server.dial('/')).rejects.toMatchObject({ status: 404 })
  expect((await server.get('/health')).status).toBe(200)
})

test('closes only the connection of a failing handler, with 1011', async () => {
  await using server = await serveUpgrades()
  await using other = await server.dial('/echo/x')
  for (const path of ['/ws', '/later']) {
    await using socket = await server.dial(path)
    expect(await socket.closed).toMatchObject({ code: 1011 })
  }
  expect(await other.receive()).toEqual(['x', '/echo/x'])
})

test('survives a break of a connection that its handler ignores', async () => {
  await using server = await serveUpgrades()
  server.router.onUpgrade(/^\/alone$/, () => {})
  const socket = await server.dial('/alone')
  await socket.send('x'.repeat(2_000_000)).catch(() => {})
  expect(await socket.closed).toMatchObject({ code: 1009 })
})

test('survives malformed requests', async () => {
  await using server = await serveUpgrades()
  const requests = [
    'GET //:// HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'GET %%% HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'GET /echo/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: short\r\n\r\n',
    'GET /echo/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    'POST /echo/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'nonsense\r\n\r\n',
    `GET /echo/${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
  ]
  for (const request of requests) {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(request)
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
  }
  const reset = connect(server.port, '127.0.0.1')
  reset.write(requests[2] ?? '', () => reset.resetAndDestroy())
  await once(reset, 'close')
  await using socket = await server.dial('/echo/x')
  expect(await socket.receive()).toEqual(['x', '/echo/x'])
})

test('refuses connections above the limit until one ends', async () => {
  await using server = await serveUpgrades({ maxConnections: 1 })
  const first = await server.dial('/echo/x')
  await expect(server.dial('/echo/x')).rejects.toMatchObject({ status: 503 })
  await first.close()
  await using second = await server.dial('/echo/x')
  expect(second.isOpen).toBe(true)
})

test('closes every connection when disposed of, and accepts no more', async () => {
  await using server = await serveUpgrades()
  server.router.onUpgrade(/^\/mute$/, () => {})
  const socket = await server.dial('/echo/x')
  const closed = server.router[Symbol.asyncDispose]()
  expect(await socket.closed).toMatchObject({ code: 1001 })
  await closed
})

test('loses no frames that come with the request', async () => {
  const received = Promise.withResolvers<unknown>()
  await using server = await serve()
  await using router = upgradeRouter(server.app.server, { log: silentLog })
  router.onUpgrade(/^\/ws$/, ws => {
    const socket: TestSocket = wrapSocket(ws, options)
    received.resolve(socket.receive())
  })
  await using peer = await rawPeer(server.port, frame(1, '"early"'))
  expect(await received.promise).toBe('early')
  peer.destroy()
})

test('routes upgrades on a bare server', async () => {
  const { createServer } = await import('node:http')
  const server = createServer()
  const port = await listening(server)
  await using router = upgradeRouter(server, { log: silentLog })
  router.onUpgrade(/^\/$/, ws => ws.close(4000))
  const socket: TestSocket = await dialSocket(`ws://127.0.0.1:${port}/`, options)
  expect(await socket.closed).toMatchObject({ code: 4000 })
  server.close()
})
