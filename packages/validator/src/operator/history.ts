/** The history as /status.json answers it and the charts show it. Text that peers chose is made printable. */

import type { Database } from '@horde/kit/database'
import { printable } from '@horde/kit/log/untrusted-text'
import type { JobState } from '@horde/protocol/job-state'
import { REASONS } from '@horde/protocol/reasons'
import {
  type BatchRow,
  lastBatches,
  lastOrganicJobs,
  lastSettings,
  type MinerScore,
  minerScores,
  type OrganicRow,
  type SettingRow,
} from '../db/overview.ts'

/** How many of each are listed. */
const BATCHES = 24
const SETTINGS = 8
const ORGANIC_JOBS = 20
/** How many miners' scores are listed: the highest. */
const MINERS = 8

/** What the database holds of the last batches, settings and users' jobs, the latest first. */
export type History = {
  batches(limit: number): Promise<BatchRow[]>
  /** Reads each miner's scores in these batches. */
  scores(batches: readonly BatchRow[]): Promise<MinerScore[]>
  settings(limit: number): Promise<SettingRow[]>
  organicJobs(limit: number): Promise<OrganicRow[]>
}

/**
 * Reads the history from the database. The scores of a closed batch no longer change, so they are read once: summing up
 * thousands of jobs at each page load would disturb the jobs that are being timed meanwhile.
 */
export function openHistory(db: Database, netuid: number, hotkey: string): History {
  let known = new Map<number, MinerScore[]>()
  const scores = async (batches: readonly BatchRow[]): Promise<MinerScore[]> => {
    const ids = batches.map(({ id }) => id)
    const rows = await minerScores(
      db,
      ids.filter(id => !known.has(id)),
    )
    const read = (id: number) => known.get(id) ?? rows.filter(({ batchId }) => batchId === id)
    const all = new Map(ids.map(id => [id, read(id)]))
    known = new Map(batches.filter(({ closedAt }) => closedAt !== null).map(({ id }) => [id, all.get(id) ?? []]))
    return [...all.values()].flat()
  }
  return {
    batches: limit => lastBatches(db, netuid, limit),
    scores,
    settings: limit => lastSettings(db, netuid, hotkey, limit),
    organicJobs: limit => lastOrganicJobs(db, limit),
  }
}

export type BatchJson = {
  id: number
  benchmark: string
  scoring: string
  startedAt: string
  deadline: string
  closedAt: string | null
  scoredAt: string | null
  counts: boolean
  jobs: Partial<Record<JobState, number>>
  rightAnswers: number
}

/** One miner's score in each batch, in the order of `batches`; 0 where it had no job. */
export type MinerScoresJson = { hotkey: string; uid: number; total: number; byBatch: number[] }

export type SettingJson = {
  id: number
  state: string
  basis: string
  method: string
  plannedAt: string
  endedAt: string | null
  block: number | null
  /** The reason why the chain refused it. */
  refusal: string | null
  /** `share`: of the sum of all weights, from 0 to 1. The largest first. */
  entries: { uid: number; hotkey: string | null; weight: number; share: number }[]
}

export type OrganicJobJson = {
  uuid: string
  source: string | null
  miner: string
  image: string | null
  executorClass: string | null
  state: JobState
  reason: string | null
  /** The reason as a sentence. */
  why: string | null
  seconds: number | null
  createdAt: string
  /** The user's job that this is another try of, on another miner. */
  retryOf: string | null
  /** When its user reported the result as wrong. */
  cheatedAt: string | null
}

/** All lists have the latest first, `scores.byBatch` too. */
export type HistoryJson = {
  batches: BatchJson[]
  scores: MinerScoresJson[]
  /** How many further miners scored in these batches. */
  moreMiners: number
  settings: SettingJson[]
  organicJobs: OrganicJobJson[]
}

export async function readHistory(history: History): Promise<HistoryJson> {
  const batches = await history.batches(BATCHES)
  const ids = batches.map(({ id }) => id)
  const scores = scoresOf(await history.scores(batches), ids)
  return {
    batches: batches.map(batchJson),
    scores: scores.slice(0, MINERS),
    moreMiners: Math.max(0, scores.length - MINERS),
    settings: (await history.settings(SETTINGS)).map(settingJson),
    organicJobs: (await history.organicJobs(ORGANIC_JOBS)).map(organicJobJson),
  }
}

function batchJson({ startedAt, deadline, closedAt, scoredAt, ...row }: BatchRow): BatchJson {
  return {
    ...{ ...row, startedAt: startedAt.toISOString(), deadline: deadline.toISOString() },
    ...{ closedAt: closedAt?.toISOString() ?? null, scoredAt: scoredAt?.toISOString() ?? null },
  }
}

/** The highest total first. */
function scoresOf(rows: readonly MinerScore[], ids: readonly number[]): MinerScoresJson[] {
  const miners = new Map<string, MinerScoresJson>()
  for (const { batchId, hotkey, uid, score } of rows) {
    const miner = miners.get(hotkey) ?? { hotkey, uid, total: 0, byBatch: ids.map(() => 0) }
    miner.byBatch[ids.indexOf(batchId)] = score
    miners.set(hotkey, { ...miner, uid, total: miner.total + score })
  }
  return [...miners.values()].filter(({ total }) => total > 0).sort((a, b) => b.total - a.total || a.uid - b.uid)
}

function settingJson(row: SettingRow): SettingJson {
  const sum = row.weights.reduce((all, weight) => all + weight, 0)
  const hotkeys = new Map(row.scores.map(({ uid, hotkey }) => [uid, hotkey]))
  const entries = row.uids.map((uid, i) => {
    const weight = row.weights[i] ?? 0
    return { uid, hotkey: hotkeys.get(uid) ?? null, weight, share: sum === 0 ? 0 : weight / sum }
  })
  const { id, state, basis, method, plannedAt, endedAt, block, refusal } = row
  return {
    ...{ id, state, basis, method, plannedAt: plannedAt.toISOString(), endedAt: endedAt?.toISOString() ?? null, block },
    refusal: refusal === null ? null : printable(refusal),
    entries: entries.sort((a, b) => b.weight - a.weight || a.uid - b.uid),
  }
}

function organicJobJson(row: OrganicRow): OrganicJobJson {
  const { uuid, userJob, source, minerHotkey, image, executorClass, state, reason, seconds, createdAt, cheatedAt } = row
  return {
    ...{ uuid, source, miner: minerHotkey, executorClass, state, reason, seconds },
    image: image === null ? null : printable(image),
    why: reason === null ? cheatedAt && 'Its user reported the result as wrong.' : REASONS[reason],
    createdAt: createdAt.toISOString(),
    retryOf: userJob === uuid ? null : userJob,
    cheatedAt: cheatedAt?.toISOString() ?? null,
  }
}
