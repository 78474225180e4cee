import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { closeBatch } from '../db/batches.ts'
import { LockLostError } from '../db/kept-lock.ts'
import { untilSaved } from '../db/until-saved.ts'
import type { BatchReport } from './batch-part.ts'

/** Closes a batch whose jobs have ended, and says what came of it. One that a stop cut short is left, or does not count; one that is another process's now is left. */
export async function closeOrLeave(
  report: BatchReport,
  leaveOpen: boolean,
  { db, clock, log }: { db: Database; clock: Clock; log: Log },
  signal: AbortSignal,
): Promise<BatchReport> {
  const { id, jobs } = report
  if (signal.reason instanceof LockLostError) {
    log.warn({ batch: id, err: signal.reason }, 'batch handed over to the process that has the lock')
    return { ...report, counts: false }
  }
  if (signal.aborted && leaveOpen) {
    log.info({ batch: id }, 'batch left open for the next start')
    return { ...report, counts: false }
  }
  const counts = report.counts && !signal.aborted
  await untilSaved(() => closeBatch(db, id, new Date(clock.now()), counts), { clock, log }, signal)
  const rightAnswers = jobs.filter(job => job.end?.rightAnswer).length
  log.info({ batch: id, jobs: jobs.length, rightAnswers, counts }, 'batch closed')
  return { ...report, counts }
}
