/** Numbers that are read whenever somebody asks for the metrics. */

import { rankValidators } from '@horde/chain/rank-validators'
import { addGauges, one, type Sample } from '@horde/kit/metrics/gauges'
import type { Clock } from '@horde/kit/time'
import { measured, verdicts, watchAges } from '@horde/operator/metrics/watch-gauges'
import { OPEN_STATES } from '@horde/protocol/job-state'
import type { Registry } from 'prom-client'
import type { PoolUsage } from '../../horde/pools/pool.ts'
import { healthOf } from '../health.ts'
import type { StatusSources } from '../sources.ts'
import { type GaugeName, METRICS } from './definitions.ts'

/** A gauge that there is nothing to say of gives no sample. */
const READ: Readonly<Record<GaugeName, (sources: StatusSources, nowMs: number) => Sample[]>> = {
  miner_jobs_open: sources => {
    const jobs = sources.jobs()
    return OPEN_STATES.map(state => [{ state }, jobs.filter(job => job.state === state).length])
  },
  miner_executors: sources => sources.horde().flatMap(executorsOf),
  miner_pool_draining: sources => sources.horde().map(({ pool, draining }) => [{ pool }, Number(draining)]),
  miner_pool_closed: sources => sources.horde().map(({ pool, closedBy }) => [{ pool }, Number(closedBy !== null)]),
  miner_sessions: sources => one([...sources.connections().values()].reduce((sum, held) => sum + held, 0)),
  miner_validators: sources => {
    return one(rankValidators(sources.metagraph(), sources).filter(({ note }) => note !== 'banned').length)
  },
  miner_validators_connected: sources => one(sources.connections().size),
  miner_validators_age_seconds: sources => one(sources.listAgeMs(), 1_000),
  miner_chain_connected: sources => one(Number(sources.chain().connected)),
  miner_chain_block: sources => one(sources.chain().lastBlock?.number),
  miner_chain_block_age_seconds: (sources, nowMs) => {
    const seen = sources.chain().lastBlock?.seenAtMs
    return one(seen === undefined ? undefined : nowMs - seen, 1_000)
  },
  miner_registered: ({ own, metagraph }) => {
    return one(metagraph() && Number(metagraph()?.neurons.some(({ hotkey }) => hotkey === own.hotkey)))
  },
  miner_clock_offset_seconds: sources => measured(sources.watches(), 'clock'),
  miner_disk_free_bytes: sources =>
    measured(sources.watches(), 'disk').map(([{ of = '' }, free]) => [{ disk: of }, free]),
  miner_gpus: sources => measured(sources.watches(), 'gpus').slice(0, 1),
  miner_database_seconds: sources => measured(sources.watches(), 'database').slice(0, 1),
  miner_database_bytes: sources => measured(sources.watches(), 'database').slice(1),
  miner_watch_verdict: sources => verdicts(sources.watches()),
  miner_watch_age_seconds: (sources, nowMs) => watchAges(sources.watches(), nowMs),
  miner_ready: sources => one(Number(healthOf(sources).ready)),
}

export function addMinerGauges(registry: Registry, sources: StatusSources, clock: Clock): void {
  const reads = Object.entries(READ).map(([name, read]) => [name, () => read(sources, clock.now())] as const)
  addGauges(registry, METRICS, Object.fromEntries(reads))
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
