import type { IncomingMessage, Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { type FastifyError, type FastifyInstance, fastify } from 'fastify'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Log } from './log.ts'
import { WITHOUT_PONG_LIMIT } from './socket/control-limit.ts'
import { withDeadline } from './time.ts'

/** How long the health check may take before it counts as failed, in ms. */
const HEALTH_DEADLINE_MS = 5_000
/** How long a client may take to send its whole request, in ms. */
const REQUEST_TIMEOUT_MS = 30_000
/** The default limit of a peer's frames, in bytes. */
const MAX_PAYLOAD_BYTES = 1024 * 1024
/** How long peers may take to answer a close before they are disconnected, in ms. */
const CLOSE_TIMEOUT_MS = 3_000

export interface Health {
  /** The process works. False asks the orchestrator for a restart. */
  live: boolean
  /** The service can take work now. */
  ready: boolean
  /** Why it is not, as sentences for people. */
  reasons: string[]
}

export interface HttpOptions {
  log: Log
  health(): Promise<Health>
  /** The registry for /metrics, such as `createMetrics(…)`. Without it there is no /metrics. */
  metrics?: { metrics(): Promise<string>; contentType: string }
}

/**
 * Returns a Fastify server with /health (200, or 503 when not live and ready) and /metrics. Its errors are JSON:
 * `{ error: code, message }`. Internal errors are logged, and their text is not sent.
 */
export function createHttp({ log, health, metrics }: HttpOptions): FastifyInstance {
  const app = fastify({ logger: false, requestTimeout: REQUEST_TIMEOUT_MS })
  app.addHook('onResponse', async (request, reply) => {
    const { method, url } = request
    const ms = Math.round(reply.elapsedTime)
    log.debug({ method, url, status: reply.statusCode, ms }, 'request answered')
  })
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ error: 'not_found', message: 'No such page' }))
  app.setErrorHandler<FastifyError>((err, request, reply) => {
    const status = err.statusCode ?? 500
    if (status < 500) {
      return reply.code(status).send({ error: (err.code ?? 'bad_request').toLowerCase(), message: err.message })
    }
    log.error({ err, method: request.method, route: request.routeOptions.url }, 'request failed')
    return reply.code(status).send({ error: 'internal', message: 'Something went wrong here' })
  })
  app.get('/health', async (_request, reply) => {
    const now = await withDeadline(health(), HEALTH_DEADLINE_MS, 'health check').catch((err): Health => {
      log.error({ err }, 'health check failed')
      return { live: false, ready: false, reasons: ['health check failed'] }
    })
    return reply.code(now.live && now.ready ? 200 : 503).send(now)
  })
  if (metrics)
    app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  return app
}

/**
 * Handles an accepted WebSocket. It must wrap or close it before it returns or awaits, because frames may follow at
 * once.
 */
export type UpgradeHandler = (ws: WebSocket, match: RegExpExecArray, request: IncomingMessage) => void

export interface UpgradeRouterOptions {
  log: Log
  /** The largest frame that a peer may send, in bytes. A larger one closes with 1009. Default: 1 MiB. */
  maxPayload?: number
  /** The most connections at the same time. More are answered with 503. Default: no limit. */
  maxConnections?: number
}

export interface UpgradeRouter extends AsyncDisposable {
  /**
   * Passes upgrades whose path (without query) matches to `handler`. The first match counts.
   *
   * @param headersFor further headers of the answer, such as `X-Name: value`
   */
  onUpgrade(path: RegExp, handler: UpgradeHandler, headersFor?: (request: IncomingMessage) => string[]): void
}

/**
 * Routes WebSocket upgrades on an HTTP server by path. Answers an unknown path with 404. Disposing closes all of them.
 */
export function upgradeRouter(server: Server, options: UpgradeRouterOptions): UpgradeRouter {
  const { log, maxPayload = MAX_PAYLOAD_BYTES, maxConnections = Number.POSITIVE_INFINITY } = options
  const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload, ...WITHOUT_PONG_LIMIT })
  const routes: { path: RegExp; handler: UpgradeHandler; headersFor: (request: IncomingMessage) => string[] }[] = []
  const headersOf = new WeakMap<IncomingMessage, string[]>()
  wss.on('headers', (headers, request) => headers.push(...(headersOf.get(request) ?? [])))
  let closing = false

  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', err => log.debug({ err }, 'connection failed before its upgrade'))
    const path = request.url?.split('?', 1)[0] ?? ''
    for (const route of routes) {
      const match = route.path.exec(path)
      if (!match) continue
      if (closing || wss.clients.size >= maxConnections) return refuse(socket, '503 Service Unavailable')
      headersOf.set(request, route.headersFor(request))
      return wss.handleUpgrade(request, socket, head, ws => handOver(ws, () => route.handler(ws, match, request), log))
    }
    refuse(socket, '404 Not Found')
  }
  server.on('upgrade', onUpgrade)

  return {
    onUpgrade(path, handler, headersFor = () => []) {
      routes.push({ path: new RegExp(path.source, path.flags.replace(/[gy]/g, '')), handler, headersFor })
    },
    async [Symbol.asyncDispose]() {
      closing = true
      await Promise.all([...wss.clients].map(closeClient))
      server.off('upgrade', onUpgrade)
    },
  }
}

function handOver(ws: WebSocket, handle: () => unknown, log: Log): void {
  ws.on('error', err => log.debug({ err }, 'connection failed'))
  const onFailure = (err: unknown) => {
    log.error({ err }, 'connection could not be handled')
    ws.close(1011)
  }
  try {
    Promise.resolve(handle()).catch(onFailure)
  } catch (err) {
    onFailure(err)
  }
}

function refuse(socket: Duplex, status: string): void {
  socket.once('finish', () => socket.destroy())
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function closeClient(ws: WebSocket): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => ws.terminate(), CLOSE_TIMEOUT_MS)
    ws.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    ws.close(1001)
  })
}
