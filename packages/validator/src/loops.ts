/** What a validator does by itself, periodically. */
import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database, OpenDatabase } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { Validator } from './app.ts'
import type { ValidatorConfig } from './config.ts'
import { unscoredBatches } from './db/batches.ts'
import { evictOld } from './db/evict.ts'
import { lastSetting } from './db/weight-settings.ts'
import { ownNeuron } from './weights/rate-limit.ts'

/** How often a batch retries while the chain is away. */
const CHAIN_AWAY: BackoffOptions = { minMs: 5_000, maxMs: 60_000, factor: 2 }
/** How often the next turn is computed again at least, in ms: the order of the validators changes. */
const TURN_CHECK_MS = 60_000
const DAY_MS = 86_400_000
/** How often old rows are removed, and how long after the start first, in ms. */
const EVICT_EVERY_MS = 3_600_000
const EVICT_FIRST_MS = 600_000

export interface LoopDeps {
  validator: Pick<Validator, 'batch' | 'resume' | 'weights' | 'reveals' | 'sweep' | 'schedule'>
  chain: Chain
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

export interface LoopTimes {
  netuid: number
  /** The window in which each validator has one turn, in ms. */
  windowMs: number
  batchAtStart: boolean
  weightsCheckMs: number
}

/**
 * Starts the loops for batches, each followed by weights; for weights, which are set again before the chain stops
 * counting them; and for the reveals of committed weights.
 */
export function startLoops(times: LoopTimes, deps: LoopDeps, signal: AbortSignal): Loop[] {
  const { validator, clock, log } = deps
  const checkMs = Math.min(TURN_CHECK_MS, times.windowMs / 2)
  let isFirst = true
  const setWeights = async (stop: AbortSignal) => {
    const outcome = await validator.weights(stop)
    if (outcome.outcome === 'committed') reveals.wake()
    else if (outcome.outcome !== 'set') log.debug(outcome, 'weights not set yet')
  }
  const batches = startLoop({
    name: 'batches',
    everyMs: checkMs,
    run: async stop => {
      await validator.sweep()
      if ((await validator.resume(stop)).length > 0 && !stop.aborted) await setWeights(stop)
      // After a first run that failed before this, the next one still counts as the first.
      const atStart = isFirst && times.batchAtStart
      isFirst = false
      if (stop.aborted || !(atStart || (await awaitTurn(checkMs, deps, stop)))) return
      await batchOnceReachable(deps, stop)
      if (!stop.aborted) await setWeights(stop)
    },
    ...{ clock, log, signal },
  })
  const weights = startLoop({
    name: 'weights',
    firstAfterMs: times.weightsCheckMs,
    everyMs: times.weightsCheckMs,
    run: async stop => {
      if (await areWeightsDue(times.netuid, deps)) await setWeights(stop)
    },
    ...{ clock, log, signal },
  })
  const reveals = startReveals(times, deps, () => weights.wake(), signal)
  return [batches, weights, reveals]
}

/**
 * Checks for reveals with every block while one is near, and as often as for weights otherwise. Calls
 * `onOutcomeUnknown` once at the start when an earlier process did not learn what became of its last weights.
 */
function startReveals(
  { netuid, weightsCheckMs }: LoopTimes,
  { validator, hotkey, db, clock, log }: LoopDeps,
  onOutcomeUnknown: () => void,
  signal: AbortSignal,
): Loop {
  let isFirst = true
  let againInMs: number | undefined
  return startLoop({
    name: 'reveals',
    everyMs: weightsCheckMs,
    run: async stop => {
      if (isFirst && (await lastSetting(db, netuid, hotkey.ss58))?.state === 'planned') onOutcomeUnknown()
      isFirst = false
      againInMs = await validator.reveals(stop)
    },
    nextInMs: () => (againInMs === undefined ? undefined : Math.min(againInMs, weightsCheckMs)),
    ...{ clock, log, signal },
  })
}

/** Waits for the next turn if it starts before the next check. Returns false when it starts later, or there is none. */
async function awaitTurn(checkMs: number, { validator, clock }: LoopDeps, signal: AbortSignal): Promise<boolean> {
  const turn = await validator.schedule.next()
  if (!turn) return false
  const waitMs = turn.startMs - clock.now()
  if (waitMs > checkMs) return false
  if (waitMs > 0) await clock.sleep(waitMs, signal)
  return true
}

/** Retries while the chain is away: the batch starts late, instead of in the next window. */
async function batchOnceReachable({ validator, clock, log }: LoopDeps, signal: AbortSignal): Promise<void> {
  for (const delayMs of backoff(CHAIN_AWAY)) {
    try {
      await validator.batch(signal)
      return
    } catch (error) {
      if (!(error instanceof ChainError && error.retryable)) throw error
      log.warn({ err: error, delayMs }, 'batch waits for the chain')
      await clock.sleep(delayMs, signal)
    }
  }
}

/**
 * Weights are due when a closed batch waits to be scored, and when half of the time has passed after which the chain
 * stops counting them; after a refusal, no more often than the chain accepts weights. A setting of unknown outcome is
 * due at once.
 */
async function areWeightsDue(netuid: number, { chain, hotkey, db }: LoopDeps): Promise<boolean> {
  const [last, waiting] = [await lastSetting(db, netuid, hotkey.ss58), await unscoredBatches(db, netuid)]
  if (last?.state === 'planned') return true
  if (last?.state !== 'refused' && waiting.length > 0) return true
  const [metagraph, rules] = await Promise.all([chain.metagraph(netuid), chain.hyperparameters(netuid)])
  const { block } = metagraph
  if (last?.state === 'refused' && block - (last.plannedAtBlock ?? 0) < rules.weightsSetRateLimit) return false
  return waiting.length > 0 || block - ownNeuron(metagraph, hotkey).lastUpdate >= rules.activityCutoff / 2
}

/** Starts the loop that asks miners for their manifests, from which miners for users' jobs are picked. */
export function startManifestLoop(
  everyMs: number,
  { validator, clock, log }: Pick<LoopDeps, 'clock' | 'log'> & { validator: Pick<Validator, 'askManifests'> },
  signal: AbortSignal,
): Loop {
  return startLoop({ name: 'manifests', everyMs, run: stop => validator.askManifests(stop), clock, log, signal })
}

export type EvictionDeps = { database: OpenDatabase; clock: Clock; log: Log }

type Retention = Pick<
  ValidatorConfig,
  | 'RETENTION_DAYS'
  | 'RECEIPTS_RETENTION_DAYS'
  | 'WEIGHTS_RETENTION_DAYS'
  | 'SCORE_WINDOW_SECONDS'
  | 'DEMAND_WINDOW_SECONDS'
>

/** Starts the loop that removes old batches, jobs and settings of weights. */
export function startEviction(config: Retention, { database, clock, log }: EvictionDeps, signal: AbortSignal): Loop {
  // Scoring still reads these rows, however short the retention is.
  const scoredMs = Math.max(config.SCORE_WINDOW_SECONDS, config.DEMAND_WINDOW_SECONDS) * 1000
  const retention = {
    batchesKeptMs: Math.max(config.RETENTION_DAYS * DAY_MS, scoredMs),
    settingsKeptMs: config.WEIGHTS_RETENTION_DAYS * DAY_MS,
    receiptsKeptMs: config.RECEIPTS_RETENTION_DAYS * DAY_MS,
  }
  const run = async (stop: AbortSignal) => {
    const evicted = await evictOld(database.db, retention, new Date(clock.now()), stop)
    if (Object.values(evicted).some(rows => rows > 0)) log.info({ ...evicted }, 'old rows removed')
    // Also the space of changed rows: each change leaves a dead one.
    if (!stop.aborted) await database.reclaimSpace()
  }
  return startLoop({ name: 'evict', everyMs: EVICT_EVERY_MS, firstAfterMs: EVICT_FIRST_MS, run, clock, log, signal })
}
