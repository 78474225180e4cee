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
import { unknownExtensions } from './unknown-extensions.ts'

export type ConnectionSettings = {
  readonly endpoints: readonly string[]
  /** How long opening a connection may take, metadata and all, in ms. */
  readonly dialTimeoutMs: number
  /** How long a single request may take, in ms. */
  readonly requestTimeoutMs: number
  /** How long a call made during an outage waits for the connection to come back, in ms. */
  readonly outageWaitMs: number
  /** With several endpoints: a node that shows no new block for so long, in ms, is left for the next. */
  readonly staleMs: number
  /** With several endpoints: how often another node is asked whether ours has fallen behind, in ms. */
  readonly compareMs: number
  readonly backoff: BackoffOptions
  /** A connection that lived so long, in ms, was good. */
  readonly stableMs: number
  readonly log: Log
  readonly clock: Clock
}

/** One living connection to one node. */
export type Live = AsyncDisposable & {
  readonly endpoint: string
  /** For requests; @polkadot/api's own would print every error. */
  readonly rpc: Rpc
  /** For what the metadata says: storage keys, types, calls. */
  readonly api: ApiPromise
  /** Signed extensions that stand in the way of a signature. */
  readonly unknownExtensions: readonly string[]
  /** The last sending of each account: the next one asks for its nonce only once that one is in the pool. */
  readonly sending: Map<string, Promise<unknown>>
}

/** The node's blocks lie behind those of another. */
class BehindError extends ChainError {
  readonly better: string

  constructor(endpoint: string, { endpoint: better, blocks }: Ahead) {
    super('Unavailable', `${endpoint} is ${blocks} blocks behind ${better}`)
    this.better = better
  }
}

/** Keeps a connection to one of several nodes: to another when one is lost, for as long as it lives. */
export class Connection implements AsyncDisposable {
  readonly #settings: ConnectionSettings
  readonly #closing = new AbortController()
  /** Aborted when this is closed, by whomever. */
  readonly #signal: AbortSignal
  readonly #pool: EndpointPool<Live>
  readonly #kept: Promise<void>
  readonly #liveListeners = new Set<(live: Live) => void>()
  readonly #headListeners = new Set<(head: Head) => void>()
  #live: Live | undefined
  #head: Head | undefined

  constructor(settings: ConnectionSettings, signal?: AbortSignal) {
    this.#settings = settings
    this.#signal = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
    this.#pool = new EndpointPool({ ...settings, dial: (endpoint, aborted) => this.#dial(endpoint, aborted) })
    this.#kept = this.#keep()
  }

  get live(): Live | undefined {
    return this.#live
  }

  get head(): Head | undefined {
    return this.#head
  }

  /** Calls back at every connection made. Returns how to stop. */
  onLive(listener: (live: Live) => void): () => void {
    this.#liveListeners.add(listener)
    return () => this.#liveListeners.delete(listener)
  }

  /** Calls back at every new best block. Returns how to stop. */
  onHead(listener: (head: Head) => void): () => void {
    this.#headListeners.add(listener)
    return () => this.#headListeners.delete(listener)
  }

