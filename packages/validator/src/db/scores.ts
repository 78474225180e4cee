/** Queries for the scores of miners, and for the last weight setting. */
import type { Database } from '@horde/kit/database'
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { and, asc, desc, eq, gt, gte, inArray, isNotNull, isNull, lte, ne, notExists, sql } from 'drizzle-orm'
import { alias } from 'drizzle-orm/pg-core'
import type { ScoredNeuron, ScoreExplanation, ScoringName } from './json-columns.ts'
import { batches, jobs, userJobs, weightSettings } from './schema.ts'

/** A miner without a manifest has executors of the default class. */
const executorClass = sql<string>`coalesce(${jobs.executorClass}, ${sql.raw(`'${DEFAULT_CLASS}'`)})`
const number = (expression: ReturnType<typeof sql>) => sql<number>`${expression}`.mapWith(Number)

/** A miner's jobs in one class, added up. */
export interface ClassTotals {
  hotkey: string
  executorClass: string
  /** Number of batches with these jobs. */
  batches: number
  jobs: number
  /** How many of the jobs have no score because of the validator's own fault. */
  excused: number
  /** Sum of the scores. */
  sum: number
  /** The miner's averages in this class. Needed only if jobs were excused. */
  averages?: ClassAverages | undefined
}

/** A miner's averages in one class over the window, including batches that were scored before. */
export interface ClassAverages {
  /** Mean score of its measured jobs. */
  mean: number
  /** Mean number of measured jobs, over the batches with at least one. */
  jobsPerBatch: number
}

/** The work that users requested of one class within the window. */
export interface RequestedWork {
  /** Time from ready to end of all jobs that had a ready executor, in seconds. */
  executorSeconds: number
  /** Number of those jobs. */
  ran: number
  /** Number of jobs that ended without a ready executor. */
  turnedAway: number
}

export interface UnscoredBatch {
  id: number
  scoring: ScoringName
  startedAt: Date
}

/** Returns a subnet's closed batches that count and are not scored yet, oldest first. */
export function batchesToScore(db: Database, netuid: number): Promise<UnscoredBatch[]> {
  return db
    .select({ id: batches.id, scoring: batches.scoring, startedAt: batches.startedAt })
    .from(batches)
    .where(
      and(eq(batches.netuid, netuid), eq(batches.counts, true), isNotNull(batches.closedAt), isNull(batches.scoredAt)),
    )
    .orderBy(asc(batches.id))
}

/** Adds up the jobs of these batches by miner and class. A job that ended without a score is excused. */
export async function classTotalsOf(db: Database, batchIds: readonly number[]): Promise<ClassTotals[]> {
  if (batchIds.length === 0) return []
  return db
    .select({
      hotkey: jobs.minerHotkey,
      executorClass,
      batches: number(sql`count(distinct ${jobs.batchId})`),
      jobs: number(sql`count(*)`),
      excused: number(sql`count(*) - count(${jobs.score})`),
      sum: number(sql`coalesce(sum(${jobs.score}), 0)::float8`),
    })
    .from(jobs)
    .where(inArray(jobs.batchId, [...batchIds]))
    .groupBy(jobs.minerHotkey, executorClass)
    .orderBy(asc(jobs.minerHotkey), asc(executorClass))
}

/**
 * Returns averages by miner and class: of the measured jobs in closed batches since a time, including scored batches.
 */
export function averageScores(db: Database, netuid: number, scoring: ScoringName, since: Date) {
  return db
    .select({
      hotkey: jobs.minerHotkey,
      executorClass,
      mean: number(sql`avg(${jobs.score})::float8`),
      jobsPerBatch: number(sql`(count(*)::float8 / count(distinct ${jobs.batchId}))`),
    })
    .from(jobs)
    .innerJoin(batches, eq(batches.id, jobs.batchId))
    .where(
      and(
        ...[eq(batches.netuid, netuid), eq(batches.scoring, scoring), eq(batches.counts, true)],
        ...[isNotNull(batches.closedAt), gte(batches.startedAt, since), isNotNull(jobs.score)],
      ),
    )
    .groupBy(jobs.minerHotkey, executorClass)
}

