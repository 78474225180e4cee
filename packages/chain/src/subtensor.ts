import { type Log, silentLog } from '@horde/kit/log'
import { type Clock, systemClock, withDeadline } from '@horde/kit/time'
import type {
  AxonToServe,
  BlockFinality,
  BlockRef,
  Chain,
  ChainState,
  Commitment,
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
import { blockHashOf, readBlockFinality, readBlockTime } from './subtensor/blocks.ts'
import { commitmentCall, findCommitment, readCommitment } from './subtensor/commitments.ts'
import { Connection, type ConnectionSettings, type NodeConnection } from './subtensor/connection.ts'
import { type Submission, sendAndConfirm } from './subtensor/extrinsics/confirm.ts'
import { chainErrorOf } from './subtensor/extrinsics/refusals.ts'
import { readHyperparameters } from './subtensor/read-hyperparameters.ts'
import { readMetagraph } from './subtensor/read-metagraph.ts'
import { heightIn } from './subtensor/rpc.ts'
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
  ensureSendable,
  findWeights,
  readLastUpdate,
  readWeights,
  weightsCall,
} from './subtensor/weights/set-weights.ts'
import type { Hotkey } from './wallet.ts'

/** Options of `connectSubtensor`. */
export type SubtensorOptions = {
  /** ws: or wss: URLs; `endpointsOf` makes them from a network's name. The client tries them in this order. */
  readonly endpoints: readonly string[]
  readonly log?: Log
  readonly clock?: Clock
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal
  /** How long `connectSubtensor` waits for the first connection, in ms. Default: 60 s, or 5 s with `mayBeAway`. */
  readonly firstConnectionMs?: number
  /** When no endpoint answers in time: return a client that keeps trying (true) or throw (false, the default). */
  readonly mayBeAway?: boolean
  /** How long a call that only reads may take, in ms. Default: 60 s. */
  readonly readTimeoutMs?: number
  /** How long a call may wait for the block that includes its extrinsic, in ms. Default: 180 s. */
  readonly inclusionTimeoutMs?: number
  /** Who counts as a validator on a chain that does not define it. Default: `DEFAULT_VALIDATOR_RULE`. */
  readonly validatorRule?: ValidatorRule
} & Partial<Omit<ConnectionSettings, 'endpoints' | 'log' | 'clock'>>

const FIRST_CONNECTION_MS = 60_000
/** The same with `mayBeAway`. Short, because the service can start without the chain. */
const FIRST_CONNECTION_IF_AWAY_MS = 5_000
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
 * Connects to a Bittensor chain and returns a client that stays connected.
 * @throws ChainError Unavailable when no endpoint answers within `firstConnectionMs`, unless `mayBeAway` is set
 * @throws the signal's reason when it aborts earlier
 */
export async function connectSubtensor(options: SubtensorOptions): Promise<Subtensor> {
  if (options.endpoints.length === 0) throw new RangeError('endpoints is empty')
  const { mayBeAway = false, log = silentLog, signal } = options
  const waitMs = options.firstConnectionMs ?? (mayBeAway ? FIRST_CONNECTION_IF_AWAY_MS : FIRST_CONNECTION_MS)
  const subtensor = new Subtensor(options)
  try {
    await subtensor.ready(waitMs)
    return subtensor
  } catch (error) {
    if (mayBeAway && !signal?.aborted) {
      log.warn({ err: error }, 'started without the chain, which does not answer yet')
      return subtensor
    }
    await subtensor[Symbol.asyncDispose]()
    signal?.throwIfAborted()
    throw error
  }
}

