/**
 * Obtains the executor of a job: one that waits for it, a new one, or the one that an earlier run of this miner
 * started.
 */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { StartedExecutor } from '../horde/manager.ts'
import { type Deadlines, startWithinMs } from '../jobs/deadlines.ts'
import type { LiveJob } from '../jobs/live-job.ts'

export type ObtainDeps = { deadlines: Deadlines; clock: Clock; log: Log }

/** `unknown`: the manager does not know whether the executor runs. `none`: no executor runs, and none will start. */
export type Obtained = StartedExecutor | 'unknown' | 'none'

/** Never rejects. Aborting `signal` gives 'none'. */
export async function obtainExecutor(job: LiveJob, deps: ObtainDeps, signal: AbortSignal): Promise<Obtained> {
  const { reservation, start } = job
  if (start.executor === 'gone') return 'none'
  if (start.executor !== 'not started') return start.executor
  if (signal.aborted) return 'none'
  const waited = new AbortController()
  const givenUp = new AbortController()
  const starting = startWhenVacated(job, deps, givenUp.signal)
  const ms = startWithinMs(job, deps.deadlines)
  const tooLong = deps.clock.sleep(ms, AbortSignal.any([signal, waited.signal])).catch(() => {})
  const started = await Promise.race([starting, tooLong.then(() => 'too long' as const)])
  waited.abort()
  if (started !== 'too long') {
    const err = reservation.warm?.error
    if (err) deps.log.error({ err, jobUuid: job.uuid }, 'executor could not be started')
    return started ?? 'none'
  }
  givenUp.abort()
  deps.log.error({ jobUuid: job.uuid }, 'executor did not start in time')
  void starting.then(late => late?.stop()).catch(err => deps.log.error({ err }, 'executor could not be stopped'))
  return 'none'
}

/** Starts an executor once the one before it, in its slot or with its GPUs, is gone. */
async function startWhenVacated(
  job: LiveJob,
  deps: ObtainDeps,
  givenUp: AbortSignal,
): Promise<StartedExecutor | undefined> {
  const { warm, vacated } = job.reservation
  await vacated()
  if (warm) return warm.started
  return givenUp.aborted ? undefined : startOne(job, deps)
}

async function startOne(job: LiveJob, { log }: ObtainDeps): Promise<StartedExecutor | undefined> {
  try {
    const executor = await job.reservation.start(job.channel.token)
    log.debug({ jobUuid: job.uuid, executor: executor.id }, 'executor started')
    followExit(job, executor)
    return executor
  } catch (err) {
    log.error({ err, jobUuid: job.uuid }, 'executor could not be started')
    return undefined
  }
}

/** Passes the executor's exit to the driver of the job. */
export function followExit(job: LiveJob, executor: StartedExecutor): void {
  const exited = executor.exited.catch(() => 'its manager does not know how')
  void exited.then(how => job.channel.exited(how))
}
