import type { Log } from '@horde/kit/log'
import { dialSocket, type Socket, type SocketEnd } from '@horde/kit/socket'
import { DeadlineError, withDeadline } from '@horde/kit/time'
import type { ApiOptions } from '@polkadot/api/types'
import { ChainError } from '../errors.ts'

/** Metadata, and the columns of a large subnet, each arrive in one frame, as hex. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024

/** The connection closes after this many requests in a row without an answer, even if the node answers pings. */
const MAX_TIMEOUTS_IN_A_ROW = 3

/** The most notifications to keep for subscriptions whose id has not arrived yet. */
const MAX_EARLY_NOTIFICATIONS = 100

/** Substrate's error code for failed state calls, among them reads of state that the node has pruned. */
const STATE_CALL_FAILED = 4003
/** Substrate has no single code for a block or state that a node does not have, so the wording counts as well. */
const MISSING_STATE = /discarded|pruned|unknown ?block|header (was )?not found/i

/** The error object of a JSON-RPC answer. */
export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  /** The `message` field of the answer, as the node sent it. */
  readonly nodeMessage: string
  readonly data: unknown
  /** For a read of an older block's state: true if the node no longer has that state. */
  readonly mayBePruned: boolean

  constructor(code: number, nodeMessage: string, data: unknown) {
    const hasData = data !== undefined && data !== null
    const detail = hasData ? `: ${typeof data === 'string' ? data : JSON.stringify(data)}` : ''
    super(`${code}: ${nodeMessage}${detail}`)
    this.code = code
    this.nodeMessage = nodeMessage
    this.data = data
    this.mayBePruned = code === STATE_CALL_FAILED || MISSING_STATE.test(this.message)
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
type PendingRequest = { resolve(result: unknown): void; reject(error: Error): void; notify?: Notify | undefined }

export type RpcOptions = {
  readonly requestTimeoutMs: number
  readonly log: Log
  readonly signal: AbortSignal
}

/**
 * JSON-RPC over one WebSocket, as a provider for @polkadot/api. Unlike the library's own provider it notices a dead
 * connection, gives every request a deadline and tolerates any frame. It never reconnects: the owner replaces a lost
 * connection as a whole, so that nothing learned from one node is used with the next.
 */
export class Rpc implements ProviderInterface, AsyncDisposable {
  readonly hasSubscriptions = true
  readonly isClonable = false
  readonly closed: Promise<SocketEnd>
  /** Number of requests sent so far. */
  requests = 0
  readonly #socket: Socket<Frame, Request>
  readonly #options: RpcOptions
  readonly #pending = new Map<number, PendingRequest>()
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

  /**
   * Sends a request and returns its result.
   * @throws RpcError when the node answers with an error; ChainError Timeout or Unavailable
   */
  // biome-ignore lint/suspicious/noExplicitAny: the signature is ProviderInterface's
  send<T = any>(method: string, params: unknown[]): Promise<T> {
    // @polkadot/api sends this every 10 s to keep the connection alive. The socket's own pings do that already.
    if (method === 'system_health') return Promise.resolve({} as T)
    return this.#request(method, params) as Promise<T>
  }

  /**
   * Subscribes with `method` and calls `notify` for each notification until the connection is lost. Returns a function
   * that unsubscribes with the method `stop`.
   */
  async follow(method: string, stop: string, params: unknown[], notify: Notify): Promise<() => void> {
    const id = String(await this.#request(method, params, notify))
    return () => {
      if (this.#subscriptions.delete(id) && this.isConnected) this.#request(stop, [id]).catch(() => {})
    }
  }

  /**
   * Never resolves. Only @polkadot/api calls this: it subscribes to the runtime version and crashes the process if that
   * fails. Here `Connection` follows the version, and makes a new connection when it changes.
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
    throw new Error('a connection cannot be cloned')
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
    const answer = new Promise<unknown>((resolve, reject) => this.#pending.set(id, { resolve, reject, notify }))
    try {
      if (!this.isConnected) throw new ChainError('Unavailable', 'the connection is closed')
      const sent = this.#socket.send({ id, jsonrpc: '2.0', method, params })
      const both = Promise.all([answer, sent.catch(cause => Promise.reject(lost(cause)))])
      const [result] = await withDeadline(both, this.#options.requestTimeoutMs, method)
      this.#timeoutsInARow = 0
      return result
    } catch (error) {
      throw error instanceof DeadlineError ? this.#timedOut(error) : error
    } finally {
      this.#pending.delete(id)
    }
  }

  #timedOut(cause: DeadlineError): ChainError {
    this.#timeoutsInARow += 1
    if (this.#timeoutsInARow >= MAX_TIMEOUTS_IN_A_ROW) void this.#socket.close()
    return new ChainError('Timeout', cause.message, { cause })
  }

  async #listen(): Promise<SocketEnd> {
    for await (const frame of this.#socket) this.#receive(frame)
    const end = await this.#socket.closed
    this.#subscriptions.clear()
    for (const listener of this.#onDisconnected) listener()
    for (const { reject } of this.#pending.values()) reject(lost())
    return end
  }

  #receive(frame: Frame): void {
    if (typeof frame.id === 'number') this.#handleAnswer(frame.id, frame)
    else if (frame.params && typeof frame.method === 'string') {
      this.#handleNotification(String(frame.params.subscription), frame.params.result)
    }
  }

  #handleAnswer(id: number, { error, result }: Frame): void {
    const request = this.#pending.get(id)
    if (error) request?.reject(new RpcError(Number(error.code), String(error.message ?? ''), error.data))
    else {
      // Registers the subscription in the same tick: the first notification may be the very next frame.
      if (request?.notify) this.#addSubscription(String(result), request.notify)
      request?.resolve(result)
    }
  }

  #addSubscription(id: string, notify: Notify): void {
    this.#subscriptions.set(id, notify)
    for (const early of this.#early.splice(0)) this.#handleNotification(early.id, early.result)
  }

  #handleNotification(id: string, result: unknown): void {
    const notify = this.#subscriptions.get(id)
    if (!notify) {
      // Drops the oldest first. Those most likely belong to subscriptions that have ended.
      if (this.#early.push({ id, result }) > MAX_EARLY_NOTIFICATIONS) this.#early.shift()
      return
    }
    try {
      notify(result)
    } catch (err) {
      this.#options.log.error({ err }, 'could not handle a notification from the chain')
    }
  }
}

const lost = (cause?: unknown): ChainError =>
  new ChainError('Unavailable', 'the connection was lost', cause === undefined ? {} : { cause })

/** Connects to a node. @throws DialError, or the signal's reason once it aborts */
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

const HASH = /^0x[0-9a-f]{64}$/i
const HEIGHT = /^0x[0-9a-f]{1,13}$/i

/** Returns the block number in a node's header. @throws ChainError BadAnswer when the answer is not a header */
export function heightIn(header: unknown): number {
  const { number } = (header ?? {}) as { number?: unknown }
  if (typeof number === 'string' && HEIGHT.test(number)) return Number(number)
  throw new ChainError('BadAnswer', 'the answer is not a block header')
}

/** Returns a node's answer as a block hash. @throws ChainError BadAnswer when it is not a hash */
export function hashIn(answer: unknown): string {
  if (typeof answer === 'string' && HASH.test(answer)) return answer
  throw new ChainError('BadAnswer', 'the answer is not a block hash')
}

/** Parses a frame. Anything that is not a JSON object becomes an empty frame, which is ignored. */
function parseFrame(frame: string | Uint8Array): Frame {
  try {
    const value: unknown = JSON.parse(typeof frame === 'string' ? frame : new TextDecoder().decode(frame))
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
