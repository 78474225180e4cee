import type { Epochs } from './commits/epochs.ts'
import type { Metagraph } from './metagraph.ts'
import type { Hotkey } from './wallet.ts'

/** A subnet's settings at one block. Counts above 2⁵³−1 are given as 2⁵³−1. */
export type Hyperparameters = {
  readonly netuid: number
  readonly block: number
  /** Number of neurons on the subnet. */
  readonly neurons: number
  /** Blocks between epochs. */
  readonly tempo: number
  readonly minAllowedWeights: number
  /** u16: 65535 is 1.0. */
  readonly maxWeightsLimit: number
  /** Blocks a neuron must wait between setting weights twice. */
  readonly weightsSetRateLimit: number
  /** The lowest version key with which the subnet accepts weights. */
  readonly weightsVersionKey: bigint
  /** Blocks a neuron must wait between announcing an axon twice. */
  readonly servingRateLimit: number
  /** Blocks without setting weights after which a neuron counts as inactive. */
  readonly activityCutoff: number
  readonly immunityPeriod: number
  readonly maxAllowedUids: number
  readonly maxAllowedValidators: number
  /** The least stake for setting weights, in rao. */
  readonly stakeThresholdRao: bigint
  /** False on chains without commit-reveal. */
  readonly commitRevealWeightsEnabled: boolean
  /** Epochs between commit and reveal. */
  readonly revealPeriodEpochs: number
}

/** The address that a neuron announces. */
export type AxonToServe = {
  /** IPv4 or IPv6. The chain refuses 127.0.0.1 and ::1. */
  readonly ip: string
  /** 1 to 65535. */
  readonly port: number
  /** The announcer's version number (u32). */
  readonly version?: number
}

/** What a hotkey has committed on a subnet: a short public text. */
export type Commitment = {
  /** Null: it is no text, or has several parts. */
  readonly text: string | null
  /** The block that committed it. */
  readonly block: number
}

/** A row of weights. */
export type WeightsToSet = {
  readonly netuid: number
  readonly uids: readonly number[]
  /** u16 each, in the order of `uids`. */
  readonly weights: readonly number[]
  readonly versionKey: number | bigint
}

/** A row of weights that was committed by hash. */
export type WeightsToReveal = WeightsToSet & {
  /** u16 each, as used for the commit's hash. */
  readonly salt: readonly number[]
}

/** A commit that the chain holds. */
export type OpenCommit = {
  /** 0x and 64 hex digits. Of the weights and salt, or of a sealed commit's ciphertext. */
  readonly hash: string
  /** The epoch of the commit, as the chain counts epochs now. */
  readonly epoch: number
  /** The block that includes it; 0 where the chain does not store it. */
  readonly block: number
}

/** The calls that commit weights: by hash, and sealed for a round of drand in a newer and an older form. */
export const COMMIT_CALLS = ['commit_weights', 'commit_timelocked_weights', 'commit_crv3_weights'] as const
export type CommitCall = (typeof COMMIT_CALLS)[number]

/** Weights encrypted so that a later round of drand's quicknet opens them. */
export type SealedWeights = {
  readonly netuid: number
  readonly call: 'commit_timelocked_weights' | 'commit_crv3_weights'
  /** The commit version that the chain expects. */
  readonly version: number
  readonly ciphertext: Uint8Array
  readonly round: number
  /** Hash of the ciphertext. */
  readonly hash: string
}

/** A commit that the chain held at some block, with the weights that were committed. */
export type CommitToFind = WeightsToSet & {
  /** As in `OpenCommit`. */
  readonly hash: string
  readonly isSealed: boolean
  /** For a sealed commit: the epoch under which the chain stores it. */
  readonly epoch: number
  /** A block at which the chain held it. */
  readonly block: number
}

/** A subnet's commit-reveal settings and a hotkey's commits, at one block. */
export type CommitReveal = {
  readonly netuid: number
  readonly block: number
  readonly enabled: boolean
  /** A commit of epoch e can only be revealed in epoch e + revealPeriodEpochs. */
  readonly revealPeriodEpochs: number
  readonly epochs: Epochs
  /** The time between two blocks that the chain announces, in ms. */
  readonly blockMs: number
  /** The commit calls that the chain offers. */
  readonly calls: readonly CommitCall[]
  /** The hotkey's commits by hash, oldest first. Includes expired ones until the chain drops them. */
  readonly commits: readonly OpenCommit[]
  /** The hotkey's sealed commits that the chain still holds. */
  readonly sealed: readonly OpenCommit[]
  /** The version of sealed commits that the chain expects. */
  readonly sealedVersion: number
  /** The latest drand round that the chain knows; null on chains that do not store it. */
  readonly drandRound: number | null
}