/** The `Chain` that talks to a Substrate node. Each method reads or submits through one use case in `subtensor/`. */
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
    return this.#connection.current !== undefined
  }

  /** The node's URL; null during an outage. */
  get endpoint(): string | null {
    return this.#connection.current?.endpoint ?? null
  }

  state(): ChainState {
    return { connected: this.connected, endpoint: this.endpoint, lastBlock: this.#connection.head ?? null }
  }

  /** Number of requests sent over the current connection. */
  get requests(): number {
    return this.#connection.current?.rpc.requests ?? 0
  }

  /** Waits for a connection, up to `waitMs`. @throws ChainError Unavailable */
  async ready(waitMs?: number): Promise<void> {
    await this.#connection.ready(waitMs)
  }

  /** Calls `listener` for each connection made from now on. Returns a function that stops this. */
  onReconnect(listener: (endpoint: string) => void): () => void {
    return this.#connection.onConnected(({ endpoint }) => listener(endpoint))
  }

  /** Calls `listener` for each new best block. Returns a function that stops this. */
  onHead(listener: (head: Head) => void): () => void {
    return this.#connection.onHead(listener)
  }

  blockNumber(): Promise<number> {
    return this.#read('block number', async ({ rpc }) => heightIn(await rpc.send('chain_getHeader', [])))
  }

  blockTime(): Promise<{ block: number; timeMs: number }> {
    return this.#read('block time', readBlockTime)
  }

  metagraph(netuid: number): Promise<Metagraph> {
    return this.#read('metagraph', node => readMetagraph(node, netuid, this.#validatorRule))
  }

  hyperparameters(netuid: number): Promise<Hyperparameters> {
    return this.#read('hyperparameters', node => readHyperparameters(node, netuid))
  }

  weightsOf(netuid: number, uid: number): Promise<WeightOf[]> {
    return this.#read('weights', node => readWeights(node, netuid, uid))
  }

  async serveAxon(
    netuid: number,
    axon: AxonToServe,
    hotkey: Hotkey,
  ): Promise<{ announced: boolean; block: number | null }> {
    const current = await this.#read('axon', node => readAxon(node, netuid, hotkey.ss58))
    if (isAnnounced(current, axon)) return { announced: false, block: current.block }
    const { block } = await this.#send('serve_axon', hotkey, {
      call: node => axonCall(node, netuid, axon),
      findOutcome: async node => {
        const stored = await readAxon(node, netuid, hotkey.ss58)
        if (!isAnnounced(stored, axon)) return undefined
        return { block: stored.block, blockHash: await blockHashOf(node, stored.block) }
      },
    })
    return { announced: true, block }
  }

  commitment(netuid: number, hotkey: string): Promise<Commitment | null> {
    return this.#read('commitment', node => readCommitment(node, netuid, hotkey))
  }

  setCommitment(netuid: number, text: string, hotkey: Hotkey): Promise<BlockRef> {
    return this.#send('set_commitment', hotkey, {
      call: node => commitmentCall(node, netuid, text),
      findOutcome: node => findCommitment(node, netuid, text, hotkey.ss58),
    })
  }

  async setWeights(row: WeightsToSet, hotkey: Hotkey): Promise<BlockRef> {
    ensureSendable(row)
    const before = await this.#read('last update', node => readLastUpdate(node, row.netuid, hotkey.ss58))
    return this.#send('set_weights', hotkey, {
      call: node => weightsCall(node, row),
      findOutcome: node => findWeights(node, row, hotkey.ss58, before ?? 0),
    })
  }

  findWeights(row: WeightsToSet, hotkey: string, afterBlock: number): Promise<BlockRef | undefined> {
    return this.#read('weights', node => findWeights(node, row, hotkey, afterBlock))
  }

  commitReveal(netuid: number, hotkey: string): Promise<CommitReveal> {
    return this.#read('commits', node => readCommitReveal(node, netuid, hotkey))
  }

  findCommit(netuid: number, hash: string, hotkey: string, after: number): Promise<OpenCommit | undefined> {
    return this.#read('commit', node => findCommit(node, netuid, hash, hotkey, after))
  }

  findReveal(commit: CommitToFind, hotkey: string): Promise<BlockRef | undefined> {
    return this.#read('reveal', node => findReveal(node, commit, hotkey))
  }

  heldCommit(commit: CommitToFind, hotkey: string): Promise<boolean> {
    return this.#read('commit', node => heldCommit(node, commit, hotkey))
  }

  blockFinality(block: number, blockHash: string): Promise<BlockFinality> {
    return this.#read('block', node => readBlockFinality(node, block, blockHash))
  }

  commitWeights(netuid: number, hash: string, hotkey: Hotkey): Promise<BlockRef> {
    return this.#send('commit_weights', hotkey, {
      call: node => commitCall(node, netuid, hash),
      findOutcome: node => findHeldCommit(node, netuid, hash, hotkey.ss58),
    })
  }

  async commitSealed(sealed: SealedWeights, hotkey: Hotkey): Promise<BlockRef> {
    try {
      return await this.#commitSealed(sealed, hotkey)
    } catch (error) {
      if (!(error instanceof ChainError && error.code === 'WrongCommitVersion')) throw error
      // The chain may have changed its version since the weights were sealed. The ciphertext is the same in all of
      // them.
      const { sealedVersion } = await this.commitReveal(sealed.netuid, hotkey.ss58)
      if (sealedVersion === sealed.version) throw error
      return this.#commitSealed({ ...sealed, version: sealedVersion }, hotkey)
    }
  }

  async revealWeights(row: WeightsToReveal, hotkey: Hotkey): Promise<BlockRef> {
    ensureRevealable(row)
    const before = await this.blockNumber()
    return this.#send('reveal_weights', hotkey, {
      call: node => revealCall(node, row),
      findOutcome: node => findRevealed(node, row, hotkey.ss58, before),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]()
  }

  #commitSealed(sealed: SealedWeights, hotkey: Hotkey): Promise<BlockRef> {
    return this.#send(sealed.call, hotkey, {
      call: node => sealedCall(node, sealed),
      findOutcome: node => findHeldCommit(node, sealed.netuid, sealed.hash, hotkey.ss58),
    })
  }

  async #read<T>(what: string, read: (node: NodeConnection) => Promise<T>): Promise<T> {
    try {
      const node = await this.#connection.ready()
      return await withDeadline(read(node), this.#readTimeoutMs, what, this.#clock)
    } catch (error) {
      throw chainErrorOf(error)
    }
  }

  async #send(what: string, hotkey: Hotkey, parts: Pick<Submission, 'call' | 'findOutcome'>): Promise<BlockRef> {
    try {
      const submission = { ...parts, hotkey, what, timeoutMs: this.#inclusionTimeoutMs }
      return await sendAndConfirm(this.#connection, submission, this.#clock)
    } catch (error) {
      throw chainErrorOf(error)
    }
  }
}
