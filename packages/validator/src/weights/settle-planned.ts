import type { Chain } from '@horde/chain/chain'
import { ERA_BLOCKS } from '@horde/chain/subtensor/extrinsics/submit'
import { refuseSetting, settingsIn } from '../db/weight-settings.ts'
import { findLanded, type Landed, type LandedDeps, type SentSetting, saveLanded } from './landed.ts'

/** How far a node may lag behind the one that heard of the extrinsic, in blocks. */
const LAG_BLOCKS = 4

/** How often the block number is asked for, in ms. */
const BLOCK_POLL_MS = 1_000

export const NOT_IN_A_BLOCK = 'not in a block, as the chain says'

export type PlannedDeps = LandedDeps & { chain: Pick<Chain, 'blockNumber'> }

export interface PlannedRequest {
  netuid: number
  blockPollMs?: number
}

/**
 * Settles what an earlier call, or a process that was killed, left as planned: the chain says whether it is in a block. What
 * is not may still get into one as long as its era lasts, so that is waited for; only then it is refused, and its batches
 * are free again. Call it with the lock held: nobody else sends then. Gives the last one that is in a block.
 */
export async function settlePlanned(
  request: PlannedRequest,
  deps: PlannedDeps,
  signal: AbortSignal,
): Promise<{ setting: SentSetting; landed: Landed } | undefined> {
  let last: { setting: SentSetting; landed: Landed } | undefined
  for (const setting of await settingsIn(deps.db, request.netuid, deps.hotkey.ss58, 'planned')) {
    const landed = await untilDecided(setting, request, deps, signal)
    if (landed) {
      await saveLanded(setting, landed, deps, signal)
      last = { setting, landed }
    } else {
      await refuseSetting(deps.db, setting.id, { at: new Date(deps.clock.now()), why: NOT_IN_A_BLOCK })
      deps.log.warn({ setting: setting.id }, 'weights that were planned are in no block, their batches are free')
    }
  }
  return last
}

async function untilDecided(
  setting: SentSetting,
  { blockPollMs = BLOCK_POLL_MS }: PlannedRequest,
  deps: PlannedDeps,
  signal: AbortSignal,
): Promise<Landed | undefined> {
  const seenAt = Math.max(await deps.chain.blockNumber(), setting.plannedAtBlock ?? 0)
  const voidFrom = seenAt + ERA_BLOCKS + LAG_BLOCKS
  for (;;) {
    // Asked before looking: what is not seen then was in no block up to this one.
    const block = await deps.chain.blockNumber()
    const landed = await findLanded(setting, deps)
    if (landed || block >= voidFrom) return landed
    if (block === seenAt) deps.log.info({ setting: setting.id, block, voidFrom }, 'planned weights may yet be included')
    await deps.clock.sleep(blockPollMs, signal)
  }
}
