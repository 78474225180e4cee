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
import { ownNeuron } from './weights/rate-limit.ts'

/** How often a batch asks a chain that is away. */
const CHAIN_AWAY: BackoffOptions = { minMs: 5_000, maxMs: 60_000, factor: 2 }
/** How often the next turn is computed anew at least, in ms: the validators' order changes. */
const TURN_CHECK_MS = 60_000

export interface LoopDeps {
  validator: Pick<Validator, 'batch' | 'resume' | 'weights' | 'sweep' | 'turns'>
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

/** What a validator does by itself: batches, each with its weights, and weights again before the chain forgets them. */
export function startLoops(times: LoopTimes, deps: LoopDeps, signal: AbortSignal): Loop[] {
  const { validator, clock, log } = deps
  const checkMs = Math.min(TURN_CHECK_MS, times.windowMs / 2)
  let isFirst = true
  const batches = startLoop({
    name: 'batches',
    everyMs: checkMs,
    run: async stop => {
      const atStart = isFirst && times.batchAtStart
      isFirst = false
      await validator.sweep()
      if ((await validator.resume(stop)).length > 0 && !stop.aborted) await validator.weights(stop)
      if (stop.aborted || !(atStart || (await isTurn(checkMs, deps, stop)))) return
      await batchOnceReachable(deps, stop)
      if (!stop.aborted) await validator.weights(stop)
    },
    ...{ clock, log, signal },
  })
  const weights = startLoop({
    name: 'weights',
    firstAfterMs: times.weightsCheckMs,
    everyMs: times.weightsCheckMs,
    run: async stop => {
      if (await areWeightsDue(times.netuid, deps)) await validator.weights(stop)
    },
    ...{ clock, log, signal },
  })
  return [batches, weights]
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

/** Weights are due when a batch waits for them, and when half of the time has passed after which they stop to count. */
async function areWeightsDue(netuid: number, { chain, hotkey, db }: LoopDeps): Promise<boolean> {
  if ((await unscoredBatches(db, netuid)).length > 0) return true
  const [metagraph, { activityCutoff }] = await Promise.all([chain.metagraph(netuid), chain.hyperparameters(netuid)])
  return metagraph.block - ownNeuron(metagraph, hotkey).lastUpdate >= activityCutoff / 2
}
