import { randomUUID } from 'node:crypto'
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { BackoffOptions } from '@horde/kit/reconnect'
import type { Clock } from '@horde/kit/time'
import { type JobUuid, jobUuid } from '@horde/protocol/primitives'
import type { Benchmark } from './benchmarks/benchmark.ts'
import { type StageLimits, syntheticJob } from './benchmarks/synthetic-job.ts'
import { closeBatch, openBatch } from './db/batches.ts'
import { untilSaved } from './db/until-saved.ts'
import { driveJob } from './drive-job.ts'
import type { JobEnd } from './job/job-to-drive.ts'
import { MinerLink } from './miner/link.ts'
import { type ServingMiner, servingMiners } from './miner/serving.ts'

/** The largest frame that a miner may send about a synthetic job, in bytes. */
const MAX_SYNTHETIC_FRAME_BYTES = 2 * 1024 * 1024

export interface BatchRequest {
  netuid: number
  /** Whether miners on loopback and private addresses are dialled. */
  allowPrivate: boolean
  /** What is measured, for people. */
  benchmarkName: string
  /** A new piece of work, one for each miner. */
  makeBenchmark(): Benchmark
  limits: StageLimits
  /** When the batch closes, whatever is still out, in ms from its start. */
  deadlineMs: number
  reconnect?: BackoffOptions
}

export interface BatchDeps {
  chain: Pick<Chain, 'metagraph'>
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
}

export interface BatchJob {
  miner: ServingMiner
  uuid: JobUuid
  /** Undefined when our own fault kept it from being driven to an end. */
  end: JobEnd | undefined
}

export interface BatchReport {
  id: number
  benchmark: string
  jobs: BatchJob[]
  /** False when the batch was cut short by a stop. */
  counts: boolean
}

/**
 * One round: a job for every serving miner, all at once. Each job stands alone, and the batch closes at its own deadline
 * at the latest. Aborting ends its jobs as stopped and the batch as one that does not count.
 */
export async function runBatch(request: BatchRequest, deps: BatchDeps, signal: AbortSignal): Promise<BatchReport> {
  const { clock, db, log } = deps
  const metagraph = await deps.chain.metagraph(request.netuid)
  const { miners, left } = servingMiners(metagraph, deps.hotkey.ss58, request.allowPrivate)
  if (left > 0) log.warn({ left }, 'miners with private addresses left out')

  const startedAt = new Date(clock.now())
  const endsAt = clock.monotonic() + request.deadlineMs
  const planned = miners.map(miner => ({ miner, uuid: jobUuid.parse(randomUUID()) }))
  const id = await openBatch(db, {
    netuid: request.netuid,
    benchmark: request.benchmarkName,
    startedAt,
    deadline: new Date(startedAt.getTime() + request.deadlineMs),
    jobs: planned.map(({ miner, uuid }) => rowOf(miner, uuid)),
  })
  log.info({ batch: id, benchmark: request.benchmarkName, miners: miners.length }, 'batch started')

  const jobs = await Promise.all(
    planned.map(async job => ({ ...job, end: await runAlone({ ...job, ...request, endsAt }, deps, signal) })),
  )
  const counts = !signal.aborted
  await untilSaved(() => closeBatch(db, id, new Date(clock.now()), counts), deps, signal)
  const finished = jobs.filter(job => job.end?.rightAnswer).length
  log.info({ batch: id, jobs: jobs.length, rightAnswers: finished, counts }, 'batch closed')
  return { id, benchmark: request.benchmarkName, jobs, counts }
}

function rowOf(miner: ServingMiner, uuid: JobUuid) {
  return { uuid: uuid.toLowerCase(), minerHotkey: miner.hotkey, minerUid: miner.uid, minerAddress: miner.address }
}

type OneJob = Pick<BatchJob, 'miner' | 'uuid'> & BatchRequest & { endsAt: number }

/** Whatever goes wrong with this job is kept from the others. */
async function runAlone(one: OneJob, deps: BatchDeps, signal: AbortSignal): Promise<JobEnd | undefined> {
  const { miner, uuid } = one
  try {
    await using link = new MinerLink({
      miner,
      hotkey: deps.hotkey,
      maxFrameBytes: MAX_SYNTHETIC_FRAME_BYTES,
      ...(one.reconnect ? { reconnect: one.reconnect } : {}),
      clock: deps.clock,
      log: deps.log,
      signal,
    })
    using talk = link.converse(uuid)
    const job = syntheticJob(uuid, one.makeBenchmark(), one.limits, one.endsAt)
    return await driveJob(job, { ...deps, talk }, signal)
  } catch (err) {
    deps.log.error({ err, jobUuid: uuid, miner: miner.hotkey }, 'job could not be driven')
    return undefined
  }
}
