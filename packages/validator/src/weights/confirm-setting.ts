/** Finds out what became of weights that were sent, and saves it. */
import type { Chain, SealedWeights } from '@horde/chain/chain'
import { ERA_BLOCKS } from '@horde/chain/subtensor/extrinsics/submit'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { untilSaved } from '../db/journal.ts'
import { commitSetting, refuseSetting, settingsIn, settleSetting, type WeightSetting } from '../db/weight-settings.ts'

/** How far a node may lag behind the node that received the extrinsic, in blocks. */
const LAG_BLOCKS = 4

/** How often to read the block number while waiting, in ms. */
const BLOCK_POLL_MS = 1_000

const NOT_INCLUDED = 'no block included it before its era was over'

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

export type ReconcileDeps = ConfirmDeps & { chain: Pick<Chain, 'blockNumber'> }

export interface ReconcileRequest {
  netuid: number
  /** How often to read the block number, in ms. Default: 1 s. */
  blockPollMs?: number
}

/** A setting and the block that includes it. */
export interface ConfirmedSetting {
  setting: SentSetting
  confirmation: Confirmation
}

/**
 * Finds out what became of settings that an earlier call or a killed process left as planned. For each it asks the
 * chain whether a block includes it. If not, a block still may until the extrinsic's era is over, so it waits until
 * then, and only then marks the setting as refused and its batches as unscored. Returns the last setting that a block
 * includes.
 *
 * The caller must hold the lock, so that no other process sends weights meanwhile.
 */
export async function reconcilePlanned(
  request: ReconcileRequest,
  deps: ReconcileDeps,
  signal: AbortSignal,
): Promise<ConfirmedSetting | undefined> {
  let last: ConfirmedSetting | undefined
  for (const setting of await settingsIn(deps.db, request.netuid, deps.hotkey.ss58, 'planned')) {
    const confirmation = await untilDecided(setting, request, deps, signal)
    if (confirmation) {
      await saveConfirmation(setting, confirmation, deps, signal)
      last = { setting, confirmation }
    } else {
      await refuseSetting(deps.db, setting.id, { at: new Date(deps.clock.now()), why: NOT_INCLUDED })
      deps.log.warn(
        { setting: setting.id },
        'no block included the planned weights; their batches will be scored again',
      )
    }
  }
  return last
}

/** Waits until a block includes the setting, or until no block can include it any more. */
async function untilDecided(
  setting: SentSetting,
  { blockPollMs = BLOCK_POLL_MS }: ReconcileRequest,
  deps: ReconcileDeps,
  signal: AbortSignal,
): Promise<Confirmation | undefined> {
  const seenAt = Math.max(await deps.chain.blockNumber(), setting.plannedAtBlock ?? 0)
  const voidFrom = seenAt + ERA_BLOCKS + LAG_BLOCKS
  for (;;) {
    // Reads the block number first, so that a result of "not found" holds for all blocks up to this one.
    const block = await deps.chain.blockNumber()
    const confirmation = await findConfirmation(setting, deps)
    if (confirmation || block >= voidFrom) return confirmation
    if (block === seenAt) {
      deps.log.info({ setting: setting.id, block, voidFrom }, 'waiting: a block may still include the planned weights')
    }
    await deps.clock.sleep(blockPollMs, signal)
  }
}
