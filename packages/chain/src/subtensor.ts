import { type Log, silentLog } from '@horde/kit/log'
import { type Clock, systemClock, withDeadline } from '@horde/kit/time'
import type {
  AxonToServe,
  BlockStanding,
  Chain,
  ChainState,
  CommitReveal,
  CommitToFind,
  Head,
  Hyperparameters,
  OpenCommit,
  SealedWeights,
  WeightOf,
  WeightsToReveal,
  WeightsToSet,
} from './chain.ts'
import { ChainError } from './errors.ts'
import { DEFAULT_VALIDATOR_RULE, type Metagraph, type ValidatorRule } from './metagraph.ts'
import { heightOf } from './subtensor/answers.ts'
import { readBlockStanding } from './subtensor/block-standing.ts'
import { Connection, type ConnectionSettings, type Live } from './subtensor/connection.ts'
import { type Attempt, sendAndConfirm } from './subtensor/extrinsics/confirm.ts'
import { chainErrorOf } from './subtensor/extrinsics/refusals.ts'
import type { Included } from './subtensor/extrinsics/submit.ts'
import { readBlockTime } from './subtensor/read-block-time.ts'
import { readHyperparameters } from './subtensor/read-hyperparameters.ts'
import { readMetagraph } from './subtensor/read-metagraph.ts'
import { axonCall, isAnnounced, readAxon } from './subtensor/serve-axon.ts'
import {
  commitCall,
  ensureRevealable,
  findCommit,
  findHeldCommit,
  findRevealed,
  readCommitReveal,
  revealCall,
} from './subtensor/weights/commit-reveal.ts'
import { findReveal, heldCommit } from './subtensor/weights/find-reveal.ts'
import { sealedCall } from './subtensor/weights/sealed-commits.ts'
import {
  blockHashOf,
  ensureSendable,
  findWeights,
  readLastUpdate,
  readWeights,
  weightsCall,
} from './subtensor/weights/set-weights.ts'
import type { Hotkey } from './wallet.ts'

export type SubtensorOptions = {
  /** ws: or wss: URLs, tried in turn. See `endpointsOf`. */
  readonly endpoints: readonly string[]
  readonly log?: Log
  readonly clock?: Clock
  /** Ends the client, as disposing of it does. */
  readonly signal?: AbortSignal
  /** How long `connectSubtensor` waits for the first connection, in ms; default 60 s, or 5 s when the chain may be away. */
  readonly firstConnectionMs?: number
  /** Whether `connectSubtensor` gives a client that goes on connecting when no endpoint answers in time. Default: false. */
  readonly mayBeAway?: boolean
  /** How long a call that only reads may take, in ms; default 60 s. */
  readonly readTimeoutMs?: number
  /** How long a call that sends an extrinsic may wait for the block that includes it, in ms; default 180 s. */
  readonly inclusionTimeoutMs?: number
  /** Who counts as a validator, where the chain does not say it; default: the rule of 2024. */
  readonly validatorRule?: ValidatorRule
} & Partial<Omit<ConnectionSettings, 'endpoints' | 'log' | 'clock'>>

const FIRST_CONNECTION_MS = 60_000
/** Short: a service that starts without the chain does all else meanwhile. */
const FIRST_CONNECTION_OR_NONE_MS = 5_000
const READ_TIMEOUT_MS = 60_000
const INCLUSION_TIMEOUT_MS = 180_000

const CONNECTION_DEFAULTS = {
  dialTimeoutMs: 30_000,
  requestTimeoutMs: 20_000,
  outageWaitMs: 15_000,
  staleMs: 180_000,
  compareMs: 60_000,
  stableMs: 60_000,
  backoff: { minMs: 500, maxMs: 30_000, factor: 2, jitterMs: 500 },
} as const

/**
 * Connects to a Bittensor chain and stays connected.
 * @throws ChainError Unavailable when no endpoint answered within `firstConnectionMs`, unless the chain may be away;
 * `signal.reason` when aborted before
 */
