import type { ChainError } from '../../errors.ts'
import { hashOf, heightOf } from '../answers.ts'
import type { Live } from '../connection.ts'
import { bestBlockHash, countOf, entryOf, fieldOf, readStorage } from '../storage.ts'
import { ERA_BLOCKS, type Included, outcomeIn, runtimeOf, type Signed } from './submit.ts'

/** So many blocks after its era a fork that wins late can not bring an extrinsic any more. */
const FORK_BLOCKS = 4

/**
 * Where an extrinsic is on the best chain: in a block, with its end; `open` when it is in none and may yet get into one;
 * `void` when it can not any more, since its era is over, another has used its nonce, or the runtime was upgraded since it
 * was signed.
 */
export async function locate(live: Live, signed: Signed): Promise<Included | ChainError | 'open' | 'void'> {
  const at = await bestBlockHash(live)
  const account = { entry: entryOf(live.api, 'system', 'account'), args: [signed.hotkey] }
  const [header, [info]] = await Promise.all([live.rpc.send('chain_getHeader', [at]), readStorage(live, at, [account])])
  const best = heightOf(header)
  const last = signed.birthBlock + ERA_BLOCKS
  const nextNonce = info ? countOf(fieldOf(info, 'nonce')) : 0
  if (nextNonce <= signed.nonce) return best >= last + FORK_BLOCKS || hasLeft(live, signed) ? 'void' : 'open'
  for (let block = Math.min(best, last); block > signed.birthBlock; block -= 1) {
    const hash = hashOf(await live.rpc.send('chain_getBlockHash', [block]))
    const { block: body } = await live.rpc.send<{ block: { extrinsics: string[] } }>('chain_getBlock', [hash])
    if (body.extrinsics.includes(signed.hex)) return outcomeIn(live, signed.hex, hash)
  }
  return 'void'
}

/** Whether the chain is past the runtime of an extrinsic. A node that has an older one is behind: others may take it. */
function hasLeft(live: Live, { runtime }: Signed): boolean {
  const { genesisHash, specVersion } = runtimeOf(live)
  return genesisHash !== runtime.genesisHash || specVersion > runtime.specVersion
}
