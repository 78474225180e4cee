/** The port for the miner's operator: what every service shows there, and the list of jobs. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { openAdmin } from '@horde/operator/admin/admin-port'
import { JOB_STATES, type JobState } from '@horde/protocol/job-state'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import { type ListedJob, MAX_LISTED } from '../db/list-jobs.ts'
import { healthOf } from './health.ts'
import { minerPage } from './page/page.ts'
import type { StatusSources } from './sources.ts'
import { readStatus, shownEnd } from './status.ts'

export type AdminDeps = {
  sources: StatusSources
  /** The jobs offered last, the latest first. */
  lastJobs(limit: number, states: readonly JobState[]): Promise<ListedJob[]>
  registry: Registry
  clock: Clock
  log: Log
}

const jobsQuery = z.object({
  last: z.coerce.number().int().min(1).max(MAX_LISTED).default(20),
  state: z.enum(JOB_STATES).optional(),
})

/** Opens the port and gives its number. */
export function openMinerAdmin(
  where: { host: string; port: number },
  { sources, lastJobs, registry, clock, log }: AdminDeps,
  stack: AsyncDisposableStack,
): Promise<number> {
  const options = {
    ...{ ...where, log, metrics: registry, page: minerPage },
    health: async () => healthOf(sources),
    status: () => readStatus(sources, clock),
  }
  return openAdmin(
    {
      ...options,
      more: app => {
        app.get('/jobs.json', async (request, reply) => {
          const query = jobsQuery.safeParse(request.query)
          if (!query.success) return reply.code(400).send({ error: 'bad_query', message: z.prettifyError(query.error) })
          const { last, state } = query.data
          return { jobs: (await lastJobs(last, state ? [state] : [])).map(shownEnd) }
        })
      },
    },
    stack,
  )
}
