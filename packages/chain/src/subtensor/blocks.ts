/** Reads blocks: hashes, times, and whether a block is final. */
import type { BlockFinality } from '../chain.ts'
import { ChainError } from '../errors.ts'
import type { NodeConnection } from './connection.ts'
import { hashIn, heightIn } from './rpc.ts'
import { countOf, entryOf, readStorage } from './storage.ts'

/** Returns the hash of the best block. Reads that belong together are made at the same block. */
export const bestBlockHash = async ({ rpc }: NodeConnection): Promise<string> =>
  hashIn(await rpc.send('chain_getBlockHash', []))

/** Returns the hash of the block with this number on the best chain. */
export const blockHashOf = async ({ rpc }: NodeConnection, block: number): Promise<string> =>
  hashIn(await rpc.send('chain_getBlockHash', [block]))

/**
 * Returns the best block's number and the time its author gave it, in ms since the epoch. Takes two requests.
 * @throws ChainError BadAnswer when the chain has no time yet, as before its first block
 */
export async function readBlockTime(node: NodeConnection): Promise<{ block: number; timeMs: number }> {
  const reads = [entryOf(node.api, 'system', 'number'), entryOf(node.api, 'timestamp', 'now')]
  const values = await readStorage(
    node,
    await bestBlockHash(node),
    reads.map(entry => ({ entry, args: [] })),
  )
  const [block, timeMs] = values.map(countOf)
  if (block === undefined || !timeMs) throw new ChainError('BadAnswer', 'the block has no time')
  return { block, timeMs }
}

/** Returns whether a block is final, still replaceable, or replaced by another block. */
export async function readBlockFinality(
  { rpc }: NodeConnection,
  block: number,
  blockHash: string,
): Promise<BlockFinality> {
  const [hashOnChain, finalized] = await Promise.all([
    rpc.send<unknown>('chain_getBlockHash', [block]),
    rpc.send<unknown>('chain_getFinalizedHead', []),
  ])
  // The node has not reached this height, so it knows no other block there.
  if (hashOnChain === null) return 'pending'
  if (hashIn(hashOnChain) !== blockHash) return 'replaced'
  return heightIn(await rpc.send('chain_getHeader', [hashIn(finalized)])) >= block ? 'final' : 'pending'
}
