import type { Chain, SealedWeights } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { untilSaved } from '../db/until-saved.ts'
import { commitSetting, settleSetting, type WeightSetting } from '../db/weight-settings.ts'

/** What of a setting is sent, and how it is found again. */
export type SentSetting = Pick<
  WeightSetting,
  'id' | 'netuid' | 'method' | 'uids' | 'weights' | 'versionKey' | 'salt' | 'commitHash' | 'plannedAtBlock' | 'basis'
> & {
  readonly batchIds: readonly number[]
  /** Of a sealed commit, in the process that made it. */
  readonly sealed?: SealedWeights
}

/** In a block: the weights themselves, or their commit. */
export type Landed =
  | { state: 'included'; block: number; blockHash: string | null }
  /** `epoch`: in which the chain counts it as made. */
  | { state: 'committed'; block: number; epoch: number }

export interface LandedDeps {
  chain: Pick<Chain, 'findWeights' | 'findCommit'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

/** Whether the chain holds a planned setting: the row, set after it was planned, or the commit. */
export async function findLanded(setting: SentSetting, { chain, hotkey }: LandedDeps): Promise<Landed | undefined> {
  if (setting.method === 'set') {
    const found = await chain.findWeights(setting, hotkey.ss58, setting.plannedAtBlock ?? 0)
    return found && { state: 'included', ...found }
  }
  const { netuid, commitHash, plannedAtBlock } = setting
  const commit = await chain.findCommit(netuid, commitHash ?? '', hotkey.ss58, plannedAtBlock ?? 0)
  return commit && { state: 'committed', block: commit.block, epoch: commit.epoch }
}

/** Notes that a setting is in a block, and scores its batches, in one transaction. */
export async function saveLanded(
  { id, basis, batchIds, method }: SentSetting,
  landed: Landed,
  deps: LandedDeps,
  signal: AbortSignal,
): Promise<void> {
  const at = new Date(deps.clock.now())
  const save = () =>
    landed.state === 'included'
      ? settleSetting(deps.db, id, { at, ...landed })
      : commitSetting(deps.db, id, { at, ...landed })
  await untilSaved(save, deps, signal)
  const fields = { setting: id, basis, batches: batchIds.length, block: landed.block }
  if (landed.state === 'included') deps.log.info(fields, 'weights set')
  else deps.log.info({ ...fields, epoch: landed.epoch, method }, 'weights committed')
}
