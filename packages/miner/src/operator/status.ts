/** The status of the miner as plain data: /status.json, and what the page is made of. */
import { neuronOf } from '@horde/chain/metagraph'
import { type RankedValidator, rankValidators, type ShownRule, shownRule } from '@horde/chain/rank-validators'
import type { Health } from '@horde/kit/http'
import { type Clock, withDeadline } from '@horde/kit/time'
import { printable } from '@horde/kit/untrusted-text'
import { version } from '@horde/kit/version'
import { type ShownWatch, shownWatches } from '@horde/operator/page/watches-section'
import type { FinalState, JobState } from '@horde/protocol/job-state'
import { REASONS } from '@horde/protocol/reasons'
import type { ListedJob } from '../db/list-jobs.ts'
import type { ShownPool } from '../horde/horde.ts'
import { healthOf } from './health.ts'
import type { StatusSources } from './sources.ts'

/** How many jobs and ends are shown at most. */
const MAX_JOBS = 200
const MAX_ENDS = 50
/** How long the database may take to say the last ends, in milliseconds. */
const ENDS_MS = 3_000

export type MinerStatus = {
  health: Health
  miner: {
    hotkey: string
    netuid: number
    /** Null: not registered, or not known yet. */
    uid: number | null
    registered: boolean | null
    port: number
    /** What the chain says; null: nothing. */
    announced: { ip: string; port: number; block: number } | null
    /** Where the miner is to be reached, how that was found, and what keeps the chain from saying it; null: nothing. */
    address: { ip: string | null; how: string | null; waitsForBlock: number | null; error: string | null }
    version: string
    node: string
    startedAt: string
    uptimeSeconds: number
  }
  chain: { connected: boolean; node: string | null; block: number | null; blockSeenSecondsAgo: number | null }
  watches: ShownWatch[]
  horde: (ShownPool & { /** The reason as a sentence. */ closedWhy: string | null })[]
  jobs: { open: number; now: ShownJob[] }
  /** `last` is null while the database does not say it. */
  ends: { sinceStart: Readonly<Record<FinalState, number>>; last: ShownEnd[] | null }
  /** `rule` is null before the chain has answered. */
  validators: {
    ageSeconds: number | null
    rule: ShownRule | null
    listed: (RankedValidator & { connections: number })[]
  }
}

/** Text of strangers is cut and cleaned of control characters. */
export type ShownJob = {
  uuid: string
  validator: string
  executorClass: string
  image: string | null
  state: JobState
  sinceSeconds: number
}

export type ShownEnd = Omit<ShownJob, 'sinceSeconds'> & {
  reason: string | null
  /** The reason as a sentence. */
  why: string | null
  offeredAt: string
  endedAt: string | null
  /** From offer to end. */
  seconds: number | null
  /** Whether its validator has had it on the right connection. */
  delivered: boolean
}

export async function readStatus(sources: StatusSources, clock: Clock): Promise<MinerStatus> {
  const now = clock.now()
  const ago = (ms: number | null | undefined) => (ms == null ? null : Math.max(0, Math.round((now - ms) / 1000)))
  const { lastBlock, connected, endpoint } = sources.chain()
  const jobs = sources.jobs()
  return {
    health: healthOf(sources),
    miner: minerOf(sources, now),
    chain: {
      connected,
      node: endpoint && nodeName(endpoint),
      block: lastBlock?.number ?? null,
      blockSeenSecondsAgo: ago(lastBlock?.seenAtMs),
    },
    watches: shownWatches(sources.watches(), now),
    horde: sources.horde().map(pool => ({ ...pool, closedWhy: pool.closedBy && REASONS[pool.closedBy] })),
    jobs: {
      open: jobs.length,
      now: jobs
        .slice(0, MAX_JOBS)
        .map(({ sinceMs, ...job }) => ({ ...fit(job), sinceSeconds: Math.max(0, Math.round((now - sinceMs) / 1000)) })),
    },
    /** `last` is null while the database does not say it. */
    ends: { sinceStart: sources.ends(), last: await lastEnds(sources, clock) },
    validators: validatorsOf(sources),
  }
}

/** A status without them says more than none. */
async function lastEnds({ lastEnds }: StatusSources, clock: Clock): Promise<ShownEnd[] | null> {
  try {
    return (await withDeadline(lastEnds(MAX_ENDS), ENDS_MS, 'the last ends', clock)).map(shownEnd)
  } catch {
    return null
  }
}

function minerOf({ own, metagraph, announcement }: StatusSources, nowMs: number): MinerStatus['miner'] {
  const known = metagraph()
  const neuron = known && neuronOf(known, own.hotkey)
  const axon = neuron?.axon
  const { address: ip = null, how = null, waitsForBlock = null, lastError: error = null } = announcement()
  return {
    hotkey: own.hotkey,
    netuid: own.netuid,
    uid: neuron?.uid ?? null,
    registered: known === undefined ? null : neuron !== undefined,
    port: own.port,
    announced: axon ? { ip: axon.ip, port: axon.port, block: axon.block } : null,
    address: { ip, how, waitsForBlock, error },
    version,
    node: process.version,
    startedAt: new Date(own.startedAtMs).toISOString(),
    uptimeSeconds: Math.round((nowMs - own.startedAtMs) / 1000),
  }
}

/** Without path and query, where providers put keys. */
function nodeName(endpoint: string): string {
  return URL.parse(endpoint)?.host ?? 'unknown'
}

function validatorsOf(sources: StatusSources): MinerStatus['validators'] {
  const connections = sources.connections()
  const metagraph = sources.metagraph()
  const age = sources.listAgeMs()
  return {
    ageSeconds: age === undefined ? null : Math.round(age / 1000),
    rule: metagraph ? shownRule(metagraph) : null,
    listed: rankValidators(metagraph, sources).map(validator => {
      return { ...validator, connections: connections.get(validator.hotkey) ?? 0 }
    }),
  }
}

export function shownEnd(job: ListedJob): ShownEnd {
  const { uuid, validator, executorClass, imageName, state, reason, offeredAt, endedAt, deliveredAt } = job
  return {
    ...fit({ uuid, validator, executorClass, image: imageName, state }),
    reason,
    why: reason === null ? null : (REASONS[reason] ?? null),
    offeredAt: offeredAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    seconds: endedAt === null ? null : (endedAt.getTime() - offeredAt.getTime()) / 1000,
    delivered: deliveredAt !== null,
  }
}

type StrangersTexts = { uuid: string; executorClass: string; image: string | null }

function fit<T extends StrangersTexts>(job: T): T {
  const { uuid, executorClass, image } = job
  return {
    ...job,
    uuid: printable(uuid),
    executorClass: printable(executorClass),
    image: image === null ? null : printable(image),
  }
}