export async function connectSubtensor(options: SubtensorOptions): Promise<Subtensor> {
  if (options.endpoints.length === 0) throw new RangeError('an endpoint is needed')
  const { mayBeAway = false, log = silentLog, signal } = options
  const waitMs = options.firstConnectionMs ?? (mayBeAway ? FIRST_CONNECTION_OR_NONE_MS : FIRST_CONNECTION_MS)
  const subtensor = new Subtensor(options)
  try {
    await subtensor.ready(waitMs)
    return subtensor
  } catch (error) {
    if (mayBeAway && !signal?.aborted) {
      log.warn({ err: error }, 'the chain does not answer yet: started without it')
      return subtensor
    }
    await subtensor[Symbol.asyncDispose]()
    signal?.throwIfAborted()
    throw error
  }
}

/** The chain over @polkadot/api. */
export class Subtensor implements Chain {
  readonly #connection: Connection
  readonly #clock: Clock
  readonly #readTimeoutMs: number
  readonly #inclusionTimeoutMs: number
  readonly #validatorRule: ValidatorRule

  constructor(options: SubtensorOptions) {
    const { log = silentLog, clock = systemClock, signal } = options
    this.#clock = clock
    this.#readTimeoutMs = options.readTimeoutMs ?? READ_TIMEOUT_MS
    this.#inclusionTimeoutMs = options.inclusionTimeoutMs ?? INCLUSION_TIMEOUT_MS
    this.#validatorRule = options.validatorRule ?? DEFAULT_VALIDATOR_RULE
    this.#connection = new Connection({ ...CONNECTION_DEFAULTS, ...options, log, clock }, signal)
  }

  get connected(): boolean {
    return this.#connection.live !== undefined
  }

  get endpoint(): string | null {
    return this.#connection.live?.endpoint ?? null
  }

