import type { Epochs } from './commits/epochs.ts'
import type { Metagraph } from './metagraph.ts'
import type { Hotkey } from './wallet.ts'

/** A subnet's settings as of one block. Counts of blocks above 2⁵³−1 are said as 2⁵³−1. */
export type Hyperparameters = {
  readonly netuid: number
  readonly block: number
  /** Neurons on the subnet now. */
  readonly neurons: number
  /** Blocks between epochs. */
  readonly tempo: number
  readonly minAllowedWeights: number
  /** u16: 65535 is 1.0. */
  readonly maxWeightsLimit: number
  /** Blocks that must lie between two settings of one neuron. */
  readonly weightsSetRateLimit: number
  readonly weightsVersionKey: bigint
  /** Blocks that must lie between two announcements of one axon. */
  readonly servingRateLimit: number
  /** Blocks after which a neuron that set no weights counts as inactive. */
  readonly activityCutoff: number
  readonly immunityPeriod: number
  readonly maxAllowedUids: number
  readonly maxAllowedValidators: number
  /** The least stake, in rao, with which weights can be set. */
  readonly stakeThresholdRao: bigint
  /** False where the chain knows no commit-reveal. */
  readonly commitRevealWeightsEnabled: boolean
  /** Epochs between commit and reveal. */
  readonly revealPeriodEpochs: number
}

export type AxonToServe = {
  /** IPv4 or IPv6. The chain takes neither 127.0.0.1 nor ::1. */
  readonly ip: string
  /** 1 to 65535. */
  readonly port: number
  /** The announcer's version number (u32). */
  readonly version?: number
}

export type WeightsToSet = {
  readonly netuid: number
  readonly uids: readonly number[]
  /** u16 each, in the order of `uids`. */
  readonly weights: readonly number[]
  readonly versionKey: number | bigint
}

export type WeightsToReveal = WeightsToSet & {
  /** u16 each: what the commit's hash was made with. */
  readonly salt: readonly number[]
}

/** A commit by hash that the chain holds. */
export type OpenCommit = {
  /** 0x and 64 hex digits. */
  readonly hash: string
  /** The epoch that it was made in, as the chain counts them now. */
  readonly epoch: number
  /** The block that took it in. */
  readonly block: number
}

/** Ways of committing weights that a chain's metadata has: by hash; sealed for a round of drand, in two forms. */
export const COMMIT_CALLS = ['commit_weights', 'commit_timelocked_weights', 'commit_crv3_weights'] as const
export type CommitCall = (typeof COMMIT_CALLS)[number]

/** Weights that a later round of drand's quicknet opens. */
export type SealedWeights = {
  readonly netuid: number
  readonly call: 'commit_timelocked_weights' | 'commit_crv3_weights'
  /** The form that the chain expects, as it says itself. */
  readonly version: number
  readonly ciphertext: Uint8Array
  readonly round: number
  /** Of the ciphertext. */
  readonly hash: string
}

/** A commit that the chain held, with its weights as they were committed. */
export type CommitToFind = WeightsToSet & {
  /** As `OpenCommit` has it. */
  readonly hash: string
  readonly isSealed: boolean
  /** What the chain keeps it under, of a sealed one. */
  readonly epoch: number
  /** A block at which the chain held it. */
  readonly block: number
}

/** How a subnet takes weights by commit and reveal, and what a hotkey has committed, as of one block. */
export type CommitReveal = {
  readonly netuid: number
  readonly block: number
  readonly enabled: boolean
  /** A commit of epoch e is revealed in epoch e + this, and in no other. */
  readonly revealPeriodEpochs: number
  readonly epochs: Epochs
  /** The time between two blocks, as the chain announces it, in ms. */
  readonly blockMs: number
  readonly calls: readonly CommitCall[]
  /** The hotkey's, oldest first; expired ones too, until the chain drops them. */
  readonly commits: readonly OpenCommit[]
  /** The hotkey's sealed ones that the chain still holds, by the hash of their ciphertext. */
  readonly sealed: readonly OpenCommit[]
  /** The form of sealed commits that the chain expects. */
  readonly sealedVersion: number
  /** The newest round of drand that the chain has heard of; null where it does not say. */
  readonly drandRound: number | null
}

