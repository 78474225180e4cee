import type { BlockStanding } from '../chain.ts'
import { hashOf, heightOf } from './answers.ts'
import type { Live } from './connection.ts'

/** Whether a block is final, on the best chain without being final yet, or replaced by another. */
export async function readBlockStanding({ rpc }: Live, block: number, blockHash: string): Promise<BlockStanding> {
  const [there, finalized] = await Promise.all([
    rpc.send<unknown>('chain_getBlockHash', [block]),
    rpc.send<unknown>('chain_getFinalizedHead', []),
  ])
  // A node that is not there yet knows of no other block.
  if (there === null) return 'open'
  if (hashOf(there) !== blockHash) return 'replaced'
  return heightOf(await rpc.send('chain_getHeader', [hashOf(finalized)])) >= block ? 'final' : 'open'
}
