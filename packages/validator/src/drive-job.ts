import { Course, type CourseDeps } from './job/course.ts'
import type { JobEnd, JobToDrive } from './job/job-to-drive.ts'

/**
 * One job on one miner, from the offer to its end, whatever the miner does: hear, advance, save, say on, until final. The
 * job's row is there already, offered. Rejects only when the database fails for long.
 */
export async function driveJob(job: JobToDrive, deps: CourseDeps, signal: AbortSignal): Promise<JobEnd> {
  const course = new Course(job, deps, signal)
  try {
    return (await course.offer()) ?? (await course.follow())
  } catch (error) {
    if (!signal.aborted) throw error
    return course.endByMishap('stopped', 'stopped')
  }
}
