/** The `check` line about the manifest on the chain. */
import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import { type Finding, ok, warn } from '@horde/kit/check/finding'
import { formatManifest } from '@horde/protocol/v2026/manifest-commitment'
import { committedManifest, manifestOf } from '../announce/manifest-committer.ts'
import type { PoolSettings } from '../horde/pools/pool-settings.ts'

/** Compares the manifest on the chain with the pools of the settings. */
export async function manifestFinding(
  chain: Pick<Chain, 'commitment'>,
  { netuid, hotkey, pools }: { netuid: number; hotkey: string; pools: readonly PoolSettings[] },
): Promise<Finding> {
  const counts = pools.map(({ executorClass: executor_class, count }) => ({ executor_class, count }))
  const wanted = formatManifest(manifestOf(counts))
  try {
    const onChain = committedManifest(await chain.commitment(netuid, hotkey))
    if (onChain?.manifest === wanted) return ok('manifest', `the chain says ${wanted} since block ${onChain.block}`)
    const found = `the chain says ${onChain === null ? 'nothing' : onChain.manifest || 'none'}, the settings ${wanted}`
    return warn('manifest', found, 'start the miner, which commits it within minutes; its page says what is wrong')
  } catch (error) {
    if (!(error instanceof ChainError)) throw error
    return warn('manifest', error.message, 'unset COMMIT_MANIFEST if this chain has no commitments')
  }
}
