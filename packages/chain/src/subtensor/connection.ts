import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import { type Clock, withDeadline } from '@horde/kit/time'
import type { ApiPromise } from '@polkadot/api'
import type { Head } from '../chain.ts'
import { ChainError } from '../errors.ts'
import * as polkadot from '../polkadot/api.ts'
import { type Ahead, untilBehind } from './compare-heads.ts'
import { EndpointPool } from './endpoint-pool.ts'
import { dialRpc, type Rpc } from './rpc.ts'

/** Endpoints and time limits of a `Connection`. */
export type ConnectionSettings = {
  readonly endpoints: readonly string[]
  /** How long opening a connection may take, including its metadata, in ms. */
  readonly dialTimeoutMs: number
  /** How long a single request may take, in ms. */
  readonly requestTimeoutMs: number
  /** How long a call made during an outage waits for the connection to come back, in ms. */
  readonly outageWaitMs: number
  /** With several endpoints: time without a new block after which the client moves to the next endpoint, in ms. */
  readonly staleMs: number
  /** With several endpoints: how often to compare our best block with another node's, in ms. */
  readonly compareMs: number
  readonly backoff: BackoffOptions
  /** Uptime after which the endpoint's backoff resets, in ms. */
  readonly stableMs: number
  readonly log: Log
  readonly clock: Clock
}

/** One open connection to one node. */
export type NodeConnection = AsyncDisposable & {
  readonly endpoint: string
  /** For requests. The requests of @polkadot/api would print every error. */
  readonly rpc: Rpc
  /** For what the metadata defines: storage keys, types, calls. */
  readonly api: ApiPromise
  /** Signed extensions that make signing impossible; see `unsupportedExtensions`. */
  readonly unsupportedExtensions: readonly string[]
  /** Each account's last submission. The next one reads its nonce only once that one is in the pool. */
  readonly submissions: Map<string, Promise<unknown>>
}

/** Another node is ahead of ours. */
class BehindError extends ChainError {
  readonly better: string

  constructor(endpoint: string, { endpoint: better, blocks }: Ahead) {
    super('Unavailable', `${endpoint} is ${blocks} blocks behind ${better}`)
    this.better = better
  }
}

/** Stays connected to one of several nodes until it is closed. When a connection ends, it makes a new one. */
export class Connection implements AsyncDisposable {
  readonly #settings: ConnectionSettings
  readonly #closing = new AbortController()
  /** Aborts when this is disposed or the caller's signal aborts. */
  readonly #signal: AbortSignal
  readonly #pool: EndpointPool<NodeConnection>
  readonly #running: Promise<void>
  readonly #connectedListeners = new Set<(node: NodeConnection) => void>()
  readonly #headListeners = new Set<(head: Head) => void>()
  #current: NodeConnection | undefined
  #head: Head | undefined

  constructor(settings: ConnectionSettings, signal?: AbortSignal) {
    this.#settings = settings
    this.#signal = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    this.#pool = new EndpointPool({ ...settings, dial: (endpoint, aborted) => this.#dial(endpoint, aborted) })
    this.#running = this.#stayConnected()
  }

  /** The open connection, or undefined during an outage. */
  get current(): NodeConnection | undefined {
    return this.#current
  }

  /** The latest best block, or undefined before the first. */
  get head(): Head | undefined {
    return this.#head
  }

  /** Calls `listener` for each new connection. Returns a function that stops this. */
  onConnected(listener: (node: NodeConnection) => void): () => void {
    this.#connectedListeners.add(listener)
    return () => this.#connectedListeners.delete(listener)
  }

  /** Calls `listener` for each new best block. Returns a function that stops this. */
  onHead(listener: (head: Head) => void): () => void {
    this.#headListeners.add(listener)
    return () => this.#headListeners.delete(listener)
  }

