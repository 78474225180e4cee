import type { Log } from '@horde/kit/log'
import { dialSocket, type Socket, type SocketEnd } from '@horde/kit/socket'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import type { ApiOptions } from '@polkadot/api/types'
import { ChainError } from '../errors.ts'

/** Metadata and a big subnet's columns come in one frame each, as hex. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024

/** A node that answers pings and leaves this many requests in a row without an answer is given up. */
const MAX_TIMEOUTS_IN_A_ROW = 3

/** Notifications of subscriptions whose id did not arrive yet, at most. */
const MAX_EARLY_NOTIFICATIONS = 100

/** The error object of a JSON-RPC answer. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  /** The node's own words. */
  readonly said: string
  readonly data: unknown

  constructor(code: number, message: string, data: unknown) {
    super(
      `${code}: ${message}${data === undefined || data === null ? '' : `: ${typeof data === 'string' ? data : JSON.stringify(data)}`}`,
    )
    this.code = code
    this.said = message
    this.data = data
  }
}

type ProviderInterface = NonNullable<ApiOptions['provider']>
type Request = { id: number; jsonrpc: '2.0'; method: string; params: unknown[] }
type Frame = {
  id?: unknown
  result?: unknown
  error?: { code?: unknown; message?: unknown; data?: unknown }
  method?: unknown
  params?: { subscription?: unknown; result?: unknown }
}
type Notify = (result: unknown) => void
type Waiting = { resolve(result: unknown): void; reject(error: Error): void; notify?: Notify | undefined }

