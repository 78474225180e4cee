/** The miner's jobs in its database. Only jobs/transition.ts inserts a job or changes its state. */
import type { Database } from '@horde/kit/database'
import type { JobWork } from '@horde/protocol/job/request'
import { FINAL_STATES, isFinal, type JobState, OPEN_STATES } from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import { shorten } from '@horde/protocol/shorten'
import { v0Obstacle } from '@horde/protocol/v0/job-codec'
import { requestFromV0, workRequestToV0 } from '@horde/protocol/v0/validator-miner-codec'
import type { ReceiptPayload } from '@horde/protocol/v2026/receipts/payloads'
import { and, desc, eq, exists, gte, inArray, isNull, ne, notExists, or } from 'drizzle-orm'
import { type JobRow, jobs, receipts, type StoredOffer, type StoredWork } from './schema.ts'

/** How many undelivered results one new connection gets, at most: the latest, which a validator may still wait for. */
const MAX_UNDELIVERED = 200
/** How much of a name that a validator chose is kept, in characters. */
const MAX_NAME_CHARACTERS = 1_000
/** The largest work stored for a miner that resumes its job, in characters of JSON: validators send work again. */
const MAX_WORK_CHARACTERS = 262_144
/**
 * The largest volumes of an offer stored for the same, in characters of JSON: no validator sends them again. To store
 * them takes the embedded database 0.2 s; of 32 MiB it takes 3 s and 400 MiB of memory.
 */
const MAX_VOLUMES_CHARACTERS = 4_194_304
/** The final states of accepted jobs. */
const ENDS: readonly JobState[] = ['finished', 'failed', 'broken']
/** How many jobs one list for people has, at most. */
export const MAX_LISTED = 1_000

export type NewJob = Pick<
  JobRow,
  | 'validator'
  | 'uuid'
  | 'executorClass'
  | 'imageName'
  | 'timeoutSeconds'
  | 'volumeType'
  | 'executorToken'
  | 'place'
  | 'state'
> &
  Partial<Pick<JobRow, 'reason' | 'offer'>>

/** Stores a new job. Undefined when its validator has offered this uuid before. */
export async function insertJob(db: Database, job: NewJob, at: Date): Promise<JobRow | undefined> {
  const ended = isFinal(job.state) ? { endedAt: at } : {}
  const rows = await db
    .insert(jobs)
    .values({
      ...job,
      ...keptNames(job),
      offer: keptOffer(job.offer ?? null),
      uuidKey: uuidKey(job.uuid),
      offeredAt: at,
      ...ended,
    })
    .onConflictDoNothing()
    .returning()
  return rows[0]
}

function keptNames({ executorClass, imageName }: NewJob): Pick<NewJob, 'executorClass' | 'imageName'> {
  return { executorClass: keptName(executorClass), imageName: imageName === null ? null : keptName(imageName) }
}

/** Postgres stores no NUL. */
function keptName(name: string): string {
  return shorten(name.replaceAll('\0', '\ufffd'), MAX_NAME_CHARACTERS)
}

export async function findJob(db: Database, validator: string, uuid: string): Promise<JobRow | undefined> {
  const rows = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.validator, validator), eq(jobs.uuidKey, uuidKey(uuid))))
  return rows[0]
}

/** What a transition writes. Exactly one of the times belongs to the new state; `accepted` has none. */
export type JobUpdate = Pick<JobRow, 'state' | 'reason' | 'result' | 'work'> &
  Partial<Pick<JobRow, 'offer' | 'readyAt' | 'startedAt' | 'endedAt'>>

/**
 * Updates a job that is in the state `from`. False when it is in another one: another process was faster, and nothing
 * was changed.
 *
 * @param isRetry whether an earlier call with the same update failed. The database may have committed that one before
 * its answer was lost, so a row that already has the update's state and time counts as updated.
 */
export async function updateJob(
  db: Database,
  id: number,
  from: JobState,
  update: JobUpdate,
  isRetry = false,
): Promise<boolean> {
  const written = isRetry ? isWritten(update) : undefined
  const rows = await db
    .update(jobs)
    .set({ ...update, work: keptWork(update.work) })
    .where(and(eq(jobs.id, id), or(eq(jobs.state, from), written)))
    .returning({ id: jobs.id })
  return rows.length === 1
}

function isWritten({ state, readyAt, startedAt, endedAt }: JobUpdate) {
  if (readyAt) return and(eq(jobs.state, state), eq(jobs.readyAt, readyAt))
  if (startedAt) return and(eq(jobs.state, state), eq(jobs.startedAt, startedAt))
  return endedAt ? and(eq(jobs.state, state), eq(jobs.endedAt, endedAt)) : undefined
}

/** Converts work to what the database keeps of a running job. */
export function storedWork(work: JobWork): StoredWork {
  return isOfV0(work) ? workRequestToV0(work) : { ...work, type: 'work' }
}

/** Whether v0 expresses all of it, the way in which its zip is packed included. */
function isOfV0(work: JobWork): boolean {
  const { zip, afterFailure } = work.uploads
  const isPlainZip = zip === null || (zip.format === 'portable' && afterFailure)
  return isPlainZip && v0Obstacle(work) === undefined
}

