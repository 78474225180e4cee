/** Opens the miner's ports for its peers: one for validators, the same or another for executors. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type UpgradeHandler, type UpgradeRouter, upgradeRouter } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import { wrapSocket } from '@horde/kit/socket'
import { EXECUTOR_PATH, MAX_TOKEN_CHARACTERS } from '@horde/protocol/executor/address'
import { LARGE_FRAME_BYTES } from '@horde/protocol/frame'
import { CAPABILITIES_HEADER, capabilitiesIn } from '@horde/protocol/handshake/capabilities'
import type { ExecutorSocket } from '../executors/executor-channel.ts'
import { type ExecutorEndpoint, serveExecutor } from '../executors/serve-executor.ts'
import { serveValidator, type ValidatorEndpoint } from '../validators/serve-validator.ts'
import type { ValidatorSocket } from '../validators/validator-connection.ts'
import { addressGroupOf, PreAuthLimits, type PreAuthOptions } from './pre-auth-limits.ts'

const VALIDATOR_URL = /^\/v0\.1\/validator_interface\/([1-9A-HJ-NP-Za-km-z]{1,60})\/?$/
const EXECUTOR_URL = new RegExp(`^${EXECUTOR_PATH}([^/]{1,${MAX_TOKEN_CHARACTERS}})/?$`)

/** Connections of validators and executors together, at once. */
const MAX_CONNECTIONS = 4_096
/** Unread frames of one connection; more make the peer wait. */
const MAX_QUEUED_FRAMES = 64
/** How often the server looks for connections that have sent no whole request, in milliseconds. */
const LATE_REQUESTS_MS = 1_000

export type OpenPort = { port: number; router: UpgradeRouter; limits: PreAuthLimits }

export type PortOptions = PreAuthOptions & {
  host: string
  port: number
  /** How long a peer may take to ask for a WebSocket, in milliseconds. */
  requestWithinMs: number
  log: Log
}

/** Opens a port that speaks WebSocket only, without compression. */
export async function openPort(options: PortOptions, stack: AsyncDisposableStack): Promise<OpenPort> {
  const { host, port, requestWithinMs: within, log } = options
  const timeouts = { requestTimeout: within, headersTimeout: within, connectionsCheckingInterval: LATE_REQUESTS_MS }
  const server = createServer(timeouts, (_request, response) => response.writeHead(404).end())
  stack.defer(() => closeServer(server))
  const limits = new PreAuthLimits(options)
  server.on('connection', socket => limits.add(socket))
  const router = upgradeRouter(server, { log, maxPayload: LARGE_FRAME_BYTES, maxConnections: MAX_CONNECTIONS })
  stack.use(router)
  server.listen(port, host)
  await once(server, 'listening')
  return { port: portOf(server), router, limits }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port')
  return address.port
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

export function serveValidatorsOn({ router, limits }: OpenPort, endpoint: ValidatorEndpoint): void {
  const serve: UpgradeHandler = (ws, match, request) => {
    const [, claimedHotkey = ''] = match
    const authenticated = limits.watch(request.socket)
    const socket: ValidatorSocket = wrapSocket(ws, socketOptions(endpoint.log))
    const address = addressGroupOf(request.socket.remoteAddress ?? '')
    const peer = { claimedHotkey, capabilities: capabilitiesOf(request), address }
    return serveValidator(socket, peer, endpoint, authenticated)
  }
  router.onUpgrade(VALIDATOR_URL, serve, ownCapabilities)
}

export function serveExecutorsOn({ router, limits }: OpenPort, endpoint: ExecutorEndpoint): void {
  const serve: UpgradeHandler = (ws, match, request) => {
    const [, token = ''] = match
    const authenticated = limits.watch(request.socket)
    // An executor takes the answer to its close for the receipt of its result, and leaves.
    const socket: ExecutorSocket = wrapSocket(ws, { ...socketOptions(endpoint.log), holdsClose: true })
    const peer = { token, capabilities: capabilitiesOf(request), userAgent: request.headers['user-agent'] }
    return serveExecutor(socket, peer, endpoint, authenticated)
  }
  router.onUpgrade(EXECUTOR_URL, serve, ownCapabilities)
}

function capabilitiesOf({ headers }: IncomingMessage): string[] {
  return capabilitiesIn(headers[CAPABILITIES_HEADER.toLowerCase()])
}

/** What this miner understands beyond v0. Said only to peers that have said theirs: others did not ask for it. */
const OWN_CAPABILITIES = '2026, large-frames'

function ownCapabilities({ headers }: IncomingMessage): string[] {
  return headers[CAPABILITIES_HEADER.toLowerCase()] === undefined ? [] : [`${CAPABILITIES_HEADER}: ${OWN_CAPABILITIES}`]
}

function socketOptions(log: Log) {
  const parse = (frame: string | Uint8Array) => frame
  return { parse, maxFrameBytes: LARGE_FRAME_BYTES, maxQueuedFrames: MAX_QUEUED_FRAMES, log }
}
