import type { Chain, WeightOf } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { WeightRow } from '@horde/chain/weights'
import { upscaled } from '@horde/chain/weights/row'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { TryLock } from './db/one-at-a-time.ts'
import { untilSaved } from './db/until-saved.ts'
import { planSetting, refuseSetting, settleSetting } from './db/weight-settings.ts'
import type { ScoringRules } from './scoring/network-scores.ts'
import { type Basis, planWeights } from './weights/plan-weights.ts'
import { waitForRateLimit } from './weights/rate-limit.ts'

/** How refusals that pass are met: so often, so far apart. */
const RETRY: BackoffOptions = { minMs: 2_000, maxMs: 30_000, factor: 2, jitterMs: 500 }
const ATTEMPTS = 5

export interface WeightsRequest {
  netuid: number
  versionKey: number
  /** How many blocks to wait for the chain's rate limit at most; beyond it the weights are for later. */
  maxWaitBlocks: number
  /** How often the block number is asked for while waiting, in ms. */
  blockPollMs?: number
  retry?: BackoffOptions
}

export interface WeightsDeps {
  chain: Pick<Chain, 'metagraph' | 'hyperparameters' | 'blockNumber' | 'setWeights' | 'weightsOf'>
  hotkey: Hotkey
  db: Database
  tryLock: TryLock
  clock: Clock
  /** Default: those of settings that are left alone. */
  scoringRules?: ScoringRules
  log: Log
}

export type WeightsOutcome =
  /** In a block. `confirmed`: the chain, read back, holds just this row. */
  | { outcome: 'set'; basis: Basis; block: number; weights: WeightOf[]; confirmed: boolean }
  /** The chain's rate limit is further away than this call waits. */
  | { outcome: 'too soon'; dueAtBlock: number }
  /** Another process, or another call, is setting this hotkey's weights. */
  | { outcome: 'busy' }

/**
 * Sets the weights that the unscored batches make, or again the last ones when there is nothing to score. What is to be
 * set is written down first; the batches count as scored once it is in a block. Passing refusals are tried again, a few
 * times; nothing on the chain happens inside a database transaction.
 *
 * @throws ChainError when the chain refused for good, or could not be reached
 */
export async function setWeights(
  request: WeightsRequest,
  deps: WeightsDeps,
  signal: AbortSignal,
): Promise<WeightsOutcome> {
  await using lock = await deps.tryLock()
  if (!lock) return { outcome: 'busy' }
  const dueAtBlock = await waitForRateLimit(request, deps, signal)
  if (dueAtBlock !== undefined) return { outcome: 'too soon', dueAtBlock }

  const plan = await planWeights(request.netuid, deps)
  const id = await planSetting(deps.db, {
    ...{ netuid: request.netuid, hotkey: deps.hotkey.ss58, versionKey: BigInt(request.versionKey) },
    ...{ basis: plan.basis, batchIds: plan.batchIds, scores: plan.scores, explanation: plan.explanation },
    ...{ uids: [...plan.row.uids], weights: [...plan.row.weights], plannedAt: new Date(deps.clock.now()) },
  })
  const { block, blockHash } = await submitOrRefuse(id, plan.row, request, deps, signal)
  const inclusion = { at: new Date(deps.clock.now()), block, blockHash }
  await untilSaved(() => settleSetting(deps.db, id, inclusion), deps, signal)

  const weights = await deps.chain.weightsOf(request.netuid, plan.uid)
  const confirmed = isRow(weights, plan.row)
  const fields = { setting: id, basis: plan.basis, batches: plan.batchIds.length, entries: weights.length, block }
  if (confirmed) deps.log.info(fields, 'weights set')
  else deps.log.warn(fields, 'the chain holds other weights than those that were set')
  return { outcome: 'set', basis: plan.basis, block, weights, confirmed }
}

async function submit(
  row: WeightRow,
  request: WeightsRequest,
  deps: WeightsDeps,
  signal: AbortSignal,
): Promise<{ block: number; blockHash: string }> {
  const { netuid, versionKey } = request
  const delays = backoff(request.retry ?? RETRY)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await deps.chain.setWeights({ netuid, ...row, versionKey }, deps.hotkey)
    } catch (error) {
      if (!(error instanceof ChainError && error.retryable) || attempt >= ATTEMPTS) throw error
      const delayMs = Math.round(delays.next().value)
      deps.log.warn({ err: error, code: error.code, attempt, delayMs }, 'weights not set, trying again')
      await deps.clock.sleep(delayMs, signal)
      if (error.code === 'SettingWeightsTooFast') await waitForRateLimit(request, deps, signal)
    }
  }
}

async function submitOrRefuse(
  id: number,
  row: WeightRow,
  request: WeightsRequest,
  deps: WeightsDeps,
  signal: AbortSignal,
): Promise<{ block: number; blockHash: string }> {
  try {
    return await submit(row, request, deps, signal)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    await refuseSetting(deps.db, id, { at: new Date(deps.clock.now()), why })
    throw error
  }
}

function isRow(held: readonly WeightOf[], { uids, weights }: WeightRow): boolean {
  const expected = upscaled(weights)
  return held.length === uids.length && held.every(({ uid, weight }, i) => uid === uids[i] && weight === expected[i])
}
