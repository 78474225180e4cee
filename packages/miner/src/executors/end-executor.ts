/**
 * Ends a job's executor and frees its slot. An executor that has sent its result leaves by itself, any other is
 * stopped. One whose result a stopping miner could not store stays, and sends it to the miner of the next start.
 */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { StartedExecutor } from '../horde/manager.ts'
import type { LeavingExecutor } from '../horde/pools/reservation.ts'
import type { LiveJob, LiveJobs } from '../jobs/live-job.ts'
import type { ExecutorChannels } from './executor-channel.ts'

/** How long an executor that has sent its result may take to clean up and exit by itself, in milliseconds. */
const LEAVE_MS = 10_000
/** The same once the next job waits for its slot. After this the executor is killed. */
const HURRIED_LEAVE_MS = 2_000

export type EndDeps = { live: LiveJobs; channels: ExecutorChannels; clock: Clock; log: Log }

/** @param executor undefined when it was never started, or when this process cannot stop it */
export async function endExecutor(job: LiveJob, executor: StartedExecutor | undefined, deps: EndDeps): Promise<void> {
  const { live, channels, log } = deps
  const over = new AbortController()
  try {
    const isKept = job.leaving !== undefined && job.isUnsaved
    if (executor && job.leaving && !isKept) await letLeave(executor, job.leaving, deps, over.signal)
    live.remove(job)
    // Its token stays valid, too: it would take a refusal with its close, or ours with 1000, for the receipt.
    if (isKept) return void log.warn({ jobUuid: job.uuid }, 'executor left running: its result could not be saved')
    await allEnded([channels.close(job.channel), executor?.stop()])
  } catch (err) {
    log.error({ err, jobUuid: job.uuid }, 'executor could not be stopped')
  } finally {
    over.abort()
    job.leaving?.end()
    job.reservation.release()
  }
}

/** Waits for all of them, and only then rejects with what the first one failed with. */
async function allEnded(work: readonly (Promise<void> | undefined)[]): Promise<void> {
  const ends = await Promise.allSettled(work)
  const failed = ends.find(end => end.status === 'rejected')
  if (failed) throw failed.reason
}

/**
 * Resolves when the executor has exited, was killed, or takes too long. Until `over` a waiting job still has it killed.
 */
async function letLeave(
  executor: StartedExecutor,
  leaving: LeavingExecutor,
  { clock, log }: EndDeps,
  over: AbortSignal,
): Promise<void> {
  const kill = async () => {
    await leaving.hurried
    await clock.sleep(HURRIED_LEAVE_MS, over)
    log.warn({ executor: executor.id }, 'executor did not exit in time after its result; it is killed for the next job')
    await executor.stop(0)
  }
  const killed = kill().catch(err => {
    if (!over.aborted) log.error({ err }, 'executor could not be killed')
  })
  const late = clock.sleep(LEAVE_MS, over).catch(() => {})
  await Promise.race([executor.exited.catch(() => {}), late, killed])
}
