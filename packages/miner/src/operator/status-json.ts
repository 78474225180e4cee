/** The miner's status as /status.json answers it; the page is made of the same. */
import { neuronOf } from '@horde/chain/metagraph'
import { type RankedValidator, type RuleSummary, ruleSummary } from '@horde/chain/rank-validators'
import { printable } from '@horde/kit/log/untrusted-text'
import type { ServiceHealth } from '@horde/operator/admin/health'
import {
  type ChainJson,
  chainJson,
  type ProcessJson,
  processJson,
  wholeSeconds,
} from '@horde/operator/admin/observed-service'
import { type WatchJson, watchesJson } from '@horde/operator/page/watches-section'
import type { FinalState, JobState } from '@horde/protocol/job-state'
import { REASONS } from '@horde/protocol/reasons'
import type { ManifestState } from '../announce/manifest-committer.ts'
import type { ListedJob } from '../db/jobs.ts'
import type { PoolStatus } from '../horde/horde.ts'
import type { DialectName } from '../validators/dialects/dialect.ts'
import type { MinerStatus } from './status.ts'

/** The largest number of open jobs that is listed. */
const MAX_JOBS = 200

export type MinerStatusJson = {
  health: ServiceHealth
  miner: ProcessJson & {
    hotkey: string
    netuid: number
    /** Null: not registered, or not known yet. */
    uid: number | null
    registered: boolean | null
    port: number
    /** The address on the chain; null: none. */
    announced: { ip: string; port: number; block: number } | null
    /** The miner's address, how it was found, and what keeps it from being announced. Null: nothing. */
    address: { ip: string | null; how: string | null; waitsForBlock: number | null; error: string | null }
    /** The manifest on the chain, as `A3;S2`. Null: COMMIT_MANIFEST is not set. */
    manifest: { committed: string | null; block: number | null; isCurrent: boolean | null; error: string | null } | null
  }
  chain: ChainJson
  watches: WatchJson[]
  horde: (PoolStatus & { /** The reason as a sentence. */ closedWhy: string | null })[]
  jobs: { open: number; now: JobNowJson[] }
  /** `last` is null while the database does not answer. */
  ends: { sinceStart: Readonly<Record<FinalState, number>>; last: JobEndJson[] | null }
  /** `rule` is null before the chain has answered. */
  validators: {
    ageSeconds: number | null
    rule: RuleSummary | null
    /** `dialects`: those of its connections. */
    listed: (RankedValidator & { connections: number; dialects: readonly DialectName[] })[]
  }
}

/** Text that a peer chose is cut, and has no control characters. */
export type JobNowJson = {
  uuid: string
  validator: string
  executorClass: string
  image: string | null
  state: JobState
  /** The dialect of its offer. */
  dialect: DialectName
  /** The one that is spoken with its executor; null before the executor connected. */
  executorDialect: DialectName | null
  sinceSeconds: number
}

export type JobEndJson = Omit<JobNowJson, 'sinceSeconds' | 'dialect' | 'executorDialect'> & {
  reason: string | null
  /** The reason as a sentence. */
  why: string | null
  offeredAt: string
  endedAt: string | null
  /** From offer to end. */
  seconds: number | null
  /** Whether the validator has received the result. */
  delivered: boolean
}

/** @param lastEnds the ends of the last jobs, the latest first; null while the database does not answer */
export function statusJson(
  status: MinerStatus,
  health: ServiceHealth,
  lastEnds: readonly ListedJob[] | null,
): MinerStatusJson {
  const { jobs, pools, ends, watches, nowMs, metagraph, listAgeMs, validators, connections, spoken } = status
  return {
    health,
    miner: minerJson(status),
    chain: chainJson(status),
    watches: watchesJson(watches, nowMs),
    horde: pools.map(pool => ({ ...pool, closedWhy: pool.closedBy && REASONS[pool.closedBy] })),
    jobs: {
      open: jobs.length,
      now: jobs.slice(0, MAX_JOBS).map(({ sinceMs, ...job }) => {
        const executorDialect = job.executorDialect ?? null
        return { ...withPrintableText({ ...job, executorDialect }), sinceSeconds: wholeSeconds(nowMs - sinceMs) }
      }),
    },
    ends: { sinceStart: ends, last: lastEnds?.map(jobEndJson) ?? null },
    validators: {
      ageSeconds: listAgeMs === undefined ? null : wholeSeconds(listAgeMs),
      rule: metagraph ? ruleSummary(metagraph) : null,
      listed: validators.map(each => {
        const { hotkey } = each
        return { ...each, connections: connections.get(hotkey) ?? 0, dialects: spoken.get(hotkey) ?? [] }
      }),
    },
  }
}

function minerJson(status: MinerStatus): MinerStatusJson['miner'] {
  const { hotkey, netuid, uid, port, metagraph, announcement, manifest } = status
  const axon = metagraph && neuronOf(metagraph, hotkey)?.axon
  const { address: ip = null, how = null, waitsForBlock = null, lastError: error = null } = announcement
  return {
    ...{ hotkey, netuid, uid: uid ?? null, registered: uid === undefined ? null : uid !== null, port },
    announced: axon ? { ip: axon.ip, port: axon.port, block: axon.block } : null,
    address: { ip, how, waitsForBlock, error },
    manifest: manifest ? manifestJson(manifest) : null,
    ...processJson(status),
  }
}

function manifestJson({ committed, block, isCurrent, lastError }: ManifestState) {
  return {
    ...{ committed: committed ?? null, block: block ?? null, isCurrent: isCurrent ?? null },
    error: lastError ?? null,
  }
}

export function jobEndJson(job: ListedJob): JobEndJson {
  const { uuid, validator, executorClass, imageName, state, reason, offeredAt, endedAt, deliveredAt } = job
  return {
    ...withPrintableText({ uuid, validator, executorClass, image: imageName, state }),
    reason,
    why: reason === null ? null : (REASONS[reason] ?? null),
    offeredAt: offeredAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    seconds: endedAt === null ? null : (endedAt.getTime() - offeredAt.getTime()) / 1_000,
    delivered: deliveredAt !== null,
  }
}

function withPrintableText<T extends { uuid: string; executorClass: string; image: string | null }>(job: T): T {
  const { uuid, executorClass, image } = job
  return {
    ...job,
    ...{ uuid: printable(uuid), executorClass: printable(executorClass) },
    image: image === null ? null : printable(image),
  }
}
