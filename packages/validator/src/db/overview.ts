/**
 * What the operator sees of the tables: the last batches, scores and settings, without texts from miners, and the
 * numbers for the metrics.
 */
import type { Database } from '@horde/kit/database'
import { FINAL_STATES, type JobState, OPEN_STATES } from '@horde/protocol/job-state'
import { and, asc, count, desc, eq, gt, gte, inArray, isNull, max, sql } from 'drizzle-orm'
import { batches, jobs, type SettingMethod, type SettingState, userJobs, weightSettings } from './schema.ts'

export type BatchRow = Pick<
  typeof batches.$inferSelect,
  'id' | 'benchmark' | 'scoring' | 'startedAt' | 'deadline' | 'closedAt' | 'counts' | 'scoredAt'
> & {
  jobs: Partial<Record<JobState, number>>
  rightAnswers: number
}

/** Returns the last batches of a subnet, the latest first. */
export async function lastBatches(db: Database, netuid: number, limit: number): Promise<BatchRow[]> {
  const { netuid: _, ...columns } = {
    ...{ id: batches.id, netuid: batches.netuid, benchmark: batches.benchmark, scoring: batches.scoring },
    ...{ startedAt: batches.startedAt, deadline: batches.deadline, closedAt: batches.closedAt },
    ...{ counts: batches.counts, scoredAt: batches.scoredAt },
  }
  const rows = await db
    .select(columns)
    .from(batches)
    .where(eq(batches.netuid, netuid))
    .orderBy(desc(batches.id))
    .limit(limit)
  const counted = await jobsOf(
    db,
    rows.map(({ id }) => id),
  )
  return rows.map(row => {
    const own = counted.filter(({ batchId }) => batchId === row.id)
    const byState = Object.fromEntries(own.map(each => [each.state, each.jobs]))
    return { ...row, jobs: byState, rightAnswers: own.reduce((sum, { right }) => sum + right, 0) }
  })
}

async function jobsOf(db: Database, batchIds: readonly number[]) {
  if (batchIds.length === 0) return []
  const right = sql<number>`count(*) filter (where ${jobs.rightAnswer})`.mapWith(Number)
  return db
    .select({ batchId: jobs.batchId, state: jobs.state, jobs: count(), right })
    .from(jobs)
    .where(inArray(jobs.batchId, [...batchIds]))
    .groupBy(jobs.batchId, jobs.state)
}

export type MinerScore = { batchId: number; hotkey: string; uid: number; score: number }

/** Returns the sum of each miner's scores in each of some batches. */
export async function minerScores(db: Database, batchIds: readonly number[]): Promise<MinerScore[]> {
  if (batchIds.length === 0) return []
  const rows = await db
    .select({
      ...{ batchId: jobs.batchId, hotkey: jobs.minerHotkey },
      uid: sql<number>`max(${jobs.minerUid})`.mapWith(Number),
      score: sql<number>`coalesce(sum(${jobs.score}), 0)::float8`.mapWith(Number),
    })
    .from(jobs)
    .where(inArray(jobs.batchId, [...batchIds]))
    .groupBy(jobs.batchId, jobs.minerHotkey)
    .orderBy(asc(jobs.batchId))
  return rows.map(row => ({ ...row, batchId: row.batchId ?? 0 }))
}

const SETTING = {
  ...{ id: weightSettings.id, state: weightSettings.state, basis: weightSettings.basis, method: weightSettings.method },
  ...{ uids: weightSettings.uids, weights: weightSettings.weights, scores: weightSettings.scores },
  ...{ plannedAt: weightSettings.plannedAt, endedAt: weightSettings.endedAt, block: weightSettings.block },
  ...{ commitBlock: weightSettings.commitBlock, refusal: weightSettings.refusal },
}

export type SettingRow = { [K in keyof typeof SETTING]: (typeof weightSettings.$inferSelect)[K] }

/** Returns the last settings of weights by a hotkey on a subnet, the latest first. */
export async function lastSettings(db: Database, netuid: number, hotkey: string, limit: number): Promise<SettingRow[]> {
  return db
    .select(SETTING)
    .from(weightSettings)
    .where(and(eq(weightSettings.netuid, netuid), eq(weightSettings.hotkey, hotkey)))
    .orderBy(desc(weightSettings.id))
    .limit(limit)
}

const ORGANIC = {
  ...{ uuid: jobs.uuid, source: jobs.source, minerHotkey: jobs.minerHotkey, image: jobs.image },
  ...{ executorClass: jobs.executorClass, state: jobs.state, reason: jobs.reason, seconds: jobs.seconds },
  ...{ userJob: jobs.userJob, createdAt: jobs.createdAt, endedAt: jobs.endedAt },
}

export type OrganicRow = { [K in keyof typeof ORGANIC]: (typeof jobs.$inferSelect)[K] } & {
  /** When its user reported the result as wrong. */
  cheatedAt: Date | null
}

/** Returns the last organic jobs, the latest first. */
export async function lastOrganicJobs(db: Database, limit: number): Promise<OrganicRow[]> {
  return db
    .select({ ...ORGANIC, cheatedAt: userJobs.cheatedAt })
    .from(jobs)
    .leftJoin(userJobs, and(eq(userJobs.uuid, jobs.userJob), eq(jobs.state, 'finished')))
    .where(isNull(jobs.batchId))
    .orderBy(desc(jobs.createdAt))
    .limit(limit)
}

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
