/**
 * Reads and saves jobs, and the receipts of jobs. Which state a job is in is decided by jobs/transition.ts alone.
 */
import type { Database } from '@horde/kit/database'
import type { JobReport } from '@horde/protocol/job/messages'
import type { JobStage } from '@horde/protocol/job/report'
import { type FinalState, OPEN_STATES, type OpenState } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import type { Reason } from '@horde/protocol/reasons'
import { shorten } from '@horde/protocol/shorten'
import { and, asc, eq, gte, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import { type JobSource, jobs, receipts } from './schema.ts'

/** How much of each text from a miner is stored, in characters. */
const MAX_TEXT_CHARACTERS = 10_000
/** How much of a miner's error message is stored, in characters. */
const MAX_COMPLAINT_CHARACTERS = 1_000
/** An organic job this long past its deadline has no process that drives it, in ms. */
const ORGANIC_OVERDUE_MS = 60_000
/** One more than the largest Postgres integer. */
const INTEGER_END = 2 ** 31

type Row = typeof jobs.$inferSelect

/** The columns that are known before a job is offered. */
export type NewJob = Pick<Row, 'uuid' | 'minerHotkey' | 'minerUid' | 'minerAddress'> &
  Partial<Pick<Row, 'executorClass' | 'timeoutSeconds' | 'challenge' | 'request' | 'source' | 'deadline' | 'userJob'>>

/** What driving a job starts from: the same for a new job and for one that an earlier process left open. */
export type StoredJob = Required<NewJob> & Pick<Row, 'state' | 'dialect' | 'offeredAt' | 'readyAt' | 'workSent'>

/** How a job ended. `score` and `rightAnswer` are null for organic jobs. */
export interface JobResult {
  state: FinalState
  reason: Reason | null
  /** From the moment the kernel took the work to the arrival of the result's frame, in seconds. */
  seconds: number | null
  /** What the benchmark says about the answer, for people. */
  comment: string | null
  /** In which stage it ended badly, where that is known. */
  stage: JobStage | null
  /** Why it ended badly, in the miner's words, for people. */
  message: string | null
  exitStatus: number | null
  stdout: string | null
  stderr: string | null
  score: number | null
  rightAnswer: boolean | null
  /** The miner's last report, whole, of a job that keeps it. */
  report: JobReport | null
}

/** The result of a job that reported nothing. */
export const EMPTY_RESULT: Omit<JobResult, 'state'> = {
  ...{ reason: null, seconds: null, comment: null, exitStatus: null, stdout: null, stderr: null },
  ...{ stage: null, message: null, score: null, rightAnswer: null, report: null },
}

/** The columns that change while a job runs, and their types in the database. */
const SAVED_COLUMNS = {
  state: 'text',
  reason: 'text',
  seconds: 'float8',
  score: 'float8',
  rightAnswer: 'boolean',
  comment: 'text',
  stage: 'text',
  message: 'text',
  exitStatus: 'integer',
  stdout: 'text',
  stderr: 'text',
  complaint: 'text',
  executorClass: 'text',
  image: 'text',
  dialect: 'text',
  offeredAt: 'timestamptz',
  acceptedAt: 'timestamptz',
  readyAt: 'timestamptz',
  runningAt: 'timestamptz',
  workSent: 'jsonb',
  endedAt: 'timestamptz',
} as const

export type JobFields = Partial<Pick<typeof jobs.$inferInsert, keyof typeof SAVED_COLUMNS | 'report'>>

/**
 * A change of one row, saved only while the row's state is one of `from`. Null and undefined fields stay as they are.
 */
export interface JobChange {
  uuid: string
  from: readonly OpenState[]
  set: JobFields
}

/** Returns a change of an open job that leaves its state alone. */
export function noteOf(uuid: string, fields: Omit<JobFields, 'state'>): JobChange {
  const { image, complaint, ...rest } = fields
  return {
    ...{ uuid: uuidKey(uuid), from: OPEN_STATES },
    set: {
      ...rest,
      ...(image === undefined ? {} : { image: storableText(image) }),
      ...(complaint === undefined ? {} : { complaint: storableText(complaint, MAX_COMPLAINT_CHARACTERS) }),
    },
  }
}

/**
 * Saves changes of many jobs, at most one of each, with one statement. Returns the uuids of the jobs whose guard held.
 *
 * @param isRepeat whether an earlier try may have saved them without our hearing of it: rows that already hold the
 *   change then count as saved
 */
export async function saveChanges(db: Database, changes: readonly JobChange[], isRepeat = false): Promise<Set<string>> {
  const rows = changes.map(({ uuid, from, set: { report: _, ...set } }) => ({ uuid, allowed: from, ...set }))
  const columns = Object.entries(SAVED_COLUMNS)
  const types = sql.raw(columns.map(([name, type]) => `"${name}" ${type}`).join(', '))
  const sets = sql.raw(
    columns.map(([name]) => `${columnOf(name)} = coalesce(change."${name}", jobs.${columnOf(name)})`).join(', '),
  )
  const saved = await db.execute<{ uuid: string }>(sql`
    update jobs set ${reportIn(changes)}${sets}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as change(uuid uuid, allowed text[], ${types})
    where jobs.uuid = change.uuid and (
      jobs.state = any(change.allowed)
      or (${isRepeat}::boolean and jobs.state = change.state and jobs.ended_at is not distinct from change."endedAt")
    )
    returning jobs.uuid`)
  return new Set(saved.rows.map(({ uuid }) => uuid))
}

/** Sets the reports in changes. Each is a parameter of its own: within JSON a long one would stop PGlite for seconds. */
function reportIn(changes: readonly JobChange[]) {
  const reports = changes.flatMap(({ uuid, set: { report } }) =>
    report == null ? [] : [sql`when ${uuid}::uuid then ${report}::text`],
  )
  if (reports.length === 0) return sql``
  return sql`report = case jobs.uuid ${sql.join(reports, sql` `)} else jobs.report end, `
}

/** What moving a job needs to know of its row. */
const MOVING = { uuid: jobs.uuid, state: jobs.state }

/** The open jobs of some batches. */
export async function openJobsOf(db: Database, batchIds: readonly number[]) {
  if (batchIds.length === 0) return []
  return db
    .select(MOVING)
    .from(jobs)
    .where(and(inArray(jobs.state, [...OPEN_STATES]), inArray(jobs.batchId, [...batchIds])))
}

/**
 * The open organic jobs that no process drives any more: past their deadline, or, without one, created before a moment.
 */
export async function overdueOrganicJobs(db: Database, createdBefore: Date, now: Date) {
  const isOverdue = lt(jobs.deadline, new Date(now.getTime() - ORGANIC_OVERDUE_MS))
  const isOld = and(isNull(jobs.deadline), lt(jobs.createdAt, createdBefore))
  return db
    .select(MOVING)
    .from(jobs)
    .where(and(inArray(jobs.state, [...OPEN_STATES]), isNull(jobs.batchId), or(isOverdue, isOld)))
}

/** Returns the organic job with this uuid, if there is one. */
export async function findJob(db: Database, uuid: string): Promise<Row | undefined> {
  const [row] = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.uuid, uuidKey(uuid)), isNull(jobs.batchId)))
  return row
}