/** Returns the work of a stored job; undefined when the database has none. */
export function workOf({ work }: Pick<JobRow, 'work'>): JobWork | undefined {
  if (work === null) return undefined
  if (!('message_type' in work)) return work
  const request = requestFromV0(work)
  return request.type === 'work' ? request : undefined
}

function keptOffer(offer: StoredOffer | null): StoredOffer | null {
  if (offer === null || JSON.stringify(offer.volumes).length <= MAX_VOLUMES_CHARACTERS) return offer
  return { ...offer, volumes: null }
}

function keptWork(work: StoredWork | null): StoredWork | null {
  return work !== null && JSON.stringify(work).length <= MAX_WORK_CHARACTERS ? work : null
}

export async function markDelivered(db: Database, id: number, at: Date): Promise<void> {
  await db
    .update(jobs)
    .set({ deliveredAt: at })
    .where(and(eq(jobs.id, id), inArray(jobs.state, FINAL_STATES), isNull(jobs.deliveredAt)))
}

/** The jobs of a validator that have ended since a time and whose end is undelivered: their ids, oldest end first. */
export async function undeliveredJobs(db: Database, validator: string, since: Date): Promise<number[]> {
  const rows = await db
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.validator, validator),
        isNull(jobs.deliveredAt),
        gte(jobs.endedAt, since),
        inArray(jobs.state, FINAL_STATES),
        ne(jobs.state, 'rejected'),
      ),
    )
    .orderBy(desc(jobs.endedAt), desc(jobs.id))
    .limit(MAX_UNDELIVERED)
  return rows.map(({ id }) => id).reverse()
}

/**
 * The jobs of a validator of v2026 that have ended since a time, whose end the validator may lack: their ids, oldest end
 * first. Of jobs that were offered in v2026 that is until the receipt of the end is there; of others, until the end is
 * delivered.
 */
export async function unconfirmedJobs(db: Database, validator: string, since: Date): Promise<number[]> {
  const receiptOf = (type: ReceiptPayload['receipt_type']) => {
    const isOfJob = and(eq(receipts.validator, jobs.validator), eq(receipts.jobUuid, jobs.uuidKey))
    return db
      .select({ id: receipts.id })
      .from(receipts)
      .where(and(isOfJob, eq(receipts.receiptType, type)))
  }
  const rows = await db
    .select({ id: jobs.id })
    .from(jobs)
    .where(
      and(
        eq(jobs.validator, validator),
        gte(jobs.endedAt, since),
        inArray(jobs.state, ENDS),
        notExists(receiptOf('JobFinishedReceipt')),
        or(isNull(jobs.deliveredAt), exists(receiptOf('JobStartedReceipt'))),
      ),
    )
    .orderBy(desc(jobs.endedAt), desc(jobs.id))
    .limit(MAX_UNDELIVERED)
  return rows.map(({ id }) => id).reverse()
}

/** A job, with its result. */
export async function jobOf(db: Database, id: number): Promise<JobRow | undefined> {
  return (await db.select().from(jobs).where(eq(jobs.id, id)))[0]
}

/** A job, with its result, unless its end was delivered meanwhile. */
export async function undeliveredJob(db: Database, id: number): Promise<JobRow | undefined> {
  const rows = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, id), isNull(jobs.deliveredAt)))
  return rows[0]
}

/** The jobs that have not ended, oldest first: at a start, those of an earlier run of this miner. */
export async function openJobs(db: Database): Promise<JobRow[]> {
  return db.select().from(jobs).where(inArray(jobs.state, OPEN_STATES)).orderBy(jobs.id)
}

/** The columns in a list for people: neither outputs nor the executors' tokens. */
const LISTED = {
  id: jobs.id,
  uuid: jobs.uuid,
  validator: jobs.validator,
  executorClass: jobs.executorClass,
  imageName: jobs.imageName,
  state: jobs.state,
  reason: jobs.reason,
  offeredAt: jobs.offeredAt,
  readyAt: jobs.readyAt,
  startedAt: jobs.startedAt,
  endedAt: jobs.endedAt,
  deliveredAt: jobs.deliveredAt,
}

export type ListedJob = { [K in keyof typeof LISTED]: (typeof jobs.$inferSelect)[K] }

/**
 * Lists the jobs that were offered last, the latest first.
 *
 * @param states only jobs in one of these; all when empty
 */
export async function lastJobs(db: Database, limit: number, states: readonly JobState[] = []): Promise<ListedJob[]> {
  const where = states.length === 0 ? undefined : inArray(jobs.state, [...states])
  return db.select(LISTED).from(jobs).where(where).orderBy(desc(jobs.id)).limit(limit)
}

/** Lists the accepted jobs that ended last, the latest first. */
export async function lastEnds(db: Database, limit: number): Promise<ListedJob[]> {
  return db
    .select(LISTED)
    .from(jobs)
    .where(inArray(jobs.state, [...ENDS]))
    .orderBy(desc(jobs.endedAt), desc(jobs.id))
    .limit(limit)
}