/** Where a row of weights stands that may have been set. */
export type SetRow = { readonly block: number; readonly blockHash: string }

/** `open`: on the best chain, and another block may still replace it. */
export type BlockStanding = 'final' | 'open' | 'replaced'

export type WeightOf = { readonly uid: number; readonly weight: number }

/** A best block, as this machine heard of it. */
export type Head = {
  readonly number: number
  /** In ms since the epoch. */
  readonly seenAtMs: number
  /** False for the one that a connection began with: it may be older than the moment it was seen. */
  readonly fresh: boolean
}

/** What the client knows about its connection. */
export type ChainState = {
  readonly connected: boolean
  /** The node it is connected to; null during an outage. */
  readonly endpoint: string | null
  /** The best block it last heard of. */
  readonly lastBlock: Head | null
}

/**
 * The chain, as services see it. Every call has a deadline and fails with a `ChainError`; during an outage calls wait
 * a little for the connection and then fail with code `Unavailable` (retryable).
 */
export interface Chain extends AsyncDisposable {
  /** Says what is known, and asks nobody. */
  state(): ChainState
  /** The best block's number. */
  blockNumber(): Promise<number>
  /** The best block's number, and when its author made it by the author's clock, in ms since the epoch. */
  blockTime(): Promise<{ block: number; timeMs: number }>
  /** Every neuron of a subnet as of one block, in a handful of requests. */
  metagraph(netuid: number): Promise<Metagraph>
  hyperparameters(netuid: number): Promise<Hyperparameters>
  /**
   * Announces where the hotkey serves. Does nothing, and says `announced: false`, when the chain already says the same;
   * `block` is then that of the earlier announcement.
   */
  serveAxon(netuid: number, axon: AxonToServe, hotkey: Hotkey): Promise<{ announced: boolean; block: number | null }>
  /** Sets the hotkey's weights and resolves once they are in a block. */
  setWeights(weights: WeightsToSet, hotkey: Hotkey): Promise<SetRow>
  /** Where the chain took this row in for a hotkey, after a block; undefined when it holds another row, or an older one. */
  findWeights(weights: WeightsToSet, hotkey: string, afterBlock: number): Promise<SetRow | undefined>
  commitReveal(netuid: number, hotkey: string): Promise<CommitReveal>
  /** A commit that was sent right after a block, by its hash; also one that the chain has opened or dropped since. */
  findCommit(netuid: number, hash: string, hotkey: string, after: number): Promise<OpenCommit | undefined>
  /**
   * Where the chain set the weights of a commit that it holds no more: the block whose event says so. Undefined when the
   * commit went without its weights.
   */
  findReveal(commit: CommitToFind, hotkey: string): Promise<SetRow | undefined>
  /** Whether the chain, as it is now, held a commit at its block; true where the node does not know that state any more. */
  heldCommit(commit: CommitToFind, hotkey: string): Promise<boolean>
  blockStanding(block: number, blockHash: string): Promise<BlockStanding>
  /** Commits the hash of `commitHash`, and resolves once it is in a block. */
  commitWeights(netuid: number, hash: string, hotkey: Hotkey): Promise<SetRow>
  /** Commits what `sealWeights` sealed, and resolves once it is in a block. */
  commitSealed(sealed: SealedWeights, hotkey: Hotkey): Promise<SetRow>
  /** Sets the weights of an earlier commit, in the one epoch that is due for it, and resolves once they are in a block. */
  revealWeights(weights: WeightsToReveal, hotkey: Hotkey): Promise<SetRow>
  /** The row of weights that the chain holds for a neuron: in the order sent, upscaled so that the largest is 65535. */
  weightsOf(netuid: number, uid: number): Promise<WeightOf[]>
}
