import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { lastIncluded, moveInclusion, takeBackInclusion, type WeightSetting } from '../db/weight-settings.ts'

/**
 * How long before the last weights others are looked at, in ms. The last ones are looked at whatever their age, since the
 * validator may have been down.
 */
const FORK_MS = 3_600_000

/** So long, in ms, nodes keep the states that tell of a reveal. */
const STATES_MS = 3_600_000

export interface RecheckDeps {
  chain: Pick<Chain, 'blockFinality' | 'findWeights'>
  hotkey: Hotkey
  db: Database
  clock: Pick<Clock, 'now'>
  log: Log
}

/**
 * Looks again at the blocks of weights that count as included: another block may have replaced one. Such weights are noted
 * in the block that they are in now, or they are open again, as if nobody had seen them in a block. `final` keeps the
 * settings whose blocks can not be replaced any more.
 *
 * @throws ChainError
 */
export async function recheckIncluded(netuid: number, final: Set<number>, deps: RecheckDeps): Promise<void> {
  for (const setting of await lastIncluded(deps.db, netuid, deps.hotkey.ss58, FORK_MS)) {
    const { id, block, blockHash } = setting
    if (block === null || blockHash === null || final.has(id) || isUntraceable(setting, deps)) continue
    const standing = await deps.chain.blockFinality(block, blockHash)
    if (standing === 'final') final.add(id)
    else if (standing === 'replaced') await follow(setting, deps)
  }
}

/** Nobody can say any more where a reveal went when its block was replaced. A row that was set is still there. */
const isUntraceable = ({ method, endedAt }: WeightSetting, { clock }: RecheckDeps): boolean =>
  method !== 'set' && endedAt !== null && endedAt.getTime() < clock.now() - STATES_MS

async function follow(setting: WeightSetting, { chain, hotkey, db, log }: RecheckDeps): Promise<void> {
  const { id, method, block, plannedAtBlock } = setting
  // A commit's reveal is looked for by the commit, as after a restart.
  const now = method === 'set' ? await chain.findWeights(setting, hotkey.ss58, plannedAtBlock ?? 0) : undefined
  if (now) {
    await moveInclusion(db, setting, now)
    log.warn({ setting: id, block, nowBlock: now.block }, 'the block of weights was replaced, they are in another')
    return
  }
  await takeBackInclusion(db, setting)
  log.warn({ setting: id, block }, 'the block of weights was replaced, the chain will say what became of them')
}
