/** Takes up the jobs of an earlier run of this miner that was killed: their executors may still run, or come back. */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { FIRST_STATE } from '@horde/protocol/job-state'
import type { JobUuid } from '@horde/protocol/primitives'
import { abandonJob, openJobs } from '../db/jobs.ts'
import type { JobRow } from '../db/schema.ts'
import type { Horde } from '../horde/horde.ts'
import type { StartedExecutor } from '../horde/manager.ts'
import type { ExecutorLines } from './executor-line.ts'
import { LiveJob, type LiveJobs } from './live-job.ts'
import { followExit } from './obtain-executor.ts'

export type RecoverDeps = {
  db: Database
  horde: Pick<Horde, 'takeOver' | 'occupy'>
  lines: ExecutorLines
  live: LiveJobs
  clock: Clock
  log: Log
}

/** What an earlier run left behind: its open jobs, and those of its executors that run for them, by token. */
export type Leftovers = { rows: JobRow[]; executors: Map<string, StartedExecutor> }

/**
 * Looks for executors of an earlier run, and ends those that nobody waits for. Of an offer whose acceptance was never
 * stored its validator has heard nothing: its job is ended.
 */
export async function findLeftovers({ db, horde, clock, log }: RecoverDeps): Promise<Leftovers> {
  const open = await openJobs(db)
  const rows = open.filter(({ state }) => state !== FIRST_STATE)
  for (const { id, uuid, validator } of open.filter(({ state }) => state === FIRST_STATE)) {
    await abandonJob(db, id, new Date(clock.now()))
    log.warn({ jobUuid: uuid, validator, from: FIRST_STATE, to: 'broken', reason: 'abandoned' }, 'job moved')
  }
  return { rows, executors: await horde.takeOver(new Set(rows.map(({ executorToken }) => executorToken))) }
}

/** Makes live jobs of them: their executors may connect from now on. */
export function recoverJobs({ rows, executors }: Leftovers, { horde, lines, live, log }: RecoverDeps): LiveJob[] {
  return rows.map(row => {
    const reservation = horde.occupy(row.place, row.executorClass)
    const line = lines.open(row.executorToken)
    const job = new LiveJob(row, offerOf(row), undefined, { reservation, line })
    const executor = executors.get(row.executorToken)
    job.recovery = { executor }
    if (executor) followExit(job, executor)
    live.add(job)
    const { uuid: jobUuid, validator, state } = row
    log.info({ jobUuid, validator, state, executor: executor?.id }, 'job of an earlier run taken up again')
    return job
  })
}

function offerOf(row: JobRow): LiveJob['offer'] {
  return {
    message_type: 'V0InitialJobRequest',
    job_uuid: row.uuid as JobUuid,
    base_docker_image_name: row.imageName,
    timeout_seconds: row.timeoutSeconds,
    volume_type: row.volumeType as LiveJob['offer']['volume_type'],
    executor_class: row.executorClass,
  }
}
