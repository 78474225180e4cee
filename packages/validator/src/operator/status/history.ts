import type { Database } from '@horde/kit/database'
import {
  type BatchRow,
  lastBatches,
  lastOrganicJobs,
  lastSettings,
  type MinerScore,
  minerScores,
} from '../../db/for-operator/overview.ts'
import type { History } from '../sources.ts'

/**
 * What the database remembers. Scores of closed batches are read once: they do not change any more, and to add up those of
 * a thousand jobs again and again would hold up whoever measures jobs meanwhile.
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
