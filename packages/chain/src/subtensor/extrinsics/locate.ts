import type { BlockRef } from '../../chain.ts'
import { ChainError } from '../../errors.ts'
import { bestBlockHash, blockHashOf } from '../blocks.ts'
import type { NodeConnection } from '../connection.ts'
import { hashIn, heightIn } from '../rpc.ts'
import { countOf, entryOf, fieldOf, readStorage } from '../storage.ts'
import { ERA_BLOCKS, readOutcome, runtimeOf, type SignedExtrinsic } from './submit.ts'

/** Blocks after the end of its era at which a late-winning fork can no longer include an extrinsic. */
const FORK_BLOCKS = 4

/**
 * Where an extrinsic is: in a block, successful or failed; in no block yet (`pending`); or never to be in one (`void`).
 */
export type Location = BlockRef | ChainError | 'pending' | 'void'

/**
 * Finds an extrinsic on the best chain. Returns its block; the error with which it failed in its block; `pending` when
 * it is in no block but may still be included; `void` when it never will be, because its era is over, its nonce is
 * used, or the runtime was upgraded.
 *
 * If the best block changes meanwhile, another fork may have won. A result that means "no effect" is then checked
 * again.
 */
export async function locate(node: NodeConnection, signed: SignedExtrinsic): Promise<Location> {
  const at = await bestBlockHash(node)
  const location = await locateAt(node, signed, at)
  const mayHaveEffect = location === 'pending' || (typeof location === 'object' && !(location instanceof ChainError))
  if (mayHaveEffect) return location
  const now = await bestBlockHash(node)
  return now === at ? location : locateAt(node, signed, now)
}

/** Finds an extrinsic on the chain that ends with the block `at`. */
async function locateAt(node: NodeConnection, signed: SignedExtrinsic, at: string): Promise<Location> {
  const account = { entry: entryOf(node.api, 'system', 'account'), args: [signed.hotkey] }
  const [header, [info]] = await Promise.all([node.rpc.send('chain_getHeader', [at]), readStorage(node, at, [account])])
  const best = heightIn(header)
  const last = signed.birthBlock + ERA_BLOCKS
  const nextNonce = info ? countOf(fieldOf(info, 'nonce')) : 0
  if (nextNonce <= signed.nonce) {
    return best >= last + FORK_BLOCKS || isRuntimeReplaced(node, signed) ? 'void' : 'pending'
  }
  // Walks from parent to parent, so that every block belongs to the fork that the nonce was read from.
  let hash = best > last + FORK_BLOCKS ? await blockHashOf(node, last) : at
  for (;;) {
    const body = await readBody(node, hash)
    if (body.number <= signed.birthBlock) return 'void'
    if (body.extrinsics.includes(signed.hex)) return readOutcome(node, signed.hex, hash)
    hash = body.parentHash
  }
}

/** Reads a block. @throws ChainError BadAnswer when the node does not have it, for instance after a fork */
async function readBody({ rpc }: NodeConnection, hash: string) {
  type Answer = { block?: { header?: { parentHash?: unknown }; extrinsics?: string[] } }
  const { block } = (await rpc.send<Answer | null>('chain_getBlock', [hash])) ?? {}
  if (!Array.isArray(block?.extrinsics)) throw new ChainError('BadAnswer', 'the answer is not a block')
  return {
    number: heightIn(block.header),
    parentHash: hashIn(block.header?.parentHash),
    extrinsics: block.extrinsics,
  }
}

/**
 * Returns whether the chain has a newer runtime than the extrinsic was signed for. If this node's runtime is older, the
 * node is merely behind, and other nodes may still include the extrinsic.
 */
function isRuntimeReplaced(node: NodeConnection, { runtime }: SignedExtrinsic): boolean {
  const { genesisHash, specVersion } = runtimeOf(node)
  return genesisHash !== runtime.genesisHash || specVersion > runtime.specVersion
}
