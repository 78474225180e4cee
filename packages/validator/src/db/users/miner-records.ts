/** What this validator's jobs say of each miner: what it is busy with, and how its jobs ended lately. */
import type { Database } from '@horde/kit/database'
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { OPEN_STATES } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { and, count, eq, gte, inArray, sql } from 'drizzle-orm'
import { jobs, userJobs } from '../schema.ts'

/**
 * The ends that count against a miner: it declined although it seemed to have a free executor, or it or its executor
 * could not run the job. Time-outs and lost connections do not count, since this validator may have caused them.
 */
const INCIDENTS: readonly Reason[] = [
  ...(['declined', 'no-free-executor', 'no-executor', 'executor-not-started', 'executor-exited'] as const),
  ...(['executor-lost', 'prepare-failed', 'horde-failed', 'out-of-order'] as const),
]
/** A result that its user reported as wrong counts as so many incidents. */
const CHEAT_INCIDENTS = 10

/** By hotkey, how many jobs of a class each miner has open for this validator. */
export async function openJobsByMiner(db: Database, executorClass: string): Promise<Map<string, number>> {
  const rows = await db
    .select({ hotkey: jobs.minerHotkey, open: count() })
    .from(jobs)
    .where(
      and(
        inArray(jobs.state, [...OPEN_STATES]),
        sql`coalesce(${jobs.executorClass}, ${DEFAULT_CLASS}) = ${executorClass}`,
      ),
    )
    .groupBy(jobs.minerHotkey)
  return new Map(rows.map(({ hotkey, open }) => [hotkey, open]))
}

/** By hotkey, how many incidents each miner had since a moment. */
export async function incidentsByMiner(db: Database, since: Date): Promise<Map<string, number>> {
  const ends = await db
    .select({ hotkey: jobs.minerHotkey, incidents: count() })
    .from(jobs)
    .where(and(gte(jobs.createdAt, since), inArray(jobs.reason, [...INCIDENTS])))
    .groupBy(jobs.minerHotkey)
  const cheats = await db
    .select({ hotkey: jobs.minerHotkey, incidents: count() })
    .from(userJobs)
    .innerJoin(jobs, and(eq(jobs.userJob, userJobs.uuid), eq(jobs.state, 'finished')))
    .where(gte(userJobs.cheatedAt, since))
    .groupBy(jobs.minerHotkey)
  const all = new Map(ends.map(({ hotkey, incidents }) => [hotkey, incidents]))
  for (const { hotkey, incidents } of cheats) {
    all.set(hotkey, (all.get(hotkey) ?? 0) + CHEAT_INCIDENTS * incidents)
  }
  return all
}
