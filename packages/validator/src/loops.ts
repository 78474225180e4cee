import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { Validator } from './app.ts'
import { unscoredBatches } from './db/batches.ts'
import { lastSetting } from './db/weight-settings.ts'
import { ownNeuron } from './weights/rate-limit.ts'

/** How often a batch asks a chain that is away. */
const CHAIN_AWAY: BackoffOptions = { minMs: 5_000, maxMs: 60_000, factor: 2 }
/** How often the next turn is computed anew at least, in ms: the validators' order changes. */
const TURN_CHECK_MS = 60_000

export interface LoopDeps {
  validator: Pick<Validator, 'batch' | 'resume' | 'weights' | 'reveals' | 'sweep' | 'turns'>
  chain: Chain
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

export interface LoopTimes {
  netuid: number
  /** How long the window is in which each validator has a turn, in ms. */
  windowMs: number
  batchAtStart: boolean
  weightsCheckMs: number
}

/**
 * What a validator does by itself: batches, each with its weights, and weights again before the chain forgets them; reveals
 * of what was committed.
 */
export function startLoops(times: LoopTimes, deps: LoopDeps, signal: AbortSignal): Loop[] {
  const { validator, clock, log } = deps
  const checkMs = Math.min(TURN_CHECK_MS, times.windowMs / 2)
  let isFirst = true
  const setWeights = async (stop: AbortSignal) => {
    const outcome = await validator.weights(stop)
    if (outcome.outcome === 'committed') reveals.wake()
    else if (outcome.outcome !== 'set') log.debug(outcome, 'weights are for later')
  }
  const batches = startLoop({
    name: 'batches',
    everyMs: checkMs,
    run: async stop => {
      await validator.sweep()
      if ((await validator.resume(stop)).length > 0 && !stop.aborted) await setWeights(stop)
      // A first run that the chain's absence ended before this is made again.
      const atStart = isFirst && times.batchAtStart
      isFirst = false
      if (stop.aborted || !(atStart || (await isTurn(checkMs, deps, stop)))) return
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
 * Looks as often as blocks come where a reveal is near, and as often as for weights otherwise. `onLeftOpen`: at the start,
 * when nobody knows what became of the last weights.
 */
function startReveals(
  { netuid, weightsCheckMs }: LoopTimes,
  { validator, hotkey, db, clock, log }: LoopDeps,
  onLeftOpen: () => void,
  signal: AbortSignal,
): Loop {
  let isFirst = true
  let againInMs: number | undefined
  return startLoop({
    name: 'reveals',
    everyMs: weightsCheckMs,
    run: async stop => {
      if (isFirst && (await lastSetting(db, netuid, hotkey.ss58))?.state === 'planned') onLeftOpen()
      isFirst = false
      againInMs = await validator.reveals(stop)
    },
    nextInMs: () => (againInMs === undefined ? undefined : Math.min(againInMs, weightsCheckMs)),
    ...{ clock, log, signal },
  })
}

/** Waits for the next turn when it comes before the next check. False when it is further away, or there is none. */
async function isTurn(checkMs: number, { validator, clock }: LoopDeps, signal: AbortSignal): Promise<boolean> {
  const turn = await validator.turns.next()
  if (!turn) return false
  const waitMs = turn.startMs - clock.now()
  if (waitMs > checkMs) return false
  if (waitMs > 0) await clock.sleep(waitMs, signal)
  return true
}

/** A chain that is away when a batch begins delays it, and does not cost a whole window. */
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
 * Weights are due when a batch waits for them, and when half of the time has passed after which they stop to count; after a
 * refusal no more often than the chain takes weights. One that was left open is looked at right away.
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
