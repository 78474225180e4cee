import { randomInt } from 'node:crypto'
import type { Chain } from '@horde/chain/chain'
import { openBatches } from '../db/batches.ts'
import { chooseMiners, type ServingMiner, servingMiners } from '../jobs/miners/find-miners.ts'
import { scoringNamed } from '../scoring/settings.ts'
import { type BatchReport, type DriveDeps, type DriveRequest, driveBatch } from './drive-batch.ts'
import { newJobFor, openBatch } from './stored-batch.ts'

export type BatchRequest = DriveRequest & {
  netuid: number
  /** Whether miners on loopback and private addresses are dialled. */
  allowPrivate: boolean
  /** Only these miners: hotkeys, uids, or hotkey@host:port. Such a batch is a trial, which is never scored. */
  only?: readonly string[] | undefined
  /** When the batch closes at the latest, in ms from its start. */
  deadlineMs: number
}

export type BatchDeps = DriveDeps & { chain: Pick<Chain, 'metagraph'> }

/**
 * Runs one batch: a job for every executor of every serving miner, all at once as far as the limits allow. Each job
 * succeeds or fails alone, and the batch closes at its deadline at the latest.
 *
 * @throws UnknownMinerError when a miner that was asked for cannot be dialled
 */
export async function runBatch(request: BatchRequest, deps: BatchDeps, signal: AbortSignal): Promise<BatchReport> {
  const { clock, db, log } = deps
  const { netuid, benchmark, scoring, deadlineMs, only } = request
  const miners = shuffledByHost(await minersOf(request, deps))
  const startedAt = new Date(clock.now())
  const deadline = new Date(startedAt.getTime() + deadlineMs)
  // The first job of each miner. The others are added once its manifest is read.
  const jobs = await Promise.all(miners.map(miner => newJobFor(miner, { benchmark, startedAt, deadline })))
  const label = jobs[0]?.challenge?.work.label ?? benchmark.name
  await deps.whenLocked?.()
  const open = await openBatch(db, {
    ...{ netuid, benchmark: label, scoring: scoring.name, startedAt, deadline, counts: only === undefined },
    jobs,
  })
  log.info({ batch: open.batch.id, benchmark: label, miners: miners.length }, 'batch started')
  return driveBatch(open, request, false, deps, signal)
}

/**
 * Resumes the batches that an earlier process left open: connects to their miners again and drives their open jobs
 * until each batch's deadline. Returns at once when there are none.
 */
export async function resumeBatches(
  request: BatchRequest,
  deps: DriveDeps,
  signal: AbortSignal,
): Promise<BatchReport[]> {
  const { db, clock, log } = deps
  const openedBefore = await openBatches(db, request.netuid, new Date(clock.now()))
  const resumed = await Promise.allSettled(
    openedBefore.map(async open => {
      const { id, scoring: name } = open.batch
      log.warn({ batch: id, openJobs: open.openJobs.length }, 'batch resumed')
      const scoring = request.scoring.name === name ? request.scoring : scoringNamed(name)
      return driveBatch(open, { ...request, scoring }, true, deps, signal)
    }),
  )
  // Waits for all before it throws, so that nothing keeps running in the background.
  return resumed.map(each => {
    if (each.status === 'rejected') throw each.reason
    return each.value
  })
}

async function minersOf({ netuid, allowPrivate, only }: BatchRequest, deps: BatchDeps): Promise<ServingMiner[]> {
  const metagraph = await deps.chain.metagraph(netuid)
  if (only) return chooseMiners(only, metagraph, allowPrivate)
  const { miners, skipped } = servingMiners(metagraph, deps.hotkey.ss58, allowPrivate)
  if (skipped > 0) deps.log.warn({ skipped }, 'miners with private addresses left out')
  return miners
}

/**
 * Returns the miners in an unpredictable order, with the miners of one host next to each other: the jobs of hotkeys
 * that share a machine must run at the same time, even if not all jobs of the batch do.
 */
function shuffledByHost(miners: readonly ServingMiner[]): ServingMiner[] {
  const byHost = Map.groupBy(miners, ({ address }) => address.slice(0, address.lastIndexOf(':')))
  const groups = [...byHost.values()]
  for (let i = groups.length - 1; i > 0; i -= 1) {
    const j = randomInt(i + 1)
    const [a, b] = [groups[i] ?? [], groups[j] ?? []]
    groups[i] = b
    groups[j] = a
  }
  return groups.flat()
}
