import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { lastIncluded, moveInclusion, takeBackInclusion, type WeightSetting } from '../db/weight-settings.ts'

/**
 * How far before the latest weights to recheck earlier ones, in ms. The latest weights are rechecked at any age, since
 * the validator may have been down.
 */
const RECHECK_MS = 3_600_000

/** How long nodes keep the state that shows a reveal, in ms. */
const STATES_KEPT_MS = 3_600_000

export interface RecheckDeps {
  chain: Pick<Chain, 'blockFinality' | 'findWeights'>
  hotkey: Hotkey
  db: Database
  clock: Pick<Clock, 'now'>
  log: Log
}

/**
 * Checks whether the blocks of recent weights have been replaced. For weights whose block was replaced it saves the
 * block that includes them now. If there is none, it makes them planned or committed again.
 *
 * @param final ids of settings whose blocks are known to be final; it adds to this set
 * @throws ChainError
 */
export async function recheckIncluded(netuid: number, final: Set<number>, deps: RecheckDeps): Promise<void> {
  for (const setting of await lastIncluded(deps.db, netuid, deps.hotkey.ss58, RECHECK_MS)) {
    const { id, block, blockHash } = setting
    if (block === null || blockHash === null || final.has(id) || isUntraceable(setting, deps)) continue
    const finality = await deps.chain.blockFinality(block, blockHash)
    if (finality === 'final') final.add(id)
    else if (finality === 'replaced') await handleReplaced(setting, deps)
  }
}

/** Returns whether the nodes have pruned the state that would show what became of a reveal. A set row stays visible. */
const isUntraceable = ({ method, endedAt }: WeightSetting, { clock }: RecheckDeps): boolean =>
  method !== 'set' && endedAt !== null && endedAt.getTime() < clock.now() - STATES_KEPT_MS

/** Finds the block that includes the weights now, or makes them planned or committed again. */
async function handleReplaced(setting: WeightSetting, { chain, hotkey, db, log }: RecheckDeps): Promise<void> {
  const { id, method, block, plannedAtBlock } = setting
  // For a commit, the next run of `revealWeights` looks for the reveal, as after a restart.
  const now = method === 'set' ? await chain.findWeights(setting, hotkey.ss58, plannedAtBlock ?? 0) : undefined
  if (now) {
    await moveInclusion(db, setting, now)
    log.warn(
      { setting: id, block, nowBlock: now.block },
      'a fork replaced the block of the weights; another block includes them',
    )
    return
  }
  await takeBackInclusion(db, setting)
  log.warn({ setting: id, block }, 'a fork replaced the block of the weights; they are pending again')
}
