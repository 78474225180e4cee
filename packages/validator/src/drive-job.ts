import { LockLostError } from './db/kept-lock.ts'
import { Course, type CourseDeps } from './job/course.ts'
import type { JobEnd, JobToDrive } from './job/job-to-drive.ts'

/**
 * One job on one miner, from the offer to its end, whatever the miner does: hear, advance, save, say on, until final. The
 * job's row is there already. Rejects when the database fails for long, and when it is stopped and the job is to be left
 * open, or is another process's now.
 */
export async function driveJob(job: JobToDrive, deps: CourseDeps, signal: AbortSignal): Promise<JobEnd> {
  const course = new Course(job, deps, signal)
  try {
    return (await course.offer()) ?? (await course.follow())
  } catch (error) {
    if (!signal.aborted || job.leaveOpen || signal.reason instanceof LockLostError) throw error
    return course.endByMishap('stopped', 'stopped')
  }
}