/**
 * Returns the work that users requested of each class, by the organic jobs that ended between two times. Only jobs from
 * a facilitator count, not the operator's own commands. A job that was tried on several miners counts once, and one for
 * which there was no miner was turned away.
 */
export async function requestedWork(db: Database, from: Date, to: Date): Promise<Map<string, RequestedWork>> {
  const ran = sql`${jobs.readyAt} is not null`
  const seconds = sql`extract(epoch from ${jobs.endedAt} - ${jobs.readyAt})`
  const later = alias(jobs, 'later')
  const nextTry = db
    .select({ uuid: later.uuid })
    .from(later)
    .where(and(eq(later.userJob, jobs.userJob), gt(later.createdAt, jobs.createdAt)))
  const isFromUser = and(isNull(jobs.batchId), eq(jobs.source, 'facilitator'), notExists(nextTry))
  const rows = await db
    .select({
      executorClass,
      executorSeconds: number(sql`coalesce(sum(greatest(0, ${seconds})) filter (where ${ran}), 0)::float8`),
      ran: number(sql`count(*) filter (where ${ran})`),
      turnedAway: number(sql`count(*) filter (where ${jobs.readyAt} is null)`),
    })
    .from(jobs)
    .where(and(isFromUser, gte(jobs.endedAt, from), lte(jobs.endedAt, to)))
    .groupBy(executorClass)
  const requested = new Map(rows.map(({ executorClass: name, ...work }) => [name, work]))
  for (const { name, turnedAway } of await refusedJobs(db, from, to)) {
    const work = requested.get(name) ?? { executorSeconds: 0, ran: 0, turnedAway: 0 }
    requested.set(name, { ...work, turnedAway: work.turnedAway + turnedAway })
  }
  return requested
}

/** The jobs of v2026 for which there was no miner. */
function refusedJobs(db: Database, from: Date, to: Date) {
  const name = sql<string>`${userJobs.request}::json ->> 'executor_class'`
  return db
    .select({ name, turnedAway: number(sql`count(*)`) })
    .from(userJobs)
    .where(and(isNotNull(userJobs.refusal), gte(userJobs.endedAt, from), lte(userJobs.endedAt, to)))
    .groupBy(name)
}

export interface SettingScores {
  id: number
  scores: ScoredNeuron[]
  /** Null for a setting that an earlier release stored. */
  explanation: ScoreExplanation | null
}

/** Returns the scores of the last weights that a hotkey set or committed. */
export async function lastSettingScores(
  db: Database,
  netuid: number,
  hotkey: string,
): Promise<SettingScores | undefined> {
  const { id, scores, explanation } = weightSettings
  const [row] = await db
    .select({ id, scores, explanation })
    .from(weightSettings)
    .where(
      and(
        eq(weightSettings.netuid, netuid),
        eq(weightSettings.hotkey, hotkey),
        inArray(weightSettings.state, ['included', 'committed']),
      ),
    )
    .orderBy(desc(id))
    .limit(1)
  return row
}

/** Returns the newest setting of a hotkey that was not refused. */
export async function newestSetting(db: Database, netuid: number, hotkey: string) {
  const [row] = await db
    .select()
    .from(weightSettings)
    .where(
      and(eq(weightSettings.netuid, netuid), eq(weightSettings.hotkey, hotkey), ne(weightSettings.state, 'refused')),
    )
    .orderBy(desc(weightSettings.id))
    .limit(1)
  return row
}

/** Returns a miner's jobs in some batches, in their order. The class is null where the miner sent no manifest. */
export function minersJobs(db: Database, batchIds: readonly number[], hotkey: string) {
  const { batchId, uuid, executorClass, state, reason, seconds, score, comment } = jobs
  return db
    .select({ batchId, benchmark: batches.benchmark, uuid, executorClass, state, reason, seconds, score, comment })
    .from(jobs)
    .innerJoin(batches, eq(batches.id, jobs.batchId))
    .where(and(inArray(jobs.batchId, [...batchIds]), eq(jobs.minerHotkey, hotkey)))
    .orderBy(asc(batchId), asc(executorClass), asc(uuid))
}
