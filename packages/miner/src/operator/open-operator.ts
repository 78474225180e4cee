/** Wires what a running miner shows its operator: watches, metrics, and the pages of its admin port. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Health } from '@horde/kit/http'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { Watches } from '@horde/kit/watch/watches'
import type { Registry } from 'prom-client'
import type { Announcer } from '../announce/announcer.ts'
import type { MinerConfig } from '../config.ts'
import { lastEnds, lastJobs } from '../db/list-jobs.ts'
import type { Horde } from '../horde/horde.ts'
import type { LiveJobs } from '../jobs/live-job.ts'
import { addMinerGauges } from '../metrics/gauges.ts'
import type { Tally } from '../metrics/tally.ts'
import type { ValidatorConnections } from '../validators/validator-connection.ts'
import type { ValidatorList } from '../validators/validator-list.ts'
import { closedBy, isMismatched } from '../watch/closed-pools.ts'
import { minerWatches } from '../watch/miner-watches.ts'
import { POOL_WATCH } from '../watch/pools.ts'
import { openMinerAdmin } from './admin.ts'
import { healthOf } from './health.ts'
import type { StatusSources } from './sources.ts'

/** After so many refreshes without an answer the list of validators counts as old. */
const OLD_AFTER_REFRESHES = 3

export type OperatorDeps = {
  config: MinerConfig
  chain: Chain
  hotkey: Hotkey
  db: Database
  live: LiveJobs
  horde: Pick<Horde, 'usage' | 'pools' | 'heed'>
  connections: Pick<ValidatorConnections, 'counts'>
  announcer: Pick<Announcer, 'state'>
  validators: ValidatorList
  counters: Tally
  registry: Registry
  /** The port for validators. */
  port: number
  clock: Clock
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
  horde.heed({
    closedBy: pool => closedBy(pool, watches.state()),
    isMismatched: pool => isMismatched(pool, watches.state()),
    lookNow: () => watches.lookNow(POOL_WATCH),
  })
  const sources = sourcesOf(deps, watches)
  addMinerGauges(registry, sources, clock)
  const health = async () => healthOf(sources)
  const { ADMIN_HOST: host, ADMIN_PORT: port } = config
  if (port === undefined) return { adminPort: undefined, health }
  const listJobs = (...wanted: [limit: number, states: Parameters<typeof lastJobs>[2]]) => lastJobs(db, ...wanted)
  const adminPort = await openMinerAdmin({ host, port }, { sources, lastJobs: listJobs, registry, clock, log }, stack)
  return { adminPort, health }
}

function sourcesOf(deps: OperatorDeps, watches: Watches): StatusSources {
  const { config, chain, hotkey, db, live, horde, connections, announcer, validators, counters, port, clock } = deps
  return {
    own: { hotkey: hotkey.ss58, netuid: config.BITTENSOR_NETUID, port, startedAtMs: clock.now() },
    horde: () => horde.usage(),
    jobs: () => {
      return live.all().map(({ uuid, validator, executorClass, state, row, movedAt: sinceMs }) => {
        return { uuid, validator, executorClass, state, image: row.imageName, sinceMs }
      })
    },
    ends: () => counters.ends(),
    lastEnds: limit => lastEnds(db, limit),
    metagraph: () => validators.metagraph,
    listAgeMs: () => validators.ageMs(),
    oldListMs: OLD_AFTER_REFRESHES * config.VALIDATORS_REFRESH_SECONDS * 1000,
    extra: config.EXTRA_VALIDATORS,
    banned: config.BANNED_VALIDATORS,
    connections: () => connections.counts(),
    announcement: () => announcer.state(),
    migrating: config.MIGRATING,
    chain: () => chain.state(),
    watches: () => watches.state(),
  }
}
