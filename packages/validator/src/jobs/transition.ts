/**
 * Moves jobs from state to state. No other file of the validator writes a job's state. `advance` in
 * protocol/job-state decides which event leads to which state.
 *
 * Metrics count jobs by reading the rows, so that a job counts once, whichever process moved it.
 */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { advance, FIRST_STATE, isFinal, type JobEvent, type JobState, statesBefore } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import {
  EMPTY_RESULT,
  type JobChange,
  type JobResult,
  type NewJob,
  type StoredJob,
  saveChanges,
  storableResult,
} from '../db/jobs.ts'
import type { HostMoment } from '../db/json-columns.ts'
import { jobs } from '../db/schema.ts'

/** A job as the process that moves it knows it. */
export interface MovingJob {
  readonly uuid: string
  state: JobState
}

export interface Move {
  event: JobEvent
  at: Date
  /** Given with an event that ends the job. */
  result?: Omit<JobResult, 'state'>
  /** Given when the work was sent. */
  workSent?: HostMoment | undefined
}

export interface TransitionDeps {
  /** Saves a change of a row. Resolves with false when the row's state does not allow it. */
  save(change: JobChange): Promise<boolean>
  log: Log
}

/**
 * Moves a job: sets its state at once, saves the move, and logs it once it is saved.
 *
 * Resolves with false when the row was not changed, because another process has finalised the job: then drop the job,
 * and send no message. Rejects when the database does not come back.
 */
export async function transition(job: MovingJob, move: Move, { save, log }: TransitionDeps): Promise<boolean> {
  const from = job.state
  const to = advance(from, move.event)
  if (to === from) return true
  job.state = to
  const { at, event, result, workSent } = move
  const isSaved = await save({
    uuid: uuidKey(job.uuid),
    from: statesBefore(to, event),
    set: {
      state: to,
      ...momentOf(to, at),
      ...(workSent ? { workSent } : {}),
      ...(result ? storableResult(result) : {}),
    },
  })
  const { reason, seconds, score } = result ?? {}
  if (isSaved) log.info({ jobUuid: job.uuid, from, to, reason, seconds, score }, 'job moved')
  return isSaved
}

/**
 * Writes new jobs, in the first state. Returns them, and how many rows were added: a job whose uuid the table already
 * holds stays as it is.
 *
 * @param batchId null for an organic job
 */
export async function openJobs(
  db: Database,
  newJobs: readonly NewJob[],
  { batchId, at }: { batchId: number | null; at: Date },
): Promise<{ opened: StoredJob[]; added: number }> {
  const opened = newJobs.map(job => ({ ...BEFORE_OFFER, ...job, state: FIRST_STATE }))
  if (opened.length === 0) return { opened, added: 0 }
  const rows = newJobs.map(job => ({ ...job, batchId, state: FIRST_STATE, createdAt: at }))
  const added = await db.insert(jobs).values(rows).onConflictDoNothing().returning({ uuid: jobs.uuid })
  return { opened, added: added.length }
}

/** The result of a job that no process drives any more. */
export const ABANDONED = { ...EMPTY_RESULT, state: 'broken', reason: 'abandoned' } as const

/**
 * Ends open jobs that no process drives any more. They are excused: no miner caused it. Returns how many there were.
 */
export async function abandonJobs(db: Database, open: readonly MovingJob[], at: Date, log: Log): Promise<number> {
  const save = savingTogether(db)
  const { state: _, ...result } = ABANDONED
  const moved = await Promise.all(open.map(job => transition(job, { event: 'stopped', at, result }, { save, log })))
  return moved.filter(Boolean).length
}

const BEFORE_OFFER = {
  ...{
    executorClass: null,
    timeoutSeconds: null,
    challenge: null,
    request: null,
    source: null,
    deadline: null,
    userJob: null,
  },
  ...{ dialect: null, offeredAt: null, readyAt: null, workSent: null },
}

function momentOf(to: JobState, at: Date) {
  if (to === 'accepted') return { acceptedAt: at }
  if (to === 'ready') return { readyAt: at }
  if (to === 'running') return { runningAt: at }
  return isFinal(to) ? { endedAt: at } : {}
}

/** Saves with one statement all changes that are made in the same tick. */
function savingTogether(db: Database): TransitionDeps['save'] {
  const changes: JobChange[] = []
  let saved: Promise<Set<string>> | undefined
  return async change => {
    changes.push(change)
    saved ??= Promise.resolve().then(() => saveChanges(db, changes))
    return (await saved).has(change.uuid)
  }
}
