/** A subnet's epochs as of one block. Weights that were committed in one are revealed in another. */
export type Epochs = {
  readonly netuid: number
  readonly block: number
  /** From one epoch to the next, in blocks; 0: there are none. */
  readonly lengthBlocks: number
  /** The index of the epoch that the block belongs to. */
  readonly index: number
  /** The block that the next epoch is expected to begin with; null when there is none. */
  readonly nextBlock: number | null
}

/** Chains before spec 423: an epoch begins in every block b with (b + netuid + 1) mod (tempo + 1) = 0; tempo 0: never. */
export function epochsByFormula(netuid: number, tempo: number, block: number): Epochs {
  const lengthBlocks = tempo === 0 ? 0 : tempo + 1
  const index = indexByFormula(netuid, tempo, block)
  const nextBlock = tempo === 0 ? null : (index + 1) * lengthBlocks - netuid - 1
  return { netuid, block, lengthBlocks, index, nextBlock }
}

/** The epoch that a block belongs to, on chains before spec 423. */
export const indexByFormula = (netuid: number, tempo: number, block: number): number =>
  tempo === 0 ? 0 : Math.floor((block + netuid + 1) / (tempo + 1))

/** What a chain of today keeps in storage of a subnet's epochs. */
export type EpochState = {
  readonly tempo: number
  readonly epochIndex: number
  readonly lastEpochBlock: number
  /** 0: none was asked for out of turn. */
  readonly pendingEpochAt: number
  /** What the runtime itself says, where it can be asked. */
  readonly announcedBlock: number | null
}

/** Chains since spec 423 count epochs, and begin one every `tempo` blocks, or when their owner asks for it. */
export function epochsByState(netuid: number, block: number, state: EpochState): Epochs {
  const { tempo, epochIndex, lastEpochBlock, pendingEpochAt, announcedBlock } = state
  const inTurn = lastEpochBlock + tempo
  const expected = pendingEpochAt > 0 ? Math.min(pendingEpochAt, inTurn) : inTurn
  // One that is overdue was put off by the chain's cap on epochs in a block.
  const nextBlock = tempo === 0 ? null : Math.max(block + 1, announcedBlock ?? expected)
  return { netuid, block, lengthBlocks: tempo, index: epochIndex, nextBlock }
}

/**
 * The first and the last block of an epoch, as far as can be said as of now: exact by the formula, an estimate where the
 * chain keeps its epochs in storage. Undefined for an epoch of the past, or when there are no epochs.
 */
export function epochRange(epochs: Epochs, index: number): { first: number; last: number } | undefined {
  const { nextBlock, lengthBlocks } = epochs
  const ahead = index - epochs.index
  if (nextBlock === null || ahead < 0) return undefined
  const last = nextBlock + ahead * lengthBlocks - 1
  return { first: ahead === 0 ? Math.min(epochs.block, last) : last - lengthBlocks + 1, last }
}