  /**
   * The connection, waiting up to `waitMs` for it.
   * @throws ChainError Unavailable when there is none by then
   */
  async ready(waitMs = this.#settings.outageWaitMs): Promise<Live> {
    if (this.#live) return this.#live
    if (this.#signal.aborted) throw new ChainError('Closed')
    const waiting = new AbortController()
    const connected = new Promise<Live>(resolve => {
      waiting.signal.addEventListener('abort', this.onLive(resolve), { once: true })
    })
    const tooLong = this.#settings.clock.sleep(waitMs, AbortSignal.any([waiting.signal, this.#signal]))
    try {
      return await Promise.race([connected, tooLong.then(() => Promise.reject(this.#unavailable(waitMs)))])
    } catch (error) {
      throw this.#signal.aborted ? new ChainError('Closed') : error
    } finally {
      waiting.abort()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new ChainError('Closed'))
    await this.#kept
  }

  #unavailable(waitMs: number): ChainError {
    return new ChainError('Unavailable', `none of ${this.#settings.endpoints.join(', ')} within ${waitMs} ms`)
  }

  /** Connects, uses the connection until it ends, and connects again, until this is closed. */
  async #keep(): Promise<void> {
    const { clock } = this.#settings
    while (!this.#signal.aborted) {
      try {
        await using live = await this.#pool.connect(this.#signal)
        const since = clock.monotonic()
        const error = await this.#use(live, this.#signal).catch((cause: unknown) => cause)
        if (this.#signal.aborted) return
        const better = error instanceof BehindError ? error.better : undefined
        this.#pool.lost(live.endpoint, clock.monotonic() - since, error, better)
      } catch (err) {
        if (!this.#signal.aborted) this.#settings.log.error({ err }, 'connection to the chain failed')
      }
    }
  }

  async #dial(endpoint: string, signal: AbortSignal): Promise<Live> {
    const { requestTimeoutMs, dialTimeoutMs, log } = this.#settings
    const rpc = await dialRpc(endpoint, { requestTimeoutMs, log, signal })
    // Its warnings would go past our log; what of them matters is looked at here.
    const api = new polkadot.ApiPromise({ provider: rpc, noInitWarn: true })
    const close = () => api.disconnect()
    try {
      const lost = rpc.closed.then(() => Promise.reject(new ChainError('Unavailable', `${endpoint} hung up`)))
      lost.catch(() => {})
      const ready = Promise.race([api.isReadyOrError, lost, aborted(signal)])
      await withDeadline(ready, dialTimeoutMs, `metadata of ${endpoint}`)
      signal.throwIfAborted()
      const unknown = unknownExtensions(api)
      if (unknown.length > 0) {
        log.error(
          { endpoint, extensions: unknown },
          'the runtime signs what this version does not know: nothing can be sent',
        )
      }
      return { endpoint, rpc, api, unknownExtensions: unknown, sending: new Map(), [Symbol.asyncDispose]: close }
    } catch (error) {
      await close()
      throw error
    }
  }

  async #use(live: Live, signal: AbortSignal): Promise<void> {
    const { log } = this.#settings
    const ended = new AbortController()
    const either = AbortSignal.any([signal, ended.signal])
    try {
      const [{ upgraded }] = await Promise.all([this.#followVersion(live), this.#followHeads(live)])
      this.#live = live
      log.info({ endpoint: live.endpoint, block: this.#head?.number }, 'connected to the chain')
      for (const listener of this.#liveListeners) listener(live)
      const over = live.rpc.closed.then(({ code, reason }) => {
        throw new ChainError('Unavailable', `${live.endpoint} hung up (${code} ${reason})`)
      })
      await Promise.race([over, upgraded, this.#untilStale(either), this.#untilBehind(live, either), aborted(either)])
    } finally {
      this.#live = undefined
      ended.abort()
    }
  }

  async #followHeads({ rpc }: Live): Promise<void> {
    let fresh = false
    await rpc.follow('chain_subscribeNewHeads', 'chain_unsubscribeNewHeads', [], header => {
      const number = Number((header as { number?: unknown } | null)?.number)
      if (!Number.isSafeInteger(number)) return
      this.#head = { number, seenAtMs: this.#settings.clock.now(), fresh }
      fresh = true
      for (const listener of this.#headListeners) listener(this.#head)
    })
  }

  /** Types and signatures follow the runtime: an upgrade makes the connection, with all it knows, worthless. */
  async #followVersion({ rpc, api }: Live): Promise<{ upgraded: Promise<never> }> {
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

  async #untilBehind({ endpoint, api }: Live, signal: AbortSignal): Promise<never> {
    const { endpoints, compareMs, log, clock } = this.#settings
    const others = endpoints.filter(each => each !== endpoint)
    const genesisHash = api.genesisHash.toHex()
    const height = () => this.#head?.number ?? 0
    const ahead = await untilBehind({ others, genesisHash, height, everyMs: compareMs, log, clock }, signal)
    throw new BehindError(endpoint, ahead)
  }

  /** A single endpoint is never left for being stale: there is nowhere to go. */
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
