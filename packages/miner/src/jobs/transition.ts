/**
 * The only place where a job gets its state. A transition advances the state (see protocol/job-state.ts), writes it
 * with a guarded update, counts it, logs it, and returns the report that the validator must be sent.
 *
 * When the update changes no row, another process has moved the job: this process drops it and sends no message.
 */
import { type Database, inTransaction } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { JobReport } from '@horde/protocol/job/messages'
import type { JobWork } from '@horde/protocol/job/request'
import {
  advance,
  FIRST_STATE,
  isFinal,
  isInOrder,
  JOB_MESSAGES,
  type JobEvent,
  type JobMessage,
  type JobState,
} from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import { insertJob, type JobUpdate, type NewJob, storedWork, updateJob } from '../db/jobs.ts'
import { insertReceipt } from '../db/receipts.ts'
import type { JobResult, JobRow, StoredOffer } from '../db/schema.ts'
import type { JobCounters } from '../operator/metrics/job-counters.ts'
import { reportAbout } from './validator-message.ts'

/** How long the miner waits before it tries again to save a transition, in milliseconds: the database may be away. */
const SAVE_AGAIN_MS = 1_000

/** A job as it is stored. Only this file replaces its row. */
export class StoredJob {
  row: JobRow
  /** The state in the database. It is behind `row` only in a miner that stops while its database is away. */
  savedState: JobState
  /** Another process has moved the job: this one stops driving it and sends no message. */
  isDropped = false

  constructor(row: JobRow) {
    this.row = row
    this.savedState = row.state
  }

  get id(): number {
    return this.row.id
  }

  get validator(): string {
    return this.row.validator
  }

  get uuid(): string {
    return this.row.uuid
  }

  get executorClass(): string {
    return this.row.executorClass
  }

  get state(): JobState {
    return this.row.state
  }

  get reason(): Reason | undefined {
    return this.row.reason ?? undefined
  }

  /** Whether the database does not have the state of this job, and never will from this process. */
  get isUnsaved(): boolean {
    return !this.isDropped && this.savedState !== this.state
  }

  /** When the job came into its state, in ms since the epoch. An accepted job has the time of its offer. */
  get movedAt(): number {
    const { endedAt, startedAt, readyAt, offeredAt } = this.row
    return (endedAt ?? startedAt ?? readyAt ?? offeredAt).getTime()
  }
}

export type TransitionDeps = { db: Database; counters: Pick<JobCounters, 'moved' | 'declined'>; clock: Clock; log: Log }

export type Change = {
  reason?: Reason | undefined
  /** Kept for a job that finished or failed. */
  result?: JobResult | undefined
  /** The work of a job that begins to run, stored while it runs. */
  work?: JobWork | undefined
}

export type Transition =
  /** `report`: what the validator must be sent, if anything. */
  | { outcome: 'moved'; report: JobReport | undefined }
  /** The job has ended, or the event is a repeated message. */
  | { outcome: 'unchanged' }
  /** Another process has moved the job. */
  | { outcome: 'dropped' }

/**
 * Moves a job by an event.
 *
 * @param retryUntil with it, a failing database is asked again until the signal aborts: a result must not be lost
 * because Postgres restarts. A miner that stops tries once and moves the job in memory: the next start ends what is
 * stored as open.
 * @throws what the database fails with, without `retryUntil`
 */
export async function transition(
  job: StoredJob,
  event: JobEvent,
  change: Change,
  deps: TransitionDeps,
  retryUntil?: AbortSignal,
): Promise<Transition> {
  const from = job.state
  const to = advance(from, event)
  if (to === from) return { outcome: 'unchanged' }
  const reason = isMessage(event) && !isInOrder(from, event) ? 'out-of-order' : change.reason
  const update = updateTo(to, { ...change, reason }, new Date(deps.clock.now()))
  const fields = { jobUuid: job.uuid, validator: job.validator, from, to, ...(reason && { reason }) }
  const saved = await save(job, update, deps, retryUntil)
  if (saved === 'moved elsewhere') {
    job.isDropped = true
    deps.log.warn(fields, 'job dropped: another process has moved it')
    return { outcome: 'dropped' }
  }
  job.row = { ...job.row, ...update }
  if (saved === 'saved') job.savedState = to
  deps.log[reason === 'abandoned' ? 'warn' : 'info'](fields, 'job moved')
  deps.counters.moved(job, from)
  return { outcome: 'moved', report: reportAbout(job.row) }
}

