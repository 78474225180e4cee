/** How long each stage of a job may take on the miner's side. */
import { CLASSES, isExecutorClass } from '@horde/protocol/classes'
import type { Reason } from '@horde/protocol/reasons'
import type { LiveJob } from './live-job.ts'

/** All in milliseconds. */
export type Deadlines = {
  /** From accept to the executor's first connection, on top of the class's spin-up time. */
  startMs: number
  /** From the executor's connection to ready: image pulls are within it. */
  prepareMs: number
  /** From ready to the work. */
  workMs: number
  /** How much longer than the job's own time limit a run may take: input, upload, container start. */
  runSlackMs: number
  /** The time limit of a job whose offer names none. */
  defaultRunMs: number
  /** How long an executor may take to come back after its connection was lost. */
  graceMs: number
}

/** How long an executor of the job's class may take to start, in milliseconds. */
export function startWithinMs({ executorClass }: LiveJob, { startMs }: Deadlines): number {
  return startMs + (isExecutorClass(executorClass) ? CLASSES[executorClass].spinUpSeconds * 1000 : 0)
}

/** How long the job's current stage may take, in ms from its beginning, and the reason of a job that takes longer. */
export function stageDeadline(job: LiveJob, deadlines: Deadlines): { ms: number; reason: Reason } {
  switch (job.state) {
    case 'accepted':
      return { ms: startWithinMs(job, deadlines) + deadlines.prepareMs, reason: 'prepare-timed-out' }
    case 'ready':
      return { ms: deadlines.workMs, reason: 'work-not-sent' }
    default: {
      const limit = job.row.timeoutSeconds
      const runMs = limit === null ? deadlines.defaultRunMs : limit * 1000
      return { ms: runMs + deadlines.runSlackMs, reason: 'run-timed-out' }
    }
  }
}
