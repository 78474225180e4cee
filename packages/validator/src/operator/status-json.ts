/** The validator's status as /status.json answers it; the page is made of the same. */
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
import type { MinerDialect } from '../jobs/dialects/known-dialects.ts'
import type { FacilitatorState } from '../organic/facilitator-connection.ts'
import type { ChosenMethod } from '../weights/weight-method.ts'
import type { HistoryJson } from './history.ts'
import type { BatchWindow, NextBatch } from './next-batch.ts'
import type { LoopStatus, ValidatorStatus } from './status.ts'
import type { Eligibility } from './watches/eligibility.ts'

export type ValidatorStatusJson = {
  health: ServiceHealth
  validator: ProcessJson & {
    hotkey: string
    netuid: number
    /** Null before the chain has answered. */
    standing: Eligibility | null
  }
  chain: ChainJson
  /** `at` is null when no batch is scheduled or the schedule is not known yet; `why` says which, as a sentence. */
  nextBatch: { at: string | null; inSeconds: number | null; why: string; window: BatchWindow | null }
  /** How weights are sent to the chain, and why. Null before the chain has answered. */
  weightsBy: ChosenMethod | null
  /** Null while the database does not answer. */
  history: HistoryJson | null
  /** Null when no facilitator is set. */
  facilitator: FacilitatorState | null
  /** The miners whose dialect is known, the one seen last first. */
  miners: readonly MinerDialect[]
  troubles: RecentError[]
  /** `rule` is null before the chain has answered. */
  validators: { ageSeconds: number | null; rule: RuleSummary | null; listed: readonly RankedValidator[] }
  watches: WatchJson[]
}

export function statusJson(
  status: ValidatorStatus,
  health: ServiceHealth,
  history: HistoryJson | null,
): ValidatorStatusJson {
  const { hotkey, netuid, eligibility, subnet, subnetAgeMs, watches, nowMs } = status
  return {
    health,
    validator: { hotkey, netuid, standing: eligibility ?? null, ...processJson(status) },
    chain: chainJson(status),
    nextBatch: nextBatchJson(status.nextBatch, nowMs),
    weightsBy: status.weightMethod ?? null,
    history,
    facilitator: status.facilitator ?? null,
    miners: status.miners.map(miner => ({ ...miner, address: printable(miner.address) })),
    troubles: recentErrors(status.loops, history),
    validators: {
      ageSeconds: subnetAgeMs === undefined ? null : wholeSeconds(subnetAgeMs),
      rule: subnet ? ruleSummary(subnet.metagraph) : null,
      listed: status.validators,
    },
    watches: watchesJson(watches, nowMs),
  }
}

function nextBatchJson({ at, why, window }: NextBatch, nowMs: number): ValidatorStatusJson['nextBatch'] {
  const inSeconds = at === undefined ? null : wholeSeconds(at.getTime() - nowMs)
  return { at: at?.toISOString() ?? null, inSeconds, why, window: window ?? null }
}

/** The largest number of errors that is listed. */
const MAX_ERRORS = 20

type RecentError = { at: string; where: string; what: string }

/** Lists loops whose last run failed, refused settings of weights, and users' jobs that broke; the latest first. */
function recentErrors(loops: readonly LoopStatus[], history: HistoryJson | null): RecentError[] {
  const failed = loops.flatMap(({ name, state: { error, endedAt = 0 } }) => {
    if (error === undefined) return []
    return [{ at: new Date(endedAt).toISOString(), where: name, what: printable(messageOf(error)) }]
  })
  const refused = (history?.settings ?? [])
    .filter(({ state }) => state === 'refused')
    .map(each => ({ at: each.endedAt ?? each.plannedAt, where: 'weights', what: each.refusal ?? 'refused' }))
  const broken = (history?.organicJobs ?? [])
    .filter(({ state }) => state === 'broken')
    .map(each => ({ at: each.createdAt, where: `job ${each.uuid}`, what: each.why ?? 'broken' }))
  return [...failed, ...refused, ...broken].sort((a, b) => (a.at < b.at ? 1 : -1)).slice(0, MAX_ERRORS)
}

/** Returns an error's first line: the following lines of a failed query hold its parameters, which peers chose. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? ''
}
