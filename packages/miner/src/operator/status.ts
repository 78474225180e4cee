/** The miner's status. Health, gauges, JSON and page are all made of it. */
import type { Chain } from '@horde/chain/chain'
import { type Metagraph, neuronOf } from '@horde/chain/metagraph'
import { type RankedValidator, rankValidators } from '@horde/chain/rank-validators'
import type { Clock } from '@horde/kit/time'
import type { ServiceStatus } from '@horde/operator/admin/observed-service'
import type { Watches } from '@horde/operator/watch/watches'
import type { FinalState, JobState } from '@horde/protocol/job-state'
import type { AnnouncementState, Announcer } from '../announce/announcer.ts'
import type { ManifestCommitter, ManifestState } from '../announce/manifest-committer.ts'
import type { MinerConfig } from '../config.ts'
import type { Horde, PoolStatus } from '../horde/horde.ts'
import type { LiveJobs } from '../jobs/live-job.ts'
import type { DialectName } from '../validators/dialects/dialect.ts'
import type { ValidatorConnections } from '../validators/validator-connection.ts'
import type { ValidatorList } from '../validators/validator-list.ts'
import type { JobCounters } from './metrics/job-counters.ts'

/** After this many refreshes without an answer the list of validators is old. */
const OLD_AFTER_REFRESHES = 3

export type MinerStatus = ServiceStatus & {
  /** The port for validators. */
  port: number
  /** Whether the miner takes no new jobs, by the operator's setting. */
  migrating: boolean
  pools: readonly PoolStatus[]
  /** The jobs that run now, and those that are about to. */
  jobs: readonly JobNow[]
  /** How many jobs ended in which way since the start. */
  ends: Readonly<Record<FinalState, number>>
  announcement: AnnouncementState
  /** The manifest on the chain; undefined when the settings keep it off the chain. */
  manifest: ManifestState | undefined
  /** The subnet as of the chain's last answer; undefined before the first one. */
  metagraph: Metagraph | undefined
  /** The age of that answer, and the age from which it is old, in milliseconds. */
  listAgeMs: number | undefined
  oldListMs: number
  /** Those that are served, and those that settings ban. */
  validators: readonly RankedValidator[]
  /** The number of authenticated connections of each validator. */
  connections: ReadonlyMap<string, number>
  /** The number of authenticated connections in each dialect. */
  dialects: Readonly<Record<DialectName, number>>
  /** The dialects that each connected validator speaks. */
  spoken: ReadonlyMap<string, readonly DialectName[]>
}

/** A job in progress. Uuid, class and image are text that a peer chose. */
export type JobNow = {
  uuid: string
  validator: string
  executorClass: string
  image: string | null
  state: JobState
  /** The dialect in which it was offered. */
  dialect: DialectName
  /** The one that is spoken with its executor; undefined before the executor connected. */
  executorDialect: DialectName | undefined
  /** When it reached this state, since the epoch, in milliseconds. */
  sinceMs: number
}

export type StatusDeps = {
  config: MinerConfig
  chain: Pick<Chain, 'state'>
  hotkey: string
  port: number
  startedAtMs: number
  live: Pick<LiveJobs, 'all'>
  horde: Pick<Horde, 'usage'>
  connections: Pick<ValidatorConnections, 'counts' | 'dialects' | 'spoken'>
  announcer: Pick<Announcer, 'state'>
  committer: Pick<ManifestCommitter, 'state'> | undefined
  validators: Pick<ValidatorList, 'metagraph' | 'ageMs'>
  counters: Pick<JobCounters, 'ends'>
  watches: Pick<Watches, 'state'>
  clock: Clock
}

/** Reads the status from memory. */
export function readStatus(deps: StatusDeps): MinerStatus {
  const { config, chain, hotkey, port, live, horde, connections, announcer, validators, counters, watches, clock } =
    deps
  const { metagraph } = validators
  const { EXTRA_VALIDATORS: extra, BANNED_VALIDATORS: banned } = config
  return {
    nowMs: clock.now(),
    startedAtMs: deps.startedAtMs,
    hotkey,
    netuid: config.BITTENSOR_NETUID,
    uid: metagraph && (neuronOf(metagraph, hotkey)?.uid ?? null),
    chain: chain.state(),
    watches: watches.state(),
    port,
    migrating: config.MIGRATING,
    pools: horde.usage(),
    jobs: live.all().map(({ uuid, validator, executorClass, state, row, movedAt: sinceMs, dialect, channel }) => {
      const executorDialect = channel.dialect
      return { uuid, validator, executorClass, state, image: row.imageName, dialect, executorDialect, sinceMs }
    }),
    ends: counters.ends(),
    announcement: announcer.state(),
    manifest: deps.committer?.state(),
    metagraph,
    listAgeMs: validators.ageMs(),
    oldListMs: OLD_AFTER_REFRESHES * config.VALIDATORS_REFRESH_SECONDS * 1_000,
    validators: rankValidators(metagraph, { extra, banned }),
    connections: connections.counts(),
    dialects: connections.dialects(),
    spoken: connections.spoken(),
  }
}
