import type { Database } from '@horde/kit/database'
import {
  isFinal,
  type JobEvent,
  type JobState,
  OPEN_STATES,
  type OpenState,
  statesBefore,
} from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { shorten } from '@horde/protocol/shorten'
import { and, inArray, isNull, lt, or, sql } from 'drizzle-orm'
import { type HostMoment, jobs } from './schema.ts'

/** How much of each of a miner's texts is kept, in characters. */
export const MAX_KEPT_CHARACTERS = 10_000
/** How much of a complaint is kept, in characters. */
const MAX_COMPLAINT_CHARACTERS = 1_000
/** How long after its deadline nobody drives an organic job any more, in ms. */
const ORGANIC_OVERDUE_MS = 60_000
/** One more than the largest number of a Postgres integer. */
const INTEGER_END = 2 ** 31

export type NewJob = Pick<typeof jobs.$inferInsert, 'uuid' | 'minerHotkey' | 'minerUid' | 'minerAddress'> &
  Partial<
    Pick<typeof jobs.$inferInsert, 'executorClass' | 'timeoutSeconds' | 'challenge' | 'request' | 'source' | 'deadline'>
  >

/** What is known of a job once it has ended. Scores are null for organic jobs. */
export interface JobResult {
  reason: Reason | null
  /** From the work's handing to the kernel to the result's frame, in seconds. */
  seconds: number | null
  /** What the benchmark says of the answer, for people. */
  comment: string | null
  exitStatus: number | null
  stdout: string | null
  stderr: string | null
  score: number | null
  rightAnswer: boolean | null
}

/** The columns that a job's way fills, and their types in the database. */
const SAVED_COLUMNS = {
  state: 'text',
  reason: 'text',
  seconds: 'float8',
  score: 'float8',
  rightAnswer: 'boolean',
  comment: 'text',
  exitStatus: 'integer',
  stdout: 'text',
  stderr: 'text',
  complaint: 'text',
  executorClass: 'text',
  image: 'text',
  offeredAt: 'timestamptz',
  acceptedAt: 'timestamptz',
  readyAt: 'timestamptz',
  runningAt: 'timestamptz',
  workSent: 'jsonb',
  endedAt: 'timestamptz',
} as const

export type JobFields = Partial<Pick<typeof jobs.$inferInsert, keyof typeof SAVED_COLUMNS>>

export interface JobMove {
  event: JobEvent
  to: JobState
  at: Date
  /** Given with a final state. */
  result?: JobResult
  /** Given when the work was sent. */
  workSent?: HostMoment | undefined
}

/** Opens an organic job; false when its uuid is known already. */
export async function insertOrganicJob(db: Database, job: NewJob, at: Date): Promise<boolean> {
  const rows = await db
    .insert(jobs)
    .values({ ...job, state: 'offered', createdAt: at })
    .onConflictDoNothing()
    .returning({ uuid: jobs.uuid })
  return rows.length > 0
}

/** What becomes of a job: saved only while its state is one of `from`. What is undefined stays as it is. */
export interface JobChange {
  uuid: string
  from: readonly OpenState[]
  set: JobFields
}

/** A move of the state machine, as a change. */
export function changeOf(uuid: string, move: JobMove): JobChange {
  const { workSent } = move
  const moments = { ...momentOf(move), ...(workSent ? { workSent } : {}) }
  const set = { state: move.to, ...moments, ...(move.result ? kept(move.result) : {}) }
  return { uuid, from: statesBefore(move.to, move.event), set }
}

/** What is noted of a job that does not move by it. */
export function noteOf(uuid: string, fields: Omit<JobFields, 'state'>): JobChange {
  const { image, complaint, ...rest } = fields
  return {
    ...{ uuid, from: OPEN_STATES },
    set: { ...rest, ...keptUnder('image', image), ...keptUnder('complaint', complaint, MAX_COMPLAINT_CHARACTERS) },
  }
}

/**
 * Saves changes of many jobs, at most one of each, by one statement. Gives the uuids of the jobs that allowed theirs.
 *
 * @param isRepeat whether they were said before, and nobody heard whether they were saved: then they may be there already
 */
export async function saveChanges(db: Database, changes: readonly JobChange[], isRepeat = false): Promise<Set<string>> {
  const rows = changes.map(({ uuid, from, set }) => ({ uuid, allowed: from, ...set }))
  const columns = Object.entries(SAVED_COLUMNS)
  const types = sql.raw(columns.map(([name, type]) => `"${name}" ${type}`).join(', '))
  const sets = sql.raw(
    columns.map(([name]) => `${columnOf(name)} = coalesce(said."${name}", jobs.${columnOf(name)})`).join(', '),
  )
  const saved = await db.execute<{ uuid: string }>(sql`
    update jobs set ${sets}
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as said(uuid uuid, allowed text[], ${types})
    where jobs.uuid = said.uuid and (
      jobs.state = any(said.allowed)
      or (${isRepeat}::boolean and jobs.state = said.state and jobs.ended_at is not distinct from said."endedAt")
    )
    returning jobs.uuid`)
  return new Set(saved.rows.map(({ uuid }) => uuid))
}

/**
 * Ends the open jobs of some batches, which nobody drives any more. They are excused: that was no miner's fault. Returns
 * how many there were.
 */
export async function abandonJobs(db: Database, batchIds: readonly number[], at: Date): Promise<number> {
  if (batchIds.length === 0) return 0
  const rows = await db
    .update(jobs)
    .set({ state: 'broken', reason: 'abandoned', endedAt: at })
    .where(and(inArray(jobs.state, [...OPEN_STATES]), inArray(jobs.batchId, [...batchIds])))
    .returning({ uuid: jobs.uuid })
  return rows.length
}

/** Ends the organic jobs that nobody drives any more: long past their deadline, or, without one, opened before a moment. Returns how many. */
export async function abandonOrganicJobs(db: Database, createdBefore: Date, at: Date): Promise<number> {
  const isOverdue = lt(jobs.deadline, new Date(at.getTime() - ORGANIC_OVERDUE_MS))
  const isOld = and(isNull(jobs.deadline), lt(jobs.createdAt, createdBefore))
  const rows = await db
    .update(jobs)
    .set({ state: 'broken', reason: 'abandoned', endedAt: at })
    .where(and(inArray(jobs.state, [...OPEN_STATES]), isNull(jobs.batchId), or(isOverdue, isOld)))
    .returning({ uuid: jobs.uuid })
  return rows.length
}

function momentOf({ to, at }: JobMove) {
  if (to === 'accepted') return { acceptedAt: at }
  if (to === 'ready') return { readyAt: at }
  if (to === 'running') return { runningAt: at }
  return isFinal(to) ? { endedAt: at } : {}
}

/** What a miner says need not fit its columns. */
function kept(result: JobResult): JobResult {
  const { exitStatus } = result
  return {
    ...result,
    exitStatus: exitStatus !== null && Math.abs(exitStatus) < INTEGER_END ? exitStatus : null,
    comment: keptText(result.comment),
    stdout: keptText(result.stdout),
    stderr: keptText(result.stderr),
  }
}

function keptUnder<Name extends string>(name: Name, text: string | null | undefined, maxCharacters?: number) {
  return text === undefined ? {} : { [name]: keptText(text, maxCharacters) }
}

/** Postgres stores no NUL, and no half of a surrogate pair. */
function keptText(text: string | null, maxCharacters = MAX_KEPT_CHARACTERS): string | null {
  return text === null ? null : shorten(text.replaceAll('\0', '\ufffd'), maxCharacters).toWellFormed()
}

function columnOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)
}
