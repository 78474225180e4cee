/** What the miner's database knows of jobs. Every move is guarded by the states it may come from. */
import type { Database } from '@horde/kit/database'
import {
  FINAL_STATES,
  isFinal,
  type JobEvent,
  type JobState,
  OPEN_STATES,
  statesBefore,
} from '@horde/protocol/job-state'
import { uuidKey } from '@horde/protocol/primitives'
import type { Reason } from '@horde/protocol/reasons'
import { shorten } from '@horde/protocol/shorten'
import type { V0JobRequest } from '@horde/protocol/validator-miner'
import { and, desc, eq, gte, inArray, isNull, ne } from 'drizzle-orm'
import { type JobResult, type JobRow, jobs } from './schema.ts'

/** How many results that are still due one new connection is told, at most: the latest, for who waits waits for those. */
const MAX_DUE_RESULTS = 200
/** How much of a name that a validator chose is kept, in characters. */
const MAX_NAME_CHARACTERS = 1_000

/** The largest work that is kept for a miner that takes its job up again, in characters of JSON. */
const MAX_WORK_CHARACTERS = 262_144

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
  Partial<Pick<JobRow, 'reason'>>

/** Stores a job just offered. Undefined when its validator has offered this uuid before. */
export async function insertJob(db: Database, job: NewJob, at: Date): Promise<JobRow | undefined> {
  const ended = isFinal(job.state) ? { endedAt: at } : {}
  const rows = await db
    .insert(jobs)
    .values({ ...job, ...kept(job), uuidKey: uuidKey(job.uuid), offeredAt: at, ...ended })
    .onConflictDoNothing()
    .returning()
  return rows[0]
}

function kept({ executorClass, imageName }: NewJob): Pick<NewJob, 'executorClass' | 'imageName'> {
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

export type Move = {
  event: JobEvent
  to: JobState
  reason?: Reason | undefined
  result?: JobResult | undefined
  /** The work, with the move to running: kept while the job runs. */
  work?: V0JobRequest | undefined
}

/** Moves a job that is in a state the event may come in. False: somebody was faster, nothing was changed. */
export async function moveJob(
  db: Database,
  id: number,
  { event, to, reason, result, work }: Move,
  at: Date,
): Promise<boolean> {
  const times = {
    ...(to === 'ready' && { readyAt: at }),
    ...(to === 'running' && { startedAt: at }),
    ...(isFinal(to) && { endedAt: at }),
  }
  const rows = await db
    .update(jobs)
    .set({ state: to, reason: reason ?? null, result: result ?? null, work: keptWork(work), ...times })
    .where(and(eq(jobs.id, id), inArray(jobs.state, statesBefore(to, event))))
    .returning({ id: jobs.id })
  return rows.length === 1
}

function keptWork(work: V0JobRequest | undefined): V0JobRequest | null {
  return work !== undefined && JSON.stringify(work).length <= MAX_WORK_CHARACTERS ? work : null
}

export async function markDelivered(db: Database, id: number, at: Date): Promise<void> {
  await db
    .update(jobs)
    .set({ deliveredAt: at })
    .where(and(eq(jobs.id, id), inArray(jobs.state, FINAL_STATES), isNull(jobs.deliveredAt)))
}

/** The ended jobs whose validator has not been told on the right connection, since a time: their ids, in order. */
export async function jobsDue(db: Database, validator: string, since: Date): Promise<number[]> {
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
    .limit(MAX_DUE_RESULTS)
  return rows.map(({ id }) => id).reverse()
}

/** A job that is still due, with its result. */
export async function jobDue(db: Database, id: number): Promise<JobRow | undefined> {
  const rows = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, id), isNull(jobs.deliveredAt)))
  return rows[0]
}

/** Ends an open job that nobody drives. Undefined when it had ended. */
export async function abandonJob(db: Database, id: number, at: Date): Promise<JobRow | undefined> {
  const rows = await db
    .update(jobs)
    .set({ state: 'broken', reason: 'abandoned', work: null, endedAt: at })
    .where(and(eq(jobs.id, id), inArray(jobs.state, OPEN_STATES)))
    .returning()
  return rows[0]
}

/** The jobs that were open when an earlier run of this miner ended, oldest first. */
export async function openJobs(db: Database): Promise<JobRow[]> {
  return db.select().from(jobs).where(inArray(jobs.state, OPEN_STATES)).orderBy(jobs.id)
}