/** A job as its validator offered it. */
export type OfferedJob = Omit<NewJob, 'executorToken' | 'place' | 'state' | 'reason'>

/**
 * Stores an offer with its slot, as a job in the first state, and its receipt: both or neither, since an offer that was
 * not answered is made again. The row that it returns has the names as offered; the database has long ones cut.
 * Undefined when another process has stored the same job.
 */
export async function storeOffer(
  offered: OfferedJob,
  slot: Pick<NewJob, 'executorToken' | 'place'>,
  { db, clock }: Pick<TransitionDeps, 'db' | 'clock'>,
): Promise<JobRow | undefined> {
  const at = new Date(clock.now())
  const job = { ...offered, ...slot, state: FIRST_STATE }
  const { offer } = offered
  const row = offer
    ? await inTransaction(db, tx => insertWithReceipt(tx, job, offer, at))
    : await insertJob(db, job, at)
  return row && { ...row, ...offered }
}

async function insertWithReceipt(
  tx: Database,
  job: NewJob,
  { receipt }: StoredOffer,
  at: Date,
): Promise<JobRow | undefined> {
  const row = await insertJob(tx, job, at)
  if (row) await insertReceipt(tx, receipt, at)
  return row
}

/** Stores an offer as declined, so that it stays declined. */
export async function storeDeclined(offered: OfferedJob, reason: Reason, deps: TransitionDeps): Promise<Transition> {
  const { db, counters, clock, log } = deps
  const to = advance(FIRST_STATE, 'decline')
  const declined = { ...offered, offer: null, executorToken: '', place: null, state: to, reason }
  const row = await insertJob(db, declined, new Date(clock.now()))
  const fields = { jobUuid: offered.uuid, validator: offered.validator, from: FIRST_STATE, to, reason }
  if (!row) {
    log.warn(fields, 'job dropped: another process has moved it')
    return { outcome: 'dropped' }
  }
  log.info(fields, 'job moved')
  counters.declined(offered.executorClass, reason)
  return { outcome: 'moved', report: reportAbout(row) }
}

function updateTo(to: JobState, { reason, result, work }: Change, at: Date): JobUpdate {
  const hasResult = to === 'finished' || to === 'failed' || (to === 'broken' && result?.fault !== undefined)
  return {
    state: to,
    reason: reason ?? null,
    result: (hasResult && result) || null,
    work: to === 'running' && work ? storedWork(work) : null,
    ...(to === 'ready' && { readyAt: at }),
    ...(to === 'running' && { startedAt: at }),
    ...(isFinal(to) && { endedAt: at, offer: null }),
  }
}

/** `moved elsewhere`: another process has moved the job. `not saved`: the miner stops while its database is away. */
async function save(
  { id, uuid, savedState }: StoredJob,
  update: JobUpdate,
  { db, clock, log }: TransitionDeps,
  retryUntil: AbortSignal | undefined,
): Promise<'saved' | 'not saved' | 'moved elsewhere'> {
  for (let isRetry = false; ; isRetry = true) {
    try {
      return (await updateJob(db, id, savedState, update, isRetry)) ? 'saved' : 'moved elsewhere'
    } catch (err) {
      if (retryUntil === undefined) throw err
      log.error({ err, jobUuid: uuid, to: update.state }, 'job could not be saved')
      if (retryUntil.aborted) return 'not saved'
      await clock.sleep(SAVE_AGAIN_MS, retryUntil).catch(() => {})
    }
  }
}

function isMessage(event: JobEvent): event is JobMessage {
  return (JOB_MESSAGES as readonly string[]).includes(event)
}
