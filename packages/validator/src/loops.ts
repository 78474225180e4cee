import type { Chain } from '@horde/chain/chain'
import { ChainError } from '@horde/chain/errors'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { type Loop, startLoop } from '@horde/kit/loop'
import { type BackoffOptions, backoff } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { Validator } from './app.ts'
import { lastBatchStart, unscoredBatches } from './db/batches.ts'
import { ownNeuron } from './weights/rate-limit.ts'

/** How often a batch asks a chain that is away. */
const CHAIN_AWAY: BackoffOptions = { minMs: 5_000, maxMs: 60_000, factor: 2 }

export interface LoopDeps {
  validator: Validator
  chain: Chain
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

export interface LoopTimes {
  netuid: number
  batchEveryMs: number
  batchAtStart: boolean
  weightsCheckMs: number
}

/** What a validator does by itself: batches, each with its weights, and weights again before the chain forgets them. */
export async function startLoops(times: LoopTimes, deps: LoopDeps, signal: AbortSignal): Promise<Loop[]> {
  const { validator, clock, log } = deps
  const batches = startLoop({
    name: 'batches',
    everyMs: times.batchEveryMs,
    firstAfterMs: await untilFirstBatch(times, deps),
    run: async stop => {
      await validator.sweep()
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

/** A chain that is away when a batch begins delays it, and does not cost a whole interval. */
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

/** A restart does not move the rhythm of the batches. */
async function untilFirstBatch(
  { netuid, batchEveryMs, batchAtStart }: LoopTimes,
  { db, clock }: LoopDeps,
): Promise<number> {
  if (batchAtStart) return 0
  const last = await lastBatchStart(db, netuid)
  return last ? Math.min(batchEveryMs, Math.max(0, last.getTime() + batchEveryMs - clock.now())) : batchEveryMs
}

/** Weights are due when a batch waits for them, and when half of the time has passed after which they stop to count. */
async function areWeightsDue(netuid: number, { chain, hotkey, db }: LoopDeps): Promise<boolean> {
  if ((await unscoredBatches(db, netuid)).length > 0) return true
  const [metagraph, { activityCutoff }] = await Promise.all([chain.metagraph(netuid), chain.hyperparameters(netuid)])
  return metagraph.block - ownNeuron(metagraph, hotkey).lastUpdate >= activityCutoff / 2
}