  state(): ChainState {
    return { connected: this.connected, endpoint: this.endpoint, lastBlock: this.#connection.head ?? null }
  }

  /** Requests sent over the current connection. */
  get requests(): number {
    return this.#connection.live?.rpc.requests ?? 0
  }

  /** Resolves once connected, within `waitMs`. */
  async ready(waitMs?: number): Promise<void> {
    await this.#connection.ready(waitMs)
  }

  /** Calls back at every connection made from now on. Returns how to stop. */
  onReconnect(listener: (endpoint: string) => void): () => void {
    return this.#connection.onLive(({ endpoint }) => listener(endpoint))
  }

  /** Calls back at every new best block. Returns how to stop. */
  onHead(listener: (head: Head) => void): () => void {
    return this.#connection.onHead(listener)
  }

  blockNumber(): Promise<number> {
    return this.#read('block number', async ({ rpc }) => heightOf(await rpc.send('chain_getHeader', [])))
  }

  blockTime(): Promise<{ block: number; timeMs: number }> {
    return this.#read('block time', readBlockTime)
  }

  metagraph(netuid: number): Promise<Metagraph> {
    return this.#read('metagraph', live => readMetagraph(live, netuid, this.#validatorRule))
  }

  hyperparameters(netuid: number): Promise<Hyperparameters> {
    return this.#read('hyperparameters', live => readHyperparameters(live, netuid))
  }

  weightsOf(netuid: number, uid: number): Promise<WeightOf[]> {
    return this.#read('weights', live => readWeights(live, netuid, uid))
  }

  async serveAxon(
    netuid: number,
    axon: AxonToServe,
    hotkey: Hotkey,
  ): Promise<{ announced: boolean; block: number | null }> {
    const current = await this.#read('axon', live => readAxon(live, netuid, hotkey.ss58))
    if (isAnnounced(current, axon)) return { announced: false, block: current.block }
    const { block } = await this.#send('serve_axon', hotkey, {
      call: live => axonCall(live, netuid, axon),
      look: async live => {
        const shown = await readAxon(live, netuid, hotkey.ss58)
        return isAnnounced(shown, axon)
          ? { block: shown.block, blockHash: await blockHashOf(live, shown.block) }
          : undefined
      },
    })
    return { announced: true, block }
  }

  async setWeights(row: WeightsToSet, hotkey: Hotkey): Promise<Included> {
    ensureSendable(row)
    const before = await this.#read('last update', live => readLastUpdate(live, row.netuid, hotkey.ss58))
    return this.#send('set_weights', hotkey, {
      call: live => weightsCall(live, row),
      look: live => findWeights(live, row, hotkey.ss58, before ?? 0),
    })
  }

  findWeights(row: WeightsToSet, hotkey: string, afterBlock: number): Promise<Included | undefined> {
    return this.#read('weights', live => findWeights(live, row, hotkey, afterBlock))
  }

  commitReveal(netuid: number, hotkey: string): Promise<CommitReveal> {
    return this.#read('commits', live => readCommitReveal(live, netuid, hotkey))
  }

  findCommit(netuid: number, hash: string, hotkey: string, after: number): Promise<OpenCommit | undefined> {
    return this.#read('commit', live => findCommit(live, netuid, hash, hotkey, after))
  }

  findReveal(commit: CommitToFind, hotkey: string): Promise<Included | undefined> {
    return this.#read('reveal', live => findReveal(live, commit, hotkey))
  }

  heldCommit(commit: CommitToFind, hotkey: string): Promise<boolean> {
    return this.#read('commit', live => heldCommit(live, commit, hotkey))
  }

  blockStanding(block: number, blockHash: string): Promise<BlockStanding> {
    return this.#read('block', live => readBlockStanding(live, block, blockHash))
  }

  commitWeights(netuid: number, hash: string, hotkey: Hotkey): Promise<Included> {
    return this.#send('commit_weights', hotkey, {
      call: live => commitCall(live, netuid, hash),
      look: live => findHeldCommit(live, netuid, hash, hotkey.ss58),
    })
  }

  async commitSealed(sealed: SealedWeights, hotkey: Hotkey): Promise<Included> {
    try {
      return await this.#commitSealed(sealed, hotkey)
    } catch (error) {
      if (!(error instanceof ChainError && error.code === 'WrongCommitVersion')) throw error
      // The chain may have changed it since the weights were sealed; what is sealed stays the same.
      const { sealedVersion } = await this.commitReveal(sealed.netuid, hotkey.ss58)
      if (sealedVersion === sealed.version) throw error
      return this.#commitSealed({ ...sealed, version: sealedVersion }, hotkey)
    }
  }

  async revealWeights(row: WeightsToReveal, hotkey: Hotkey): Promise<Included> {
    ensureRevealable(row)
    const before = await this.blockNumber()
    return this.#send('reveal_weights', hotkey, {
      call: live => revealCall(live, row),
      look: live => findRevealed(live, row, hotkey.ss58, before),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]()
  }

  #commitSealed(sealed: SealedWeights, hotkey: Hotkey): Promise<Included> {
    return this.#send(sealed.call, hotkey, {
      call: live => sealedCall(live, sealed),
      look: live => findHeldCommit(live, sealed.netuid, sealed.hash, hotkey.ss58),
    })
  }

  async #read<T>(what: string, read: (live: Live) => Promise<T>): Promise<T> {
    try {
      const live = await this.#connection.ready()
      return await withDeadline(read(live), this.#readTimeoutMs, what, this.#clock)
    } catch (error) {
      throw chainErrorOf(error)
    }
  }

  async #send(what: string, hotkey: Hotkey, attempt: Pick<Attempt, 'call' | 'look'>): Promise<Included> {
    try {
      const whole = { ...attempt, hotkey, what, timeoutMs: this.#inclusionTimeoutMs }
      return await sendAndConfirm(this.#connection, whole, this.#clock)
    } catch (error) {
      throw chainErrorOf(error)
    }
  }
}
