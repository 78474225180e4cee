/** The gauges that only the miner has. */
import { one, type Sample } from '@horde/kit/metrics/gauges'
import { measured } from '@horde/operator/metrics/watch-gauges'
import { OPEN_STATES } from '@horde/protocol/job-state'
import type { PoolUsage } from '../../horde/pools/pool.ts'
import type { DialectName } from '../../validators/dialects/dialect.ts'
import type { MinerStatus } from '../status.ts'
import type { GaugeName } from './definitions.ts'

export const GAUGES: Readonly<Record<GaugeName, (status: MinerStatus) => Sample[]>> = {
  miner_jobs_open: ({ jobs }) => {
    return OPEN_STATES.map(state => [{ state }, jobs.filter(job => job.state === state).length])
  },
  miner_executors: ({ pools }) => pools.flatMap(executorsOf),
  miner_pool_draining: ({ pools }) => pools.map(({ pool, draining }) => [{ pool }, Number(draining)]),
  miner_pool_closed: ({ pools }) => pools.map(({ pool, closedBy }) => [{ pool }, Number(closedBy !== null)]),
  miner_sessions_of_dialect: ({ dialects }) => byDialect(dialects),
  miner_executors_of_dialect: ({ jobs }) => {
    const spoken = (dialect: DialectName) => jobs.filter(job => job.executorDialect === dialect).length
    return byDialect({ v0: spoken('v0'), v2026: spoken('v2026') })
  },
  miner_sessions: ({ connections }) => one([...connections.values()].reduce((sum, count) => sum + count, 0)),
  miner_validators: ({ validators }) => one(validators.filter(({ note }) => note !== 'banned').length),
  miner_validators_connected: ({ connections }) => one(connections.size),
  miner_validators_age_seconds: ({ listAgeMs }) => one(listAgeMs, 1_000),
  miner_manifest_committed: ({ manifest }) =>
    one(manifest?.isCurrent === undefined ? undefined : Number(manifest.isCurrent)),
  miner_gpus: ({ watches }) => measured(watches, 'gpus').slice(0, 1),
}

function byDialect(counts: Readonly<Record<DialectName, number>>): Sample[] {
  return Object.entries(counts).map(([dialect, count]) => [{ dialect }, count])
}

function executorsOf({ pool, executorClass: executor_class, places, taken, leaving, warm }: PoolUsage): Sample[] {
  const states = {
    taken,
    free: Math.max(0, places - taken),
    leaving,
    warm_ready: warm.ready,
    warm_starting: warm.starting,
  }
  return Object.entries(states).map(([state, count]) => [{ pool, executor_class, state }, count])
}
