/** The port for the miner's operator: /health, /metrics, the status as a page and as JSON, and the list of jobs. */
import type { AddressInfo } from 'node:net'
import { createHttp } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { JOB_STATES, type JobState } from '@horde/protocol/job-state'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import { type ListedJob, MAX_LISTED } from '../db/list-jobs.ts'
import { healthOf } from './health.ts'
import { statusPage } from './page/page.ts'
import { POLICY } from './page/style.ts'
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

/** What the browser is told about everything that is here. */
const HEADERS = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}

/** Opens the port and gives its number. */
export async function openAdmin(
  { host, port }: { host: string; port: number },
  { sources, lastJobs, registry, clock, log }: AdminDeps,
  stack: AsyncDisposableStack,
): Promise<number> {
  const app = createHttp({ log, health: async () => healthOf(sources), metrics: registry })
  stack.defer(() => app.close())
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS)
  })
  app.get('/', async (_request, reply) => reply.redirect('/status'))
  app.get('/status', async (_request, reply) => {
    return reply.type('text/html; charset=utf-8').send(statusPage(await readStatus(sources, clock)))
  })
  app.get('/status.json', () => readStatus(sources, clock))
  app.get('/jobs.json', async (request, reply) => {
    const query = jobsQuery.safeParse(request.query)
    if (!query.success) return reply.code(400).send({ error: 'bad_query', message: z.prettifyError(query.error) })
    const { last, state } = query.data
    return { jobs: (await lastJobs(last, state ? [state] : [])).map(shownEnd) }
  })
  await app.listen({ host, port })
  return (app.server.address() as AddressInfo).port
}
