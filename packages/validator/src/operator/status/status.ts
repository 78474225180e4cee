/** The status of the validator as plain data: /status.json, and what the page is made of. */
import { type RankedValidator, rankValidators, type ShownRule, shownRule } from '@horde/chain/rank-validators'
import type { Health } from '@horde/kit/http'
import { type ShownWatch, shownWatches } from '@horde/kit/page/watches-section'
import { type Clock, withDeadline } from '@horde/kit/time'
import { version } from '@horde/kit/version'
import type { FacilitatorState } from '../../organic/facilitator-connection.ts'
import { type Standing, standingOf } from '../../watch/standing.ts'
import type { ChosenMethod } from '../../weights/commit-by.ts'
import { healthOf } from '../health.ts'
import type { StatusSources } from '../sources.ts'
import type { NextBatch, TurnWindow } from './next-batch.ts'
import { readHistory, type ShownHistory } from './shown-history.ts'
import { lastTroubles, type Trouble } from './troubles.ts'

/** How long the database may take to say what it remembers, in milliseconds. */
const HISTORY_MS = 3_000

export type ValidatorStatus = {
  health: Health
  validator: {
    hotkey: string
    netuid: number
    /** Null while the chain has not said it yet. */
    standing: Standing | null
    version: string
    node: string
    startedAt: string
    uptimeSeconds: number
  }
  chain: { connected: boolean; node: string | null; block: number | null; blockSeenSecondsAgo: number | null }
  /** Null: none starts by itself, or it is not known yet; `why` says which, in words. */
  nextBatch: { at: string | null; inSeconds: number | null; why: string; window: TurnWindow | null }
  /** How weights are told to the chain, and why so. Null while the chain has not said what it offers. */
  weightsBy: ChosenMethod | null
  /** Null while the database does not say it. */
  history: ShownHistory | null
  facilitator: FacilitatorState | null
  troubles: Trouble[]
  /** `rule` is null before the chain has answered. */
  validators: { ageSeconds: number | null; rule: ShownRule | null; listed: RankedValidator[] }
  watches: ShownWatch[]
}

export async function readStatus(sources: StatusSources, clock: Clock): Promise<ValidatorStatus> {
  const now = clock.now()
  const known = sources.subnet()?.metagraph
  const age = sources.subnetAgeMs()
  const history = await historyOf(sources, clock)
  return {
    health: healthOf(sources),
    validator: validatorOf(sources, now),
    chain: chainOf(sources, now),
    nextBatch: shownNext(sources.nextBatch(), now),
    weightsBy: sources.weightsBy() ?? null,
    history,
    facilitator: sources.facilitator() ?? null,
    troubles: lastTroubles(sources, history),
    validators: {
      ageSeconds: age === undefined ? null : Math.round(age / 1000),
      rule: known ? shownRule(known) : null,
      listed: rankValidators(known, { extra: [], banned: [] }),
    },
    watches: shownWatches(sources.watches(), now),
  }
}

/** A status without it says more than none. */
async function historyOf({ history }: StatusSources, clock: Clock): Promise<ShownHistory | null> {
  try {
    return await withDeadline(readHistory(history), HISTORY_MS, 'what the database remembers', clock)
  } catch {
    return null
  }
}

function validatorOf({ own, subnet }: StatusSources, nowMs: number): ValidatorStatus['validator'] {
  const known = subnet()
  return {
    hotkey: own.hotkey,
    netuid: own.netuid,
    standing: known ? standingOf(known.metagraph, own.hotkey) : null,
    version,
    node: process.version,
    startedAt: new Date(own.startedAtMs).toISOString(),
    uptimeSeconds: Math.round((nowMs - own.startedAtMs) / 1000),
  }
}

function chainOf({ chain }: StatusSources, nowMs: number): ValidatorStatus['chain'] {
  const { lastBlock, connected, endpoint } = chain()
  return {
    connected,
    // Without path and query, where providers put keys.
    node: endpoint && (URL.parse(endpoint)?.host ?? 'unknown'),
    block: lastBlock?.number ?? null,
    blockSeenSecondsAgo: lastBlock ? Math.max(0, Math.round((nowMs - lastBlock.seenAtMs) / 1000)) : null,
  }
}

function shownNext({ at, why, window }: NextBatch, nowMs: number): ValidatorStatus['nextBatch'] {
  const inSeconds = at === undefined ? null : Math.max(0, Math.round((at.getTime() - nowMs) / 1000))
  return { at: at?.toISOString() ?? null, inSeconds, why, window: window ?? null }
}
