/** Wires what a running miner shows its operator: watches, metrics, and the admin port. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Health } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import { openAdminPort } from '@horde/operator/admin/admin-port'
import { healthOf, type ObservedService } from '@horde/operator/admin/observed-service'
import { ServiceMetrics } from '@horde/operator/metrics/service-metrics'
import { Watches } from '@horde/operator/watch/watches'
import { JOB_STATES } from '@horde/protocol/job-state'
import type { Registry } from 'prom-client'
import { z } from 'zod'
import { type ListedJob, lastEnds, lastJobs, MAX_LISTED } from '../db/jobs.ts'
import type { Horde } from '../horde/horde.ts'
import type { ValidatorList } from '../validators/validator-list.ts'
import { lacksOf } from './health.ts'
import { METRICS } from './metrics/definitions.ts'
import { GAUGES } from './metrics/gauges.ts'
import { minerPage } from './page.ts'
import { type MinerStatus, readStatus, type StatusDeps } from './status.ts'
import { jobEndJson, type MinerStatusJson, statusJson } from './status-json.ts'
import { addUnpinRoute } from './unpin-route.ts'
import { minerWatches } from './watches/miner-watches.ts'
import { closedBy, isMismatched, POOL_WATCH } from './watches/pools.ts'

/** How many ended jobs the page shows. */
const MAX_ENDS = 50

/** The query of /jobs.json. */
const jobsQuery = z.object({
  last: z.coerce.number().int().min(1).max(MAX_LISTED).default(20),
  state: z.enum(JOB_STATES).optional(),
})

export type OperatorDeps = Omit<StatusDeps, 'hotkey' | 'watches' | 'startedAtMs'> & {
  chain: Chain
  hotkey: Hotkey
  db: Database
  horde: Pick<Horde, 'usage' | 'pools' | 'watchWith'>
  validators: ValidatorList
  registry: Registry
  log: Log
}

export type Operator = { adminPort: number | undefined; health(): Promise<Health> }

export async function openOperator(
  deps: OperatorDeps,
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<Operator> {
  const { config, chain, hotkey, db, horde, validators, registry, clock, log } = deps
  const metagraph = () => validators.metagraph
  const all = minerWatches({ config, chain, hotkey: hotkey.ss58, db, pools: () => horde.pools(), metagraph, clock })
  const watches = stack.use(new Watches(all, { clock, log, signal }))
  horde.watchWith({
    closedBy: pool => closedBy(pool, watches.state()),
    isMismatched: pool => isMismatched(pool, watches.state()),
    lookNow: () => watches.lookNow(POOL_WATCH),
  })
  const service = observedMiner({ ...deps, hotkey: hotkey.ss58, watches, startedAtMs: clock.now() }, db)
  const metrics = new ServiceMetrics(registry, { prefix: 'miner', definitions: METRICS, service })
  const health = async () => healthOf(service)
  const { ADMIN_HOST: host, ADMIN_PORT: port } = config
  if (port === undefined) return { adminPort: undefined, health }
  const options = { host, port, service, metrics, clock, log }
  const adminPort = await openAdminPort(
    {
      ...options,
      addRoutes: app => {
        app.get('/jobs.json', async (request, reply) => {
          const { code, body } = await answerJobs(request.query, db)
          return reply.code(code).send(body)
        })
        addUnpinRoute(app, db)
      },
    },
    stack,
  )
  return { adminPort, health }
}

function observedMiner(deps: StatusDeps, db: Database): ObservedService<MinerStatus, ListedJob[], MinerStatusJson> {
  return {
    status: () => readStatus(deps),
    lacks: lacksOf,
    stored: () => lastEnds(db, MAX_ENDS),
    json: statusJson,
    page: minerPage,
    gauges: GAUGES,
  }
}

/** Returns the status code and the body of /jobs.json. */
async function answerJobs(query: unknown, db: Database): Promise<{ code: number; body: object }> {
  const read = jobsQuery.safeParse(query)
  if (!read.success) return { code: 400, body: { error: 'bad_query', message: z.prettifyError(read.error) } }
  const { last, state } = read.data
  const jobs = await lastJobs(db, last, state ? [state] : [])
  return { code: 200, body: { jobs: jobs.map(jobEndJson) } }
}
