import type { Database } from '@horde/kit/database'
import {
  type BatchRow,
  lastBatches,
  lastOrganicJobs,
  lastSettings,
  type MinerScore,
  minerScores,
  type OrganicRow,
  type SettingRow,
} from '../../db/overview.ts'

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
