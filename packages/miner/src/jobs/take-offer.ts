/** A validator's offer: reserve, store, accept, and drive the job; or decline at once. */
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import { FIRST_STATE, isFinal } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { V0InitialJobRequest } from '@horde/protocol/validator-miner'
import { findJob, insertJob, moveJob } from '../db/jobs.ts'
import type { Horde } from '../horde/horde.ts'
import type { Reservation } from '../horde/pools/pool.ts'
import type { ValidatorSession } from '../validator-session.ts'
import type { ExecutorLine, ExecutorLines } from './executor-line.ts'
import { LiveJob, type LiveJobs, newExecutorToken } from './live-job.ts'
import type { News } from './news.ts'
import { type DeclineDeps, decline, type OfferedJob } from './offers/decline.ts'

export type OfferDeps = DeclineDeps & {
  live: LiveJobs
  news: News
  horde: Pick<Horde, 'reserve' | 'lookAgain' | 'closedBy'>
  lines: ExecutorLines
  /** Starts driving an accepted job; it goes on by itself. */
  drive(job: LiveJob): void
}

export function takeOffer(offer: V0InitialJobRequest, session: ValidatorSession, deps: OfferDeps): Promise<void> {
  return deps.live.inTurn(session.validator, offer.job_uuid, () => take(offer, session, deps))
}

async function take(offer: V0InitialJobRequest, session: ValidatorSession, deps: OfferDeps): Promise<void> {
  const { validator } = session
  const known = deps.live.find(validator, offer.job_uuid)
  if (known) return sayAgain(known, session, deps)
  const job = offeredJob(offer, session)
  // Looked up no further: a flood must not reach the database.
  if (!deps.admission.mayOffer(validator)) return decline(job, 'too-many-offers', session, deps)
  // Neither can the job be looked up, nor its end be stored.
  if (deps.horde.closedBy(job.executorClass) === 'database-away') return decline(job, 'database-away', session, deps)
  const ended = await findJob(deps.db, validator, offer.job_uuid)
  if (ended) return deps.news.tellEnd(ended, session)
  const taken = await reserve(offer, job, session, deps)
  if (taken instanceof LiveJob) await accept(taken, session, deps)
  else await decline(job, taken, session, deps)
}

/** A job with a place for its executor, or why the offer is declined. */
async function reserve(
  offer: V0InitialJobRequest,
  job: OfferedJob,
  session: ValidatorSession,
  deps: OfferDeps,
): Promise<LiveJob | Reason> {
  const open = deps.live.of(session.validator).filter(({ state }) => !isFinal(state)).length
  const admitted = deps.admission.enter(offer, session.validator, open)
  if (typeof admitted === 'string') return admitted
  using _ = admitted
  const reservation = await reservePlace(job.executorClass, deps)
  if (typeof reservation === 'string') return reservation
  const line = reservation.warm?.line ?? deps.lines.open(newExecutorToken(offer.job_uuid))
  try {
    const fields = { ...job, executorToken: line.token, place: reservation.place, state: FIRST_STATE }
    const row = await insertJob(deps.db, fields, new Date(deps.clock.now()))
    if (!row) throw new Error('a job was stored by another process in the same database')
    const taken = new LiveJob(row, offer, session, { reservation, line })
    deps.live.add(taken)
    return taken
  } catch (error) {
    void giveUp(reservation, line, deps)
    throw error
  }
}

/** A place where an executor can be started now, or why there is none. A pool that turns out to be unable is passed over. */
async function reservePlace(executorClass: string, { horde }: OfferDeps): Promise<Reservation | Reason> {
  const unable = new Set<string>()
  let found: Reason | undefined
  for (;;) {
    const reservation = horde.reserve(executorClass, unable)
    if (typeof reservation === 'string') return found ?? reservation
    const why = await reservation.whyNot()
    if (why === undefined) return reservation
    found = why
    unable.add(reservation.pool)
    reservation.release()
    horde.lookAgain()
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
    void giveUp(job.reservation, job.executor, deps)
    throw error
  }
  job.state = 'accepted'
  job.movedAt = clock.now()
  log.info({ jobUuid: job.uuid, validator: job.validator, from: FIRST_STATE, to: job.state }, 'job moved')
  const said = sayAccepted(job, session)
  drive(job)
  await said
}

/** The same validator offers the same uuid again: it gets the state of the job it has, and later news on this line. */
async function sayAgain(job: LiveJob, session: ValidatorSession, { news }: OfferDeps): Promise<void> {
  job.moveTo(session)
  if (!isFinal(job.state)) await sayAccepted(job, session)
  await news.tell(job)
}

function sayAccepted({ offer: { job_uuid } }: LiveJob, session: ValidatorSession): Promise<boolean> {
  return session.say({ message_type: 'V0AcceptJobRequest', job_uuid })
}

function offeredJob(offer: V0InitialJobRequest, { validator }: ValidatorSession): OfferedJob {
  return {
    validator,
    uuid: offer.job_uuid,
    executorClass: offer.executor_class ?? DEFAULT_CLASS,
    imageName: offer.base_docker_image_name,
    timeoutSeconds: offer.timeout_seconds,
    volumeType: offer.volume_type,
  }
}
