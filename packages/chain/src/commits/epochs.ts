/** A subnet's epochs, seen from one block. Weights are committed in one epoch and revealed in a later one. */
export type Epochs = {
  readonly netuid: number
  readonly block: number
  /** Length of an epoch in blocks; 0 if the subnet has no epochs. */
  readonly lengthBlocks: number
  /** Index of the epoch that the block belongs to. */
  readonly index: number
  /** The expected first block of the next epoch; null if there is none. */
  readonly nextBlock: number | null
}

/**
 * Computes the epochs of chains before spec 423. There an epoch begins in every block b with
 * (b + netuid + 1) mod (tempo + 1) = 0, and with tempo 0 never.
 */
export function epochsByFormula(netuid: number, tempo: number, block: number): Epochs {
  const lengthBlocks = tempo === 0 ? 0 : tempo + 1
  const index = indexByFormula(netuid, tempo, block)
  const nextBlock = tempo === 0 ? null : (index + 1) * lengthBlocks - netuid - 1
  return { netuid, block, lengthBlocks, index, nextBlock }
}

/** Returns the index of the epoch that a block belongs to, on chains before spec 423. */
export const indexByFormula = (netuid: number, tempo: number, block: number): number =>
  tempo === 0 ? 0 : Math.floor((block + netuid + 1) / (tempo + 1))

/** What chains since spec 423 store about a subnet's epochs. */
export type EpochState = {
  readonly tempo: number
  readonly epochIndex: number
  readonly lastEpochBlock: number
  /** The block of an extra epoch that the owner requested; 0 if none. */
  readonly pendingEpochAt: number
  /** The first block of the next epoch, by the runtime's own answer; null if it cannot be asked. */
  readonly announcedBlock: number | null
}

/**
 * Computes the epochs of chains since spec 423. There one begins every `tempo` blocks, or when the owner requests it.
 */
export function epochsByState(netuid: number, block: number, state: EpochState): Epochs {
  const { tempo, epochIndex, lastEpochBlock, pendingEpochAt, announcedBlock } = state
  const scheduled = lastEpochBlock + tempo
  const expected = pendingEpochAt > 0 ? Math.min(pendingEpochAt, scheduled) : scheduled
  // The chain limits the epochs that begin in one block, so an epoch can be overdue. It then begins in the next block.
  const nextBlock = tempo === 0 ? null : Math.max(block + 1, announcedBlock ?? expected)
  return { netuid, block, lengthBlocks: tempo, index: epochIndex, nextBlock }
}

/**
 * Returns the first and last block of an epoch: exact on chains before spec 423, an estimate on later ones. For the
 * current epoch it starts at the current block. Undefined for a past epoch, or when there are no epochs.
 */
export function epochRange(epochs: Epochs, index: number): { first: number; last: number } | undefined {
  const { nextBlock, lengthBlocks } = epochs
  const ahead = index - epochs.index
  if (nextBlock === null || ahead < 0) return undefined
  const last = nextBlock + ahead * lengthBlocks - 1
  return { first: ahead === 0 ? Math.min(epochs.block, last) : last - lengthBlocks + 1, last }
}
