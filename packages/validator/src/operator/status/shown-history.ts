/** What the database remembers, as /status.json says it and the pictures show it. Text of strangers is made fit. */
import { printable } from '@horde/kit/untrusted-text'
import type { JobState } from '@horde/protocol/job-state'
import { REASONS } from '@horde/protocol/reasons'
import type { BatchRow, MinerScore, OrganicRow, SettingRow } from '../../db/for-operator/overview.ts'
import type { History } from '../sources.ts'

/** How many of each are shown. */
const BATCHES = 24
const SETTINGS = 8
const ORGANIC_JOBS = 20
/** How many miners' scores are shown: those that scored most. */
const MINERS = 8

export type ShownBatch = {
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

/** One miner's scores by batch, in the order of `batches`: 0 where it had none. */
export type ShownScores = { hotkey: string; uid: number; total: number; byBatch: number[] }

export type ShownSetting = {
  id: number
  state: string
  basis: string
  method: string
  plannedAt: string
  endedAt: string | null
  block: number | null
  /** Why it was refused. */
  refusal: string | null
  /** `share`: of all weights, from 0 to 1. Most first. */
  entries: { uid: number; hotkey: string | null; weight: number; share: number }[]
}

export type ShownOrganicJob = {
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
}

/** The latest first; the batches of `scores.byBatch` as well. */
export type ShownHistory = {
  batches: ShownBatch[]
  scores: ShownScores[]
  /** How many more miners scored in these batches. */
  moreMiners: number
  settings: ShownSetting[]
  organicJobs: ShownOrganicJob[]
}

export async function readHistory(history: History): Promise<ShownHistory> {
  const batches = await history.batches(BATCHES)
  const ids = batches.map(({ id }) => id)
  const scores = scoresOf(await history.scores(batches), ids)
  return {
    batches: batches.map(shownBatch),
    scores: scores.slice(0, MINERS),
    moreMiners: Math.max(0, scores.length - MINERS),
    settings: (await history.settings(SETTINGS)).map(shownSetting),
    organicJobs: (await history.organicJobs(ORGANIC_JOBS)).map(shownOrganicJob),
  }
}

function shownBatch({ startedAt, deadline, closedAt, scoredAt, ...row }: BatchRow): ShownBatch {
  return {
    ...{ ...row, startedAt: startedAt.toISOString(), deadline: deadline.toISOString() },
    ...{ closedAt: closedAt?.toISOString() ?? null, scoredAt: scoredAt?.toISOString() ?? null },
  }
}

/** Most first. */
function scoresOf(rows: readonly MinerScore[], ids: readonly number[]): ShownScores[] {
  const miners = new Map<string, ShownScores>()
  for (const { batchId, hotkey, uid, score } of rows) {
    const miner = miners.get(hotkey) ?? { hotkey, uid, total: 0, byBatch: ids.map(() => 0) }
    miner.byBatch[ids.indexOf(batchId)] = score
    miners.set(hotkey, { ...miner, uid, total: miner.total + score })
  }
  return [...miners.values()].filter(({ total }) => total > 0).sort((a, b) => b.total - a.total || a.uid - b.uid)
}

function shownSetting(row: SettingRow): ShownSetting {
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

function shownOrganicJob(row: OrganicRow): ShownOrganicJob {
  const { uuid, source, minerHotkey, image, executorClass, state, reason, seconds, createdAt } = row
  return {
    ...{ uuid, source, miner: minerHotkey, executorClass, state, reason, seconds },
    image: image === null ? null : printable(image),
    why: reason === null ? null : REASONS[reason],
    createdAt: createdAt.toISOString(),
  }
}
