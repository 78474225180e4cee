import type { Chain, WeightOf } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import { upscaled } from '@horde/chain/weights/row'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { unscoredBatches } from '../db/batches.ts'
import type { TryLock } from '../db/lock.ts'
import { planSetting } from '../db/weight-settings.ts'
import type { ScoringRules } from '../scoring/network-scores.ts'
import { type ConfirmedSetting, reconcilePlanned, type SentSetting, saveConfirmation } from './confirm-setting.ts'
import { type Basis, planWeights } from './plan-weights.ts'
import { ownNeuron, waitForRateLimit } from './rate-limit.ts'
import { recheckIncluded } from './recheck-included.ts'
import { submitSetting } from './submit-setting.ts'
import { type CommitBy, commitDataOf, MAX_OPEN_COMMITS, type WeightMethod, weightMethod } from './weight-method.ts'

export interface WeightsRequest {
  netuid: number
  versionKey: number
  /** How to commit weights on a subnet with commit-reveal, if the chain has both ways. Default: auto. */
  commitBy?: CommitBy
  /** The most blocks to wait for the chain's rate limit. If it takes longer, nothing is set in this call. */
  maxWaitBlocks: number
  /** How often to read the block number while waiting, in ms. */
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
    | 'blockFinality'
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
  /** Default: the rules of the default settings. */
  scoringRules?: ScoringRules
  log: Log
}

export type WeightsOutcome =
  /** A block includes the weights. `confirmed`: the chain, read again, holds exactly this row. */
  | { outcome: 'set'; basis: Basis; block: number; weights: WeightOf[]; confirmed: boolean }
  /** A block includes the commit. It is due for its reveal a reveal period after `epoch`. */
  | { outcome: 'committed'; basis: Basis; block: number; epoch: number }
  /** The rate limit lasts longer than this call may wait, or it is too late in the epoch for a sealed commit. */
  | { outcome: 'too soon'; dueAtBlock: number }
  /** The chain accepts no commit before one of these is revealed or expires. */
  | { outcome: 'too many commits'; open: number }
  /** Another process or call is setting this hotkey's weights. */
  | { outcome: 'busy' }

/**
 * Sets the weights of the unscored batches, or repeats the last weights if there are no scores. On a subnet with
 * commit-reveal it commits them. First it reconciles what an earlier call left open. It saves the weights as planned
 * before it sends them, and marks the batches as scored once a block includes them. It retries a few times after
 * retryable errors. It never waits for the chain inside a database transaction.
 *
 * @throws ChainError when the chain refuses the weights for good, or cannot be reached
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
  let earlier = await reconcileEarlier(request, deps, signal)
  do {
    if (earlier && (await unscoredBatches(deps.db, netuid)).length === 0) return outcomeOf(earlier, deps)
    const dueAtBlock = await waitForRateLimit(request, deps, signal)
    if (dueAtBlock !== undefined) return { outcome: 'too soon', dueAtBlock }
    // A fork may have replaced the block of weights during the wait.
    earlier = await reconcileEarlier(request, deps, signal)
  } while (earlier)

  const method = await weightMethod(netuid, request.commitBy ?? 'auto', deps)
  if (method.openCommits >= MAX_OPEN_COMMITS) return { outcome: 'too many commits', open: method.openCommits }
  if (method.waitUntilBlock !== undefined) return { outcome: 'too soon', dueAtBlock: method.waitUntilBlock }
  signal.throwIfAborted()
  const setting = await savePlan(request, method, deps)
  const confirmation = await submitSetting(setting, request, deps, signal)
  await saveConfirmation(setting, confirmation, deps, signal)
  return outcomeOf({ setting, confirmation }, deps)
}

/** Reconciles the settings that an earlier call left planned, or whose block a fork has replaced. */
async function reconcileEarlier(request: WeightsRequest, deps: WeightsDeps, signal: AbortSignal) {
  await recheckIncluded(request.netuid, deps.final ?? new Set(), deps)
  return reconcilePlanned(request, deps, signal)
}

/** Saves the weights to set before they are sent. */
async function savePlan(request: WeightsRequest, method: WeightMethod, deps: WeightsDeps): Promise<SentSetting> {
  const { netuid } = request
  const { hotkey, clock } = deps
  const { basis, batchIds, scores, explanation, row } = await planWeights(netuid, deps)
  const sent = { netuid, uids: [...row.uids], weights: [...row.weights], versionKey: BigInt(request.versionKey) }
  const { sealed, ...commit } = commitDataOf(sent, method, hotkey, clock.now())
  const planned = {
    ...{ ...sent, ...commit, method: method.method },
    ...{ plannedAtBlock: method.state.block, basis, batchIds },
  }
  const more = { hotkey: hotkey.ss58, scores, explanation, plannedAt: new Date(clock.now()) }
  const id = await planSetting(deps.db, { ...planned, ...more })
  return { ...planned, id, ...(sealed ? { sealed } : {}) }
}

/** Returns the outcome of a confirmed setting, after reading the row back from the chain. */
async function outcomeOf(
  { setting, confirmation }: ConfirmedSetting,
  { chain, hotkey, log }: WeightsDeps,
): Promise<WeightsOutcome> {
  const basis = setting.basis as Basis
  const { block } = confirmation
  if (confirmation.state === 'committed') return { outcome: 'committed', basis, block, epoch: confirmation.epoch }
  const { uid } = ownNeuron(await chain.metagraph(setting.netuid), hotkey)
  const weights = await chain.weightsOf(setting.netuid, uid)
  const confirmed = isRow(weights, setting)
  if (!confirmed) log.warn({ setting: setting.id }, 'the chain holds other weights than those that were set')
  return { outcome: 'set', basis, block, weights, confirmed }
}

function isRow(held: readonly WeightOf[], { uids, weights }: Pick<SentSetting, 'uids' | 'weights'>): boolean {
  const expected = upscaled(weights)
  return held.length === uids.length && held.every(({ uid, weight }, i) => uid === uids[i] && weight === expected[i])
}
