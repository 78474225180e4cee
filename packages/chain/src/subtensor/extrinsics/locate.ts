import { ChainError } from '../../errors.ts'
import { hashOf, heightOf } from '../answers.ts'
import type { Live } from '../connection.ts'
import { bestBlockHash, countOf, entryOf, fieldOf, readStorage } from '../storage.ts'
import { ERA_BLOCKS, type Included, outcomeIn, runtimeOf, type Signed } from './submit.ts'

/** So many blocks after its era a fork that wins late can not bring an extrinsic any more. */
const FORK_BLOCKS = 4

type Located = Included | ChainError | 'open' | 'void'

/**
 * Where an extrinsic is on the best chain: in a block, with its end; `open` when it is in none and may yet get into one;
 * `void` when it can not any more, since its era is over, another has used its nonce, or the runtime was upgraded since it
 * was signed. When the best block changes meanwhile, a fork may have won: an end without effect is then looked for again.
 */
export async function locate(live: Live, signed: Signed): Promise<Located> {
  const at = await bestBlockHash(live)
  const located = await locateAt(live, signed, at)
  const hasEffect = located === 'open' || (typeof located === 'object' && !(located instanceof ChainError))
  if (hasEffect) return located
  const now = await bestBlockHash(live)
  return now === at ? located : locateAt(live, signed, now)
}

/** Where an extrinsic is on the chain that ends with a block. */
async function locateAt(live: Live, signed: Signed, at: string): Promise<Located> {
  const account = { entry: entryOf(live.api, 'system', 'account'), args: [signed.hotkey] }
  const [header, [info]] = await Promise.all([live.rpc.send('chain_getHeader', [at]), readStorage(live, at, [account])])
  const best = heightOf(header)
  const last = signed.birthBlock + ERA_BLOCKS
  const nextNonce = info ? countOf(fieldOf(info, 'nonce')) : 0
  if (nextNonce <= signed.nonce) return best >= last + FORK_BLOCKS || hasLeft(live, signed) ? 'void' : 'open'
  // From parent to parent, so that all blocks are of the chain that the nonce was read from.
  let hash = best > last + FORK_BLOCKS ? hashOf(await live.rpc.send('chain_getBlockHash', [last])) : at
  for (;;) {
    const body = await readBody(live, hash)
    if (body.number <= signed.birthBlock) return 'void'
    if (body.extrinsics.includes(signed.hex)) return outcomeIn(live, signed.hex, hash)
    hash = body.parentHash
  }
}

/** @throws ChainError BadAnswer when the node does not have the block, as after a fork */
async function readBody({ rpc }: Live, hash: string) {
  type Answer = { block?: { header?: { parentHash?: unknown }; extrinsics?: string[] } }
  const { block } = (await rpc.send<Answer | null>('chain_getBlock', [hash])) ?? {}
  if (!Array.isArray(block?.extrinsics)) throw new ChainError('BadAnswer', 'no body of a block')
  return {
    number: heightOf(block.header),
    parentHash: hashOf(block.header?.parentHash),
    extrinsics: block.extrinsics,
  }
}

/** Whether the chain is past the runtime of an extrinsic. A node that has an older one is behind: others may take it. */
function hasLeft(live: Live, { runtime }: Signed): boolean {
  const { genesisHash, specVersion } = runtimeOf(live)
  return genesisHash !== runtime.genesisHash || specVersion > runtime.specVersion
}
