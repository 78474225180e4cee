/** Reads the numbers for the metrics: what the tables hold now, and the jobs that ended since the last reading. */
import type { Database } from '@horde/kit/database'
import { FINAL_STATES, type JobState, OPEN_STATES } from '@horde/protocol/job-state'
import { and, asc, count, eq, gt, gte, inArray, max, sql } from 'drizzle-orm'
import { batches, jobs, type SettingMethod, type SettingState, weightSettings } from '../schema.ts'

export type JobKind = 'synthetic' | 'organic'

export type Figures = {
  openJobs: { kind: JobKind; state: JobState; jobs: number }[]
  /** open: not closed yet. unscored: closed and not scored yet. scored. void: never scored. */
  batches: { state: 'open' | 'unscored' | 'scored' | 'void'; batches: number }[]
  /** When the last one started. */
  lastBatchAt: Date | null
  settings: { state: SettingState; method: SettingMethod; settings: number }[]
  /** The block that includes the last weights. */
  weightsBlock: number | null
}

const kind = sql<JobKind>`case when ${jobs.batchId} is null then 'organic' else 'synthetic' end`

export async function readFigures(db: Database, netuid: number, hotkey: string): Promise<Figures> {
  const batchState = sql<Figures['batches'][number]['state']>`case
    when ${batches.closedAt} is null then 'open' when not ${batches.counts} then 'void'
    when ${batches.scoredAt} is null then 'unscored' else 'scored' end`
  const own = and(eq(weightSettings.netuid, netuid), eq(weightSettings.hotkey, hotkey))
  const { state, method } = weightSettings
  // One query after the other: PGlite has one connection, and a pool's connections are for jobs.
  const openJobs = await db
    .select({ kind: sql<JobKind>`${kind} as kind`, state: jobs.state, jobs: count() })
    .from(jobs)
    .where(inArray(jobs.state, [...OPEN_STATES]))
    .groupBy(sql`kind`, jobs.state)
  const byState = await db
    .select({ state: sql<Figures['batches'][number]['state']>`${batchState} as batch_state`, batches: count() })
    .from(batches)
    .where(eq(batches.netuid, netuid))
    .groupBy(sql`batch_state`)
  const [last] = await db
    .select({ startedAt: max(batches.startedAt) })
    .from(batches)
    .where(eq(batches.netuid, netuid))
  const settings = await db
    .select({ state, method, settings: count() })
    .from(weightSettings)
    .where(own)
    .groupBy(state, method)
  const [included] = await db
    .select({ block: max(weightSettings.block) })
    .from(weightSettings)
    .where(and(own, eq(state, 'included')))
  const weightsBlock = included?.block ?? null
  return { openJobs, batches: byState, lastBatchAt: last?.startedAt ?? null, settings, weightsBlock }
}

const ENDED = {
  ...{ uuid: jobs.uuid, kind, executorClass: jobs.executorClass, state: jobs.state, reason: jobs.reason },
  ...{ seconds: jobs.seconds, readyAt: jobs.readyAt, runningAt: jobs.runningAt, endedAt: jobs.endedAt },
}

export type EndedJob = Pick<typeof jobs.$inferSelect, Exclude<keyof typeof ENDED, 'kind'>> & { kind: JobKind }

/**
 * Returns the jobs that ended after a moment, the earliest first.
 *
 * @param createdAfter no job that ended then was created before this
 */
export async function jobsEndedAfter(
  db: Database,
  { endedAfter, createdAfter }: { endedAfter: Date; createdAfter: Date },
  limit: number,
): Promise<EndedJob[]> {
  return db
    .select(ENDED)
    .from(jobs)
    .where(and(gte(jobs.createdAt, createdAfter), gt(jobs.endedAt, endedAfter), inArray(jobs.state, [...FINAL_STATES])))
    .orderBy(asc(jobs.endedAt), asc(jobs.uuid))
    .limit(limit)
}
