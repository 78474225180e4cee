/** A validator's offer: reserve, store, accept, and drive the job; or decline at once. */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { FIRST_STATE, isFinal } from '@horde/protocol/job-state'
import type { MinerMessage, V0InitialJobRequest } from '@horde/protocol/validator-miner'
import { findJob, insertJob, moveJob, type NewJob } from '../db/jobs.ts'
import type { Horde } from '../horde/horde.ts'
import type { Reservation } from '../horde/pools/pool.ts'
import type { Tally } from '../metrics/tally.ts'
import type { ValidatorSession } from '../validator-session.ts'
import type { ExecutorLine, ExecutorLines } from './executor-line.ts'
import { LiveJob, type LiveJobs, newExecutorToken } from './live-job.ts'
import type { News } from './news.ts'

export type OfferDeps = {
  db: Database
  live: LiveJobs
  news: News
  horde: Pick<Horde, 'reserve'>
  lines: ExecutorLines
  /** Starts driving an accepted job; it goes on by itself. */
  drive(job: LiveJob): void
  tally: Tally
  clock: Clock
  log: Log
}

type Answer = Extract<MinerMessage, { message_type: 'V0AcceptJobRequest' | 'V0DeclineJobRequest' }>

export function takeOffer(offer: V0InitialJobRequest, session: ValidatorSession, deps: OfferDeps): Promise<void> {
  return deps.live.inTurn(session.validator, offer.job_uuid, () => take(offer, session, deps))
}

async function take(offer: V0InitialJobRequest, session: ValidatorSession, deps: OfferDeps): Promise<void> {
  const known = deps.live.find(session.validator, offer.job_uuid)
  if (known) return sayAgain(known, session, deps)
  const ended = await findJob(deps.db, session.validator, offer.job_uuid)
  if (ended) return deps.news.tellEnd(ended, session)

  const executorClass = offer.executor_class ?? DEFAULT_CLASS
  const reservation = deps.horde.reserve(executorClass)
  if (!reservation) return decline(offer, executorClass, session, deps)
  const line = reservation.warm?.line ?? deps.lines.open(newExecutorToken(offer.job_uuid))
  try {
    const { place } = reservation
    const fields = { ...newJob(offer, executorClass, session), executorToken: line.token, place }
    const row = await insertJob(deps.db, fields, now(deps))
    if (!row) throw new Error('a job was stored by another process in the same database')
    const job = new LiveJob(row, offer, session, { reservation, line })
    deps.live.add(job)
    await accept(job, session, deps)
  } catch (error) {
    void giveUp(reservation, line, deps)
    throw error
  }
}

/** An executor that waited was bound to this job: it is for no other any more. */
async function giveUp({ warm, release }: Reservation, line: ExecutorLine, { lines, log }: OfferDeps): Promise<void> {
  try {
    await (warm ? warm.discard() : lines.close(line))
  } catch (err) {
    log.error({ err }, 'executor could not be stopped')
  } finally {
    release()
  }
}

async function accept(job: LiveJob, session: ValidatorSession, deps: OfferDeps): Promise<void> {
  const { db, drive, live, log, clock } = deps
  try {
    await moveJob(db, job.id, { event: 'V0AcceptJobRequest', to: 'accepted' }, new Date(clock.now()))
  } catch (error) {
    live.remove(job)
    throw error
  }
  job.state = 'accepted'
  job.movedAt = clock.now()
  log.info({ jobUuid: job.uuid, validator: job.validator, from: FIRST_STATE, to: job.state }, 'job moved')
  const said = session.say(answer('V0AcceptJobRequest', job.offer))
  drive(job)
  await said
}

/** The same validator offers the same uuid again: it gets the state of the job it has, and later news on this line. */
async function sayAgain(job: LiveJob, session: ValidatorSession, { news }: OfferDeps): Promise<void> {
  job.moveTo(session)
  if (!isFinal(job.state)) await session.say(answer('V0AcceptJobRequest', job.offer))
  await news.tell(job)
}

async function decline(
  offer: V0InitialJobRequest,
  executorClass: string,
  session: ValidatorSession,
  { db, log, clock, tally }: OfferDeps,
): Promise<void> {
  const row = { ...newJob(offer, executorClass, session), state: 'rejected' as const, executorToken: '', place: null }
  await insertJob(db, row, new Date(clock.now()))
  log.info({ jobUuid: offer.job_uuid, validator: session.validator, from: FIRST_STATE, to: 'rejected' }, 'job moved')
  tally.declined(executorClass, 'declined')
  await session.say(answer('V0DeclineJobRequest', offer))
}

function newJob(
  offer: V0InitialJobRequest,
  executorClass: string,
  session: ValidatorSession,
): Omit<NewJob, 'executorToken' | 'place'> {
  return {
    validator: session.validator,
    uuid: offer.job_uuid,
    executorClass,
    imageName: offer.base_docker_image_name,
    timeoutSeconds: offer.timeout_seconds,
    volumeType: offer.volume_type,
    state: FIRST_STATE,
  }
}

function answer(message_type: Answer['message_type'], { job_uuid }: V0InitialJobRequest): Answer {
  return { message_type, job_uuid }
}

function now({ clock }: OfferDeps): Date {
  return new Date(clock.now())
}