/** A block that includes an extrinsic. */
export type BlockRef = { readonly block: number; readonly blockHash: string }

/** `pending`: the block is on the best chain, and another may still replace it. */
export type BlockFinality = 'final' | 'pending' | 'replaced'

/** A weight in a row that the chain holds: u16. */
export type WeightOf = { readonly uid: number; readonly weight: number }

/** A best block, and when the client saw it. */
export type Head = {
  readonly number: number
  /** By this machine's clock, in ms since the epoch. */
  readonly seenAtMs: number
  /** False for the first block of a connection, which may have been made long before the client saw it. */
  readonly fresh: boolean
}

/** What the client knows about its connection. */
export type ChainState = {
  readonly connected: boolean
  /** The node it is connected to; null during an outage. */
  readonly endpoint: string | null
  /** The latest best block; null before the first. */
  readonly lastBlock: Head | null
}

/**
 * The chain as the services use it. Every call has a deadline and throws a `ChainError` when it fails. During an outage
 * a call waits a while for the connection and then throws code `Unavailable` (retryable).
 */
export interface Chain extends AsyncDisposable {
  /** Returns the state of the connection, without a request. */
  state(): ChainState
  /** Returns the best block's number. */
  blockNumber(): Promise<number>
  /** Returns the best block's number and the time its author gave it, in ms since the epoch. */
  blockTime(): Promise<{ block: number; timeMs: number }>
  /** Reads all neurons of a subnet at one block, in about five requests. */
  metagraph(netuid: number): Promise<Metagraph>
  /** Reads a subnet's settings at the best block. */
  hyperparameters(netuid: number): Promise<Hyperparameters>
  /**
   * Announces where the hotkey serves. If the chain already has this announcement, it sends nothing and returns
   * `announced: false` with the block of that announcement.
   */
  serveAxon(netuid: number, axon: AxonToServe, hotkey: Hotkey): Promise<{ announced: boolean; block: number | null }>
  /** Returns what a hotkey has committed on a subnet; null if it has committed nothing. */
  commitment(netuid: number, hotkey: string): Promise<Commitment | null>
  /** Commits a text of at most 128 bytes in place of what the hotkey has committed, and returns the block. */
  setCommitment(netuid: number, text: string, hotkey: Hotkey): Promise<BlockRef>
  /** Sets the hotkey's weights and returns the block that includes them. */
  setWeights(weights: WeightsToSet, hotkey: Hotkey): Promise<BlockRef>
  /** Returns the block that set this row for a hotkey after `afterBlock`; undefined if the chain holds another row. */
  findWeights(weights: WeightsToSet, hotkey: string, afterBlock: number): Promise<BlockRef | undefined>
  /** Reads a subnet's commit-reveal settings and the hotkey's commits, at the best block. */
  commitReveal(netuid: number, hotkey: string): Promise<CommitReveal>
  /** Finds a commit that was sent right after block `after`, even if the chain has opened or dropped it since. */
  findCommit(netuid: number, hash: string, hotkey: string, after: number): Promise<OpenCommit | undefined>
  /**
   * Returns the block that set the weights of a commit which the chain no longer holds. Undefined if no event shows
   * that the weights were set.
   */
  findReveal(commit: CommitToFind, hotkey: string): Promise<BlockRef | undefined>
  /** Returns whether the best chain held a commit at its block; true if the node has pruned that state. */
  heldCommit(commit: CommitToFind, hotkey: string): Promise<boolean>
  /** Returns whether a block is final, pending or replaced by another. */
  blockFinality(block: number, blockHash: string): Promise<BlockFinality>
  /** Commits a hash made by `commitHash` and returns the block that includes the commit. */
  commitWeights(netuid: number, hash: string, hotkey: Hotkey): Promise<BlockRef>
  /** Commits weights sealed by `sealWeights` and returns the block that includes the commit. */
  commitSealed(sealed: SealedWeights, hotkey: Hotkey): Promise<BlockRef>
  /** Reveals an earlier commit, in the only epoch that allows it, and returns the block that includes the reveal. */
  revealWeights(weights: WeightsToReveal, hotkey: Hotkey): Promise<BlockRef>
  /** Returns a neuron's row of weights in the order sent, scaled by the chain so that the largest is 65535. */
  weightsOf(netuid: number, uid: number): Promise<WeightOf[]>
}
