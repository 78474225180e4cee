import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import type { BatchReport } from './batch/batch-part.ts'
import { closeOrLeave } from './batch/close-or-leave.ts'
import { driveParts } from './batch/drive-parts.ts'
import { runMinerPart } from './batch/miner-part.ts'
import { newJobOf } from './batch/new-job.ts'
import { shuffledByHost } from './batch/shuffled.ts'
import type { StartLimits } from './batch/starts.ts'
import type { Benchmark } from './benchmarks/benchmark.ts'
import type { StageLimits } from './benchmarks/synthetic-job.ts'
import { openBatch } from './db/batches.ts'
import type { HostClock } from './job/host-clock.ts'
import { chooseMiners } from './miner/choose.ts'
import { type ServingMiner, servingMiners } from './miner/serving.ts'
import type { Scoring } from './scoring/job-score.ts'

export interface BatchRequest {
  netuid: number
  /** Whether miners on loopback and private addresses are dialled. */
  allowPrivate: boolean
  /** Just these miners: hotkeys, uids, or hotkey@host:port. Such a batch is a trial, which is never scored. */
  only?: readonly string[] | undefined
  benchmark: Benchmark
  scoring: Scoring
  limits: StageLimits
  starts: StartLimits
  /** How many jobs a miner gets at most, whatever its manifest lists. */
  maxJobsPerMiner: number
  /** How long the first job waits for all miners to be connected, in ms. */
  gatherMs: number
  /** When the batch closes, whatever is still out, in ms from its start. */
  deadlineMs: number
  /** Whether a stop leaves it open, to be taken up at the next start; else its jobs end as stopped, and it does not count. */
  leaveOpen: boolean
  reconnect?: BackoffOptions | undefined
}

export interface BatchDeps {
  chain: Pick<Chain, 'metagraph'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
  /** Told how long a ready executor waited for its work, in ms. */
  onWorkSent?: ((waitedMs: number) => void) | undefined
  /** Resolves when this process may act on its batch: not while the lock of batches is lost. Rejects when another process has it. */
  whenLocked?: (() => Promise<void>) | undefined
  /** Absent where no clock outlives a process. */
  hostClock?: HostClock | undefined
}

/**
 * One round: a job for every executor of every serving miner, all at once as far as the limits allow. Each job stands
 * alone, and the batch closes at its own deadline at the latest.
 *
 * @throws UnknownMinerError when a miner that was asked for cannot be dialled
 */
export async function runBatch(request: BatchRequest, deps: BatchDeps, signal: AbortSignal): Promise<BatchReport> {
  const { clock, db, log } = deps
  const miners = shuffledByHost(await minersOf(request, deps))
  const startedAt = new Date(clock.now())
  const endsAt = clock.monotonic() + request.deadlineMs
  const deadline = new Date(startedAt.getTime() + request.deadlineMs)
  const firsts = await Promise.all(
    miners.map(async miner => ({ miner, ...(await newJobOf(miner, { ...request, startedAt, deadline })) })),
  )
  const label = firsts[0]?.job.work.label ?? request.benchmark.name
  const isTrial = request.only !== undefined
  const { netuid, scoring } = request
  await deps.whenLocked?.()
  const id = await openBatch(db, {
    ...{ netuid, benchmark: label, scoring: scoring.name, startedAt, deadline, counts: !isTrial },
    jobs: firsts.map(({ row }) => row),
  })
  log.info({ batch: id, benchmark: label, miners: miners.length }, 'batch started')

  const part = { ...request, batchId: id, startedAt, deadline, endsAt }
  const jobs = await driveParts(
    firsts,
    ({ miner, job }, shared) => runMinerPart({ ...part, miner }, job, shared, signal),
    { ...request, endsAt },
    deps,
    signal,
  )
  return closeOrLeave({ id, benchmark: label, jobs, counts: !isTrial }, request.leaveOpen, deps, signal)
}

async function minersOf({ netuid, allowPrivate, only }: BatchRequest, deps: BatchDeps): Promise<ServingMiner[]> {
  const metagraph = await deps.chain.metagraph(netuid)
  if (only) return chooseMiners(only, metagraph, allowPrivate)
  const { miners, left } = servingMiners(metagraph, deps.hotkey.ss58, allowPrivate)
  if (left > 0) deps.log.warn({ left }, 'miners with private addresses left out')
  return miners
}
