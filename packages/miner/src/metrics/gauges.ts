/** Numbers that are read whenever somebody asks for the metrics. */
import type { Clock } from '@horde/kit/time'
import { OPEN_STATES } from '@horde/protocol/job-state'
import { Gauge, type Registry } from 'prom-client'
import type { PoolUsage } from '../horde/pools/pool.ts'
import { healthOf } from '../operator/health.ts'
import { rankValidators } from '../operator/rank-validators.ts'
import type { StatusSources } from '../operator/sources.ts'
import type { Verdict } from '../watch/finding.ts'
import { type GaugeName, METRICS } from './definitions.ts'

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number]

const NUMBERS: Readonly<Record<Verdict, number>> = { ok: 0, warn: 1, bad: 2 }

/** A gauge that there is nothing to say of gives no sample. */
const READ: Readonly<Record<GaugeName, (sources: StatusSources, nowMs: number) => Sample[]>> = {
  miner_jobs_open: sources => {
    const jobs = sources.jobs()
    return OPEN_STATES.map(state => [{ state }, jobs.filter(job => job.state === state).length])
  },
  miner_executors: sources => sources.horde().flatMap(executorsOf),
  miner_pool_draining: sources => sources.horde().map(({ pool, draining }) => [{ pool }, Number(draining)]),
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
  miner_clock_offset_seconds: sources => measured(sources, 'clock'),
  miner_disk_free_bytes: sources => measured(sources, 'disk').map(([{ of = '' }, free]) => [{ disk: of }, free]),
  miner_gpus: sources => measured(sources, 'gpus').slice(0, 1),
  miner_database_seconds: sources => measured(sources, 'database'),
  miner_watch_verdict: sources => sources.watches().map(({ watch, verdict }) => [{ watch }, NUMBERS[verdict]]),
  miner_watch_age_seconds: (sources, nowMs) => {
    return sources.watches().flatMap(({ watch, lookedAtMs }): Sample[] => {
      return lookedAtMs === null ? [] : [[{ watch }, (nowMs - lookedAtMs) / 1_000]]
    })
  },
  miner_ready: sources => one(Number(healthOf(sources).ready)),
}

export function addGauges(registry: Registry, sources: StatusSources, clock: Clock): void {
  for (const [name, read] of Object.entries(READ) as [GaugeName, (typeof READ)[GaugeName]][]) {
    const { help, labels: labelNames } = METRICS[name]
    new Gauge<string>({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset()
        // Without labels, reset leaves a 0 behind, which would be a lie where there is nothing to say.
        if (labelNames.length === 0) this.remove()
        for (const [labels, value] of read(sources, clock.now())) this.set({ ...labels }, value)
      },
    })
  }
}

function one(value: number | undefined, per = 1): Sample[] {
  return value === undefined ? [] : [[{}, value / per]]
}

function executorsOf({ pool, executorClass: executor_class, places, taken, warm }: PoolUsage): Sample[] {
  const states = {
    taken,
    free: Math.max(0, places - taken),
    warm_ready: warm.ready,
    warm_starting: warm.starting,
  }
  return Object.entries(states).map(([state, count]) => [{ pool, executor_class, state }, count])
}

function measured(sources: StatusSources, name: string): Sample[] {
  const findings = sources.watches().find(({ watch }) => watch === name)?.findings ?? []
  return findings.flatMap(({ measured, of }): Sample[] =>
    measured === undefined ? [] : [[of ? { of } : {}, measured]],
  )
}