  /**
   * Returns the open connection, and waits up to `waitMs` for one.
   * @throws ChainError Unavailable when there is no connection by then; Closed
   */
  async ready(waitMs = this.#settings.outageWaitMs): Promise<NodeConnection> {
    if (this.#current) return this.#current
    if (this.#signal.aborted) throw new ChainError('Closed')
    const waiting = new AbortController()
    const connected = new Promise<NodeConnection>(resolve => {
      waiting.signal.addEventListener('abort', this.onConnected(resolve), { once: true })
    })
    const timeout = this.#settings.clock.sleep(waitMs, AbortSignal.any([waiting.signal, this.#signal]))
    try {
      return await Promise.race([connected, timeout.then(() => Promise.reject(this.#unavailable(waitMs)))])
    } catch (error) {
      throw this.#signal.aborted ? new ChainError('Closed') : error
    } finally {
      waiting.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ChainError('Closed'))
    await this.#running
  }

  #unavailable(waitMs: number): ChainError {
    return new ChainError('Unavailable', `none of ${this.#settings.endpoints.join(', ')} answered within ${waitMs} ms`)
  }

  /** Connects and uses the connection until it ends, again and again until this is closed. */
  async #stayConnected(): Promise<void> {
    const { clock } = this.#settings
    while (!this.#signal.aborted) {
      try {
        await using node = await this.#pool.connect(this.#signal)
        const since = clock.monotonic()
        const error = await this.#use(node, this.#signal).catch((cause: unknown) => cause)
        if (this.#signal.aborted) return
        const better = error instanceof BehindError ? error.better : undefined
        this.#pool.recordLoss(node.endpoint, clock.monotonic() - since, error, better)
      } catch (err) {
        if (!this.#signal.aborted) this.#settings.log.error({ err }, 'connection to the chain failed')
      }
    }
  }

  async #dial(endpoint: string, signal: AbortSignal): Promise<NodeConnection> {
    const { requestTimeoutMs, dialTimeoutMs, log } = this.#settings
    const rpc = await dialRpc(endpoint, { requestTimeoutMs, log, signal })
    // The library prints its warnings to the console. The one that matters is logged below.
    const api = new polkadot.ApiPromise({ provider: rpc, noInitWarn: true })
    const close = () => api.disconnect()
    try {
      const lost = rpc.closed.then(() =>
        Promise.reject(new ChainError('Unavailable', `${endpoint} closed the connection`)),
      )
      lost.catch(() => {})
      const ready = Promise.race([api.isReadyOrError, lost, aborted(signal)])
      await withDeadline(ready, dialTimeoutMs, `metadata of ${endpoint}`)
      signal.throwIfAborted()
      const extensions = polkadot.unsupportedExtensions(api)
      if (extensions.length > 0) {
        log.error({ endpoint, extensions }, 'cannot sign: the runtime has unknown signed extensions')
      }
      return {
        ...{ endpoint, rpc, api, unsupportedExtensions: extensions, submissions: new Map() },
        [Symbol.asyncDispose]: close,
      }
    } catch (error) {
      await close()
      throw error
    }
  }

  async #use(node: NodeConnection, signal: AbortSignal): Promise<void> {
    const { log } = this.#settings
    const ended = new AbortController()
    const either = AbortSignal.any([signal, ended.signal])
    try {
      const [{ upgraded }] = await Promise.all([this.#followVersion(node), this.#followHeads(node)])
      this.#current = node
      log.info({ endpoint: node.endpoint, block: this.#head?.number }, 'connected to the chain')
      for (const listener of this.#connectedListeners) listener(node)
      const over = node.rpc.closed.then(({ code, reason }) => {
        throw new ChainError('Unavailable', `${node.endpoint} closed the connection (${code} ${reason})`)
      })
      await Promise.race([over, upgraded, this.#untilStale(either), this.#untilBehind(node, either), aborted(either)])
    } finally {
      this.#current = undefined
      ended.abort()
    }
  }

  async #followHeads({ rpc }: NodeConnection): Promise<void> {
    let fresh = false
    await rpc.follow('chain_subscribeNewHeads', 'chain_unsubscribeNewHeads', [], header => {
      const number = Number((header as { number?: unknown } | null)?.number)
      if (!Number.isSafeInteger(number)) return
      this.#head = { number, seenAtMs: this.#settings.clock.now(), fresh }
      fresh = true
      for (const listener of this.#headListeners) listener(this.#head)
    })
  }

  /** Rejects `upgraded` when the runtime changes. The metadata of this connection is then out of date. */
  async #followVersion({ rpc, api }: NodeConnection): Promise<{ upgraded: Promise<never> }> {
    const { promise: upgraded, reject } = Promise.withResolvers<never>()
    upgraded.catch(() => {})
    const current = api.runtimeVersion.specVersion.toNumber()
    await rpc.follow('state_subscribeRuntimeVersion', 'state_unsubscribeRuntimeVersion', [], version => {
      const { specVersion } = (version ?? {}) as { specVersion?: unknown }
      if (typeof specVersion !== 'number' || specVersion === current) return
      reject(new ChainError('Unavailable', `the runtime was upgraded from ${current} to ${specVersion}`))
    })
    return { upgraded }
  }

  async #untilBehind({ endpoint, api }: NodeConnection, signal: AbortSignal): Promise<never> {
    const { endpoints, compareMs, log, clock } = this.#settings
    const others = endpoints.filter(each => each !== endpoint)
    const genesisHash = api.genesisHash.toHex()
    const height = () => this.#head?.number ?? 0
    const ahead = await untilBehind({ others, genesisHash, height, everyMs: compareMs, log, clock }, signal)
    throw new BehindError(endpoint, ahead)
  }

  /** Throws once no new block has come for `staleMs`. With a single endpoint it only waits for the signal. */
  async #untilStale(signal: AbortSignal): Promise<void> {
    const { endpoints, staleMs, clock } = this.#settings
    if (endpoints.length < 2) return aborted(signal)
    const since = clock.now()
    for (;;) {
      const quietMs = clock.now() - Math.max(since, this.#head?.seenAtMs ?? 0)
      if (quietMs >= staleMs) throw new ChainError('Unavailable', `no new block for ${quietMs} ms`)
      await clock.sleep(staleMs - quietMs, signal)
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
