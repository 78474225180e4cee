import type { Chain, SealedWeights } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { untilSaved } from '../db/journal.ts'
import { commitSetting, settleSetting, type WeightSetting } from '../db/weight-settings.ts'

/** The part of a setting that is sent, and what identifies it on the chain. */
export type SentSetting = Pick<
  WeightSetting,
  'id' | 'netuid' | 'method' | 'uids' | 'weights' | 'versionKey' | 'salt' | 'commitHash' | 'plannedAtBlock' | 'basis'
> & {
  readonly batchIds: readonly number[]
  /** The encrypted weights. Only the process that made the commit has them. */
  readonly sealed?: SealedWeights
}

/** The block that includes the weights, or their commit. */
export type Confirmation =
  | { state: 'included'; block: number; blockHash: string | null }
  /** `epoch`: the epoch of the commit, as the chain counts it. */
  | { state: 'committed'; block: number; epoch: number }

export interface ConfirmDeps {
  chain: Pick<Chain, 'findWeights' | 'findCommit'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

/** Looks for a planned setting on the chain: its row, if set after it was planned, or its commit. */
export async function findConfirmation(
  setting: SentSetting,
  { chain, hotkey }: ConfirmDeps,
): Promise<Confirmation | undefined> {
  if (setting.method === 'set') {
    const found = await chain.findWeights(setting, hotkey.ss58, setting.plannedAtBlock ?? 0)
    return found && { state: 'included', ...found }
  }
  const { netuid, commitHash, plannedAtBlock } = setting
  const commit = await chain.findCommit(netuid, commitHash ?? '', hotkey.ss58, plannedAtBlock ?? 0)
  return commit && { state: 'committed', block: commit.block, epoch: commit.epoch }
}

/** Saves that a block includes a setting, marks its batches as scored in the same transaction, and logs it. */
export async function saveConfirmation(
  { id, basis, batchIds, method }: SentSetting,
  confirmation: Confirmation,
  deps: ConfirmDeps,
  signal: AbortSignal,
): Promise<void> {
  const at = new Date(deps.clock.now())
  const save = () =>
    confirmation.state === 'included'
      ? settleSetting(deps.db, id, { at, ...confirmation })
      : commitSetting(deps.db, id, { at, ...confirmation })
  await untilSaved(save, deps, signal)
  const fields = { setting: id, basis, batches: batchIds.length, block: confirmation.block }
  if (confirmation.state === 'included') deps.log.info(fields, 'weights set')
  else deps.log.info({ ...fields, epoch: confirmation.epoch, method }, 'weights committed')
}
