import type { Chain, WeightOf } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import { upscaled } from '@horde/chain/weights/row'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { unscoredBatches } from './db/batches.ts'
import type { TryLock } from './db/lock.ts'
import { planSetting } from './db/weight-settings.ts'
import type { ScoringRules } from './scoring/network-scores.ts'
import type { CommitBy } from './weights/commit-by.ts'
import { type Landed, type SentSetting, saveLanded } from './weights/landed.ts'
import { type Basis, planWeights } from './weights/plan-weights.ts'
import { ownNeuron, waitForRateLimit } from './weights/rate-limit.ts'
import { recheckIncluded } from './weights/recheck-included.ts'
import { settlePlanned } from './weights/settle-planned.ts'
import { submitSetting } from './weights/submit-setting.ts'
import { MAX_OPEN_COMMITS, tellingOf, type Way, wayToSet } from './weights/way-to-set.ts'

export interface WeightsRequest {
  netuid: number
  versionKey: number
  /** How weights are committed where the subnet wants that and the chain takes both. Default: auto. */
  commitBy?: CommitBy
  /** How many blocks to wait for the chain's rate limit at most; beyond it the weights are for later. */
  maxWaitBlocks: number
  /** How often the block number is asked for while waiting, in ms. */
  blockPollMs?: number
  retry?: BackoffOptions
}

export interface WeightsDeps {
  chain: Pick<
    Chain,
    | 'metagraph'
    | 'hyperparameters'
    | 'blockNumber'
    | 'setWeights'
    | 'weightsOf'
    | 'findWeights'
    | 'findCommit'
    | 'blockStanding'
    | 'commitReveal'
    | 'commitWeights'
    | 'commitSealed'
  >
  hotkey: Hotkey
  db: Database
  tryLock: TryLock
  /** Settings whose blocks are known to be final. */
  final?: Set<number>
  clock: Clock
  /** Default: those of settings that are left alone. */
  scoringRules?: ScoringRules
  log: Log
}

export type WeightsOutcome =
  /** In a block. `confirmed`: the chain, read back, holds just this row. */
  | { outcome: 'set'; basis: Basis; block: number; weights: WeightOf[]; confirmed: boolean }
  /** Their commit is in a block; to be revealed when `epoch` and the subnet's reveal period are over. */
  | { outcome: 'committed'; basis: Basis; block: number; epoch: number }
  /** The chain's rate limit is further away than this call waits, or a sealed commit would come too late in its epoch. */
  | { outcome: 'too soon'; dueAtBlock: number }
  /** The chain takes no more commits before one is revealed or expires. */
  | { outcome: 'too many commits'; open: number }
  /** Another process, or another call, is setting this hotkey's weights. */
  | { outcome: 'busy' }

/**
 * Sets the weights that the unscored batches make, or again the last ones when there is nothing to score; on a subnet with
 * commit-reveal, commits them. What is to be set is written down first; the batches count as scored once it is in a block.
 * What an earlier call left open is settled before. Passing refusals are tried again, a few times; nothing on the chain
 * happens inside a database transaction.
 *
 * @throws ChainError when the chain refused for good, or could not be reached
 */
export async function setWeights(
  request: WeightsRequest,
  deps: WeightsDeps,
  stop: AbortSignal,
): Promise<WeightsOutcome> {
  const { netuid } = request
  await using lock = await deps.tryLock()
  if (!lock) return { outcome: 'busy' }
  const signal = AbortSignal.any([stop, lock.lost])
  let earlier = await settleEarlier(request, deps, signal)
  do {
    if (earlier && (await unscoredBatches(deps.db, netuid)).length === 0) return outcomeOf(earlier, deps)
    const dueAtBlock = await waitForRateLimit(request, deps, signal)
    if (dueAtBlock !== undefined) return { outcome: 'too soon', dueAtBlock }
    // A fork may have taken weights back during the wait.
    earlier = await settleEarlier(request, deps, signal)
  } while (earlier)

  const way = await wayToSet(netuid, request.commitBy ?? 'auto', deps)
  if (way.openCommits >= MAX_OPEN_COMMITS) return { outcome: 'too many commits', open: way.openCommits }
  if (way.waitUntilBlock !== undefined) return { outcome: 'too soon', dueAtBlock: way.waitUntilBlock }
  signal.throwIfAborted()
  const setting = await writeDown(request, way, deps)
  const landed = await submitSetting(setting, request, deps, signal)
  await saveLanded(setting, landed, deps, signal)
  return outcomeOf({ setting, landed }, deps)
}

/** Settles what is open: what an earlier call left so, and what a fork has taken back. */
async function settleEarlier(request: WeightsRequest, deps: WeightsDeps, signal: AbortSignal) {
  await recheckIncluded(request.netuid, deps.final ?? new Set(), deps)
  return settlePlanned(request, deps, signal)
}

async function writeDown(request: WeightsRequest, way: Way, deps: WeightsDeps): Promise<SentSetting> {
  const { netuid } = request
  const { hotkey, clock } = deps
  const { basis, batchIds, scores, explanation, row } = await planWeights(netuid, deps)
  const sent = { netuid, uids: [...row.uids], weights: [...row.weights], versionKey: BigInt(request.versionKey) }
  const { sealed, ...told } = tellingOf(sent, way, hotkey, clock.now())
  const planned = { ...sent, ...told, method: way.method, plannedAtBlock: way.state.block, basis, batchIds }
  const more = { hotkey: hotkey.ss58, scores, explanation, plannedAt: new Date(clock.now()) }
  const id = await planSetting(deps.db, { ...planned, ...more })
  return { ...planned, id, ...(sealed ? { sealed } : {}) }
}

/** What came of a setting that is in a block, read back from the chain. */
async function outcomeOf(
  { setting, landed }: { setting: SentSetting; landed: Landed },
  { chain, hotkey, log }: WeightsDeps,
): Promise<WeightsOutcome> {
  const basis = setting.basis as Basis
  if (landed.state === 'committed') return { outcome: 'committed', basis, block: landed.block, epoch: landed.epoch }
  const { uid } = ownNeuron(await chain.metagraph(setting.netuid), hotkey)
  const weights = await chain.weightsOf(setting.netuid, uid)
  const confirmed = isRow(weights, setting)
  if (!confirmed) log.warn({ setting: setting.id }, 'the chain holds other weights than those that were set')
  return { outcome: 'set', basis, block: landed.block, weights, confirmed }
}

function isRow(held: readonly WeightOf[], { uids, weights }: Pick<SentSetting, 'uids' | 'weights'>): boolean {
  const expected = upscaled(weights)
  return held.length === uids.length && held.every(({ uid, weight }, i) => uid === uids[i] && weight === expected[i])
}