export type RpcOptions = {
  readonly requestTimeoutMs: number
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * JSON-RPC over one WebSocket, as @polkadot/api wants it. Unlike its own provider this one sees a dead line, bounds
 * every request, survives whatever a node sends, and never reconnects: a lost connection is replaced as a whole, so
 * that nothing of one node is remembered at the next.
 */
export class Rpc implements ProviderInterface, AsyncDisposable {
  readonly hasSubscriptions = true
  readonly isClonable = false
  readonly closed: Promise<SocketEnd>
  /** Requests sent so far. */
  requests = 0
  readonly #socket: Socket<Frame, Request>
  readonly #options: RpcOptions
  readonly #waiting = new Map<number, Waiting>()
  readonly #subscriptions = new Map<string, Notify>()
  readonly #early: Array<{ id: string; result: unknown }> = []
  readonly #onDisconnected = new Set<() => void>()
  #timeoutsInARow = 0

  constructor(socket: Socket<Frame, Request>, options: RpcOptions) {
    this.#socket = socket
    this.#options = options
    this.closed = this.#listen()
  }

  get isConnected(): boolean {
    return this.#socket.isOpen
  }

  /** Sends a request and resolves with its result. Rejects with RpcError, or with ChainError Timeout or Unavailable. */
  // biome-ignore lint/suspicious/noExplicitAny: the signature is ProviderInterface's
  send<T = any>(method: string, params: unknown[]): Promise<T> {
    // @polkadot/api's way to keep a line alive, every 10 s; the socket has a better one.
    if (method === 'system_health') return Promise.resolve({} as T)
    return this.#request(method, params) as Promise<T>
  }

  /**
   * Subscribes with one method, and unsubscribes with the other when the function it resolves with is called. Once the
   * connection is lost no more comes.
   */
  async follow(method: string, stop: string, params: unknown[], notify: Notify): Promise<() => void> {
    const id = String(await this.#request(method, params, notify))
    return () => {
      if (this.#subscriptions.delete(id) && this.isConnected) this.#request(stop, [id]).catch(() => {})
    }
  }

  /**
   * For @polkadot/api alone, which subscribes to one thing, the runtime's version, and brings the process down when that
   * fails. It waits for ever instead: who owns the connection follows the version and makes a new connection.
   */
  subscribe(): Promise<never> {
    return new Promise(() => {})
  }

  unsubscribe(): Promise<boolean> {
    return Promise.resolve(false)
  }

  on(type: 'connected' | 'disconnected' | 'error', listener: () => void): () => void {
    if (type !== 'disconnected') return () => {}
    this.#onDisconnected.add(listener)
    return () => this.#onDisconnected.delete(listener)
  }

  clone(): ProviderInterface {
    throw new Error('a connection can not be cloned')
  }

  async connect(): Promise<void> {}

  disconnect(): Promise<void> {
    return this.#socket.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect()
  }

  async #request(method: string, params: unknown[], notify?: Notify): Promise<unknown> {
    const id = ++this.requests
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject, notify }))
    try {
      if (!this.isConnected) throw new ChainError('Unavailable', 'the connection is closed')
      const said = this.#socket.say({ id, jsonrpc: '2.0', method, params })
      const both = Promise.all([answer, said.catch(cause => Promise.reject(lost(cause)))])
      const [result] = await withDeadline(both, this.#options.requestTimeoutMs, method)
      this.#timeoutsInARow = 0
      return result
    } catch (error) {
      throw error instanceof DeadlineError ? this.#timedOut(error) : error
    } finally {
      this.#waiting.delete(id)
    }
  }

  #timedOut(cause: DeadlineError): ChainError {
    this.#timeoutsInARow += 1
    if (this.#timeoutsInARow >= MAX_TIMEOUTS_IN_A_ROW) void this.#socket.close()
    return new ChainError('Timeout', cause.message, { cause })
  }

  async #listen(): Promise<SocketEnd> {
    for await (const frame of this.#socket) this.#hear(frame)
    const end = await this.#socket.closed
    this.#subscriptions.clear()
    for (const listener of this.#onDisconnected) listener()
    for (const { reject } of this.#waiting.values()) reject(lost())
    return end
  }

  #hear(frame: Frame): void {
    if (typeof frame.id === 'number') this.#answered(frame.id, frame)
    else if (frame.params && typeof frame.method === 'string') {
      this.#notified(String(frame.params.subscription), frame.params.result)
    }
  }

  #answered(id: number, { error, result }: Frame): void {
    const waiting = this.#waiting.get(id)
    if (error) waiting?.reject(new RpcError(Number(error.code), String(error.message ?? ''), error.data))
    else {
      // Before anybody else can run: the first notification may stand right behind this answer.
      if (waiting?.notify) this.#subscribed(String(result), waiting.notify)
      waiting?.resolve(result)
    }
  }

  #subscribed(id: string, notify: Notify): void {
    this.#subscriptions.set(id, notify)
    for (const early of this.#early.splice(0)) this.#notified(early.id, early.result)
  }

  #notified(id: string, result: unknown): void {
    const notify = this.#subscriptions.get(id)
    if (!notify) {
      // The oldest belong to subscriptions that have ended: what is early now must not be lost for them.
      if (this.#early.push({ id, result }) > MAX_EARLY_NOTIFICATIONS) this.#early.shift()
      return
    }
    try {
      notify(result)
    } catch (err) {
      this.#options.log.error({ err }, 'a notification of the chain could not be handled')
    }
  }
}

const lost = (cause?: unknown): ChainError =>
  new ChainError('Unavailable', 'the connection was lost', cause === undefined ? {} : { cause })

/** Connects to a node. Rejects with DialError, or with the signal's reason. */
export async function dialRpc(url: string, options: RpcOptions): Promise<Rpc> {
  const { log, signal } = options
  const socket = await dialSocket<Frame, Request>(url, {
    parse: parseFrame,
    maxFrameBytes: MAX_FRAME_BYTES,
    log,
    signal,
  })
  return new Rpc(socket, options)
}

function parseFrame(frame: string | Uint8Array): Frame {
  try {
    const value: unknown = JSON.parse(typeof frame === 'string' ? frame : new TextDecoder().decode(frame))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
