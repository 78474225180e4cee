import { JOB_STATES, type JobState } from '@horde/protocol/job-state'
import { z } from 'zod'
import { type ListedJob, MAX_LISTED } from '../db/list-jobs.ts'
import { jobEndJson } from './status-json.ts'

const jobsQuery = z.object({
  last: z.coerce.number().int().min(1).max(MAX_LISTED).default(20),
  state: z.enum(JOB_STATES).optional(),
})

/** Returns the status code and the body of /jobs.json. @param lastJobs reads the jobs that were offered last */
export async function answerJobs(
  query: unknown,
  lastJobs: (limit: number, states: readonly JobState[]) => Promise<ListedJob[]>,
): Promise<{ code: number; body: object }> {
  const read = jobsQuery.safeParse(query)
  if (!read.success) return { code: 400, body: { error: 'bad_query', message: z.prettifyError(read.error) } }
  const { last, state } = read.data
  return { code: 200, body: { jobs: (await lastJobs(last, state ? [state] : [])).map(jobEndJson) } }
}