/** The organic jobs of a source, without those of users' jobs of v2026, that are open, or ended after a moment and were not reported. Oldest first. */
export async function unreportedJobs(db: Database, source: JobSource, endedSince: Date): Promise<Row[]> {
  const isOpen = inArray(jobs.state, [...OPEN_STATES])
  const isUnreported = and(isNull(jobs.toldAt), gte(jobs.endedAt, endedSince))
  return db
    .select()
    .from(jobs)
    .where(and(isNull(jobs.batchId), isNull(jobs.userJob), eq(jobs.source, source), or(isOpen, isUnreported)))
    .orderBy(asc(jobs.createdAt))
}

/** Notes that the result of an organic job was reported. */
export async function markReported(db: Database, uuid: string, at: Date): Promise<void> {
  await db
    .update(jobs)
    .set({ toldAt: at })
    .where(and(eq(jobs.uuid, uuidKey(uuid)), isNull(jobs.batchId), isNull(jobs.userJob), isNull(jobs.toldAt)))
}

/** Returns a result's fields as their columns can hold them: numbers and texts that a miner sent may not fit. */
export function storableResult(result: Omit<JobResult, 'state'>) {
  const { exitStatus, report } = result
  return {
    ...result,
    exitStatus: exitStatus !== null && Math.abs(exitStatus) < INTEGER_END ? exitStatus : null,
    comment: storableText(result.comment),
    message: storableText(result.message, MAX_COMPLAINT_CHARACTERS),
    stdout: storableText(result.stdout),
    stderr: storableText(result.stderr),
    // The receipts behind a decline are of other jobs.
    report: report && JSON.stringify(report.type === 'decline' ? { ...report, receipts: [] } : report),
  }
}

/** Postgres stores no NUL, and no half of a surrogate pair. */
function storableText(text: string | null, maxCharacters = MAX_TEXT_CHARACTERS): string | null {
  return text === null ? null : shorten(text.replaceAll('\0', '\ufffd'), maxCharacters).toWellFormed()
}

/**
 * Returns a result with no more of its texts than the database keeps. A batch ends long after most of its jobs, and the
 * full output of thousands of jobs would fill the memory.
 */
export function withShortTexts(result: JobResult): JobResult {
  return { ...result, stdout: shortCopy(result.stdout), stderr: shortCopy(result.stderr) }
}

/** Copies the text: a slice of a long string would keep the whole string in memory. */
function shortCopy(text: string | null): string | null {
  return text === null ? null : Buffer.from(shorten(text, MAX_TEXT_CHARACTERS)).toString()
}

function columnOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}

/** A receipt that this validator has signed and sent to a miner. */
export interface SignedReceipt {
  jobUuid: string
  /** JobStartedReceipt, JobAcceptedReceipt or JobFinishedReceipt. */
  type: string
  payload: object
  signature: string
}

/** Adds receipts. Of each type a job has one: the first stays. */
export async function addReceipts(
  db: Database,
  added: readonly (SignedReceipt & { createdAt: Date })[],
): Promise<void> {
  const rows = added.map(receipt => ({ ...receipt, jobUuid: uuidKey(receipt.jobUuid) }))
  if (rows.length > 0) await db.insert(receipts).values(rows).onConflictDoNothing()
}
