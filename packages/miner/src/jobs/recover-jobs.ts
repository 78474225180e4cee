/** Resumes the jobs of an earlier run of this miner that was killed: their executors may still run, or come back. */
import { FIRST_STATE } from '@horde/protocol/job-state'
import { openJobs } from '../db/jobs.ts'
import type { JobRow } from '../db/schema.ts'
import type { ExecutorChannels } from '../executors/executor-channel.ts'
import { followExit } from '../executors/obtain-executor.ts'
import type { Horde } from '../horde/horde.ts'
import type { StartedExecutor } from '../horde/manager.ts'
import type { Reservation } from '../horde/pools/reservation.ts'
import { type JobStart, LiveJob, type LiveJobs } from './live-job.ts'
import { StoredJob, type TransitionDeps, transition } from './transition.ts'

export type RecoverDeps = TransitionDeps & {
  horde: Pick<Horde, 'takeOver' | 'occupy'>
  channels: ExecutorChannels
  live: LiveJobs
}

/** What an earlier run left open: its jobs, and those of its executors that run for them, by token. */
export type Unfinished = { rows: JobRow[]; executors: Map<string, StartedExecutor> }

/**
 * Finds the open jobs and the executors of an earlier run, and ends the executors that no job needs. An offer whose
 * acceptance was never stored is ended as abandoned: its validator received no answer.
 */
export async function findUnfinished(deps: RecoverDeps): Promise<Unfinished> {
  const open = await openJobs(deps.db)
  const rows = open.filter(({ state }) => state !== FIRST_STATE)
  for (const row of open.filter(({ state }) => state === FIRST_STATE)) {
    await transition(new StoredJob(row), 'stopped', { reason: 'abandoned' }, deps)
  }
  return { rows, executors: await deps.horde.takeOver(new Set(rows.map(({ executorToken }) => executorToken))) }
}

/** Makes the jobs live again: from now on their executors may connect. */
export function recoverJobs({ rows, executors }: Unfinished, deps: RecoverDeps): LiveJob[] {
  const { horde, channels, live, clock, log } = deps
  return rows.map(row => {
    const reservation = horde.occupy(row.place, row.executorClass)
    const channel = channels.open(row.executorToken)
    const running = executors.get(row.executorToken)
    const start = startOf(new StoredJob(row), running, reservation, clock.now())
    const job = new LiveJob(row, { reservation, channel }, start)
    if (running) followExit(job, running)
    live.add(job)
    const { uuid: jobUuid, validator, state } = job
    log.info({ jobUuid, validator, state, executor: running?.id }, 'job of an earlier run resumed')
    return job
  })
}

/** An accepted job without an executor gets a new one; a later stage cannot begin again. */
function startOf(
  { state, movedAt }: StoredJob,
  running: StartedExecutor | undefined,
  { canFindOrphans }: Reservation,
  nowMs: number,
): JobStart {
  const isLater = state !== 'accepted'
  const missing = canFindOrphans ? (isLater ? 'gone' : 'not started') : 'unknown'
  return {
    connection: undefined,
    executor: running ?? missing,
    isAway: running !== undefined || isLater,
    stageAgeMs: Math.max(0, nowMs - movedAt),
  }
}
