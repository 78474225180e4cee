/**
 * Takes a validator's offer: reserves a slot, stores the job, accepts it and starts its driver; or declines at once.
 * Stores the first declined offers of a validator, so that they stay declined, and only counts those of a flood.
 */
import { DEFAULT_CLASS } from '@horde/protocol/classes'
import type { JobReport } from '@horde/protocol/job/messages'
import { type JobOffer, secondsOf } from '@horde/protocol/job/request'
import { isFinal } from '@horde/protocol/job-state'
import { REASONS, type Reason } from '@horde/protocol/reasons'
import type { Receipt } from '@horde/protocol/v2026/receipts/payloads'
import { millisecondsOf } from '@horde/protocol/v2026/receipts/times'
import { findJob } from '../db/jobs.ts'
import type { ExecutorChannel, ExecutorChannels } from '../executors/executor-channel.ts'
import type { Horde } from '../horde/horde.ts'
import type { Reservation } from '../horde/pools/reservation.ts'
import type { JobCounters } from '../operator/metrics/job-counters.ts'
import {
  countersigned,
  isGoodReceipt,
  type ProofRules,
  type SignatureProblem,
  signatureProblem,
} from '../receipts/check-proof.ts'
import type { Proof } from '../validators/dialects/dialect.ts'
import type { ValidatorConnection } from '../validators/validator-connection.ts'
import type { Admission, FloodLog } from './admission.ts'
import type { Delivery } from './delivery.ts'
import { LiveJob, type LiveJobs, NEW_JOB, newExecutorToken } from './live-job.ts'
import { type OfferedJob, storeDeclined, storeOffer, type TransitionDeps, transition } from './transition.ts'
import { declineReport, reportOf } from './validator-message.ts'

/** Reasons for which a declined offer is not stored: a flood must not reach the database, or that does not answer. */
const UNSTORED: readonly Reason[] = ['too-many-offers', 'database-away']

export type OfferDeps = TransitionDeps & {
  counters: Pick<JobCounters, 'moved' | 'declined' | 'refusedFrame'>
  admission: Admission
  floods: FloodLog
  live: LiveJobs
  delivery: Delivery
  horde: Pick<Horde, 'reserve' | 'lookAgain' | 'closedBy'>
  channels: ExecutorChannels
  proofs: ProofRules
  /** Starts driving an accepted job, and does not wait for its end. */
  drive(job: LiveJob): void
}

/** An offer, and what its validator proves with it: nothing in v0. */
export type ProvenOffer = { offer: JobOffer; proof: Proof | undefined }

export function takeOffer(proven: ProvenOffer, from: ValidatorConnection, deps: OfferDeps): Promise<void> {
  return deps.live.oneAtATime(from.validator, proven.offer.jobUuid, () => take(proven, from, deps))
}

async function take({ offer, proof }: ProvenOffer, connection: ValidatorConnection, deps: OfferDeps): Promise<void> {
  const { validator } = connection
  const known = deps.live.find(validator, offer.jobUuid)
  if (known) {
    const isSigned = known.row.offer?.isSigned ?? false
    const problem = proof && (await signatureProblem(proof, validator, { isSigned }, deps.proofs))
    // A frame that somebody else put into the connection must not end the job.
    return problem ? refuseFrame(problem, connection, deps) : acceptAgain(known, connection, deps)
  }
  const job = offeredJob(offer, proof, connection, deps)
  // Before the job is looked up: a flood must not reach the database.
  if (!deps.admission.mayOffer(validator)) return declineOffer(job, 'too-many-offers', connection, deps)
  // The job can neither be looked up, nor its end be stored.
  if (deps.horde.closedBy(job.executorClass) === 'database-away')
    return declineOffer(job, 'database-away', connection, deps)
  const ended = await findJob(deps.db, validator, offer.jobUuid)
  const problem = proof && (await signatureProblem(proof, validator, undefined, deps.proofs))
  if (ended) return problem ? refuseFrame(problem, connection, deps) : deps.delivery.sendEnd(ended, connection)
  const objection = problem ?? objectionTo({ offer, proof }, validator, deps)
  if (objection) return declineOffer(job, objection, connection, deps)
  const taken = await reserve(offer, job, connection, deps)
  if (taken instanceof LiveJob) await accept(taken, connection, deps)
  else if (taken !== 'stored elsewhere') await declineOffer(job, taken, connection, deps)
}

/** Why an offer of v2026 is declined although it is its validator's. */
function objectionTo({ offer, proof }: ProvenOffer, validator: string, { proofs }: OfferDeps): Reason | undefined {
  if (proof?.receipt === undefined) return undefined
  if (!isGoodReceipt(proof.receipt, offer, validator, proofs)) return 'invalid-receipt'
  return offer.isStreaming ? 'streaming' : undefined
}

/** A job with a slot for its executor, or why the offer is declined. */
async function reserve(
  offer: JobOffer,
  job: OfferedJob,
  connection: ValidatorConnection,
  deps: OfferDeps,
): Promise<LiveJob | Reason | 'stored elsewhere'> {
  const open = deps.live.of(connection.validator).filter(({ state }) => !isFinal(state)).length
  const admitted = deps.admission.enter(offer, connection.validator, open)
  if (typeof admitted === 'string') return admitted
  using _ = admitted
  const reservation = await reserveSlot(job.executorClass, deps)
  if (typeof reservation === 'string') return reservation
  const channel = reservation.warm?.channel ?? deps.channels.open(newExecutorToken(offer.jobUuid))
  try {
    const row = await storeOffer(job, { executorToken: channel.token, place: reservation.place }, deps)
    if (row) {
      const taken = new LiveJob(row, { reservation, channel }, { ...NEW_JOB, connection })
      deps.live.add(taken)
      return taken
    }
  } catch (error) {
    void giveUp(reservation, channel, deps)
    throw error
  }
  deps.log.warn({ jobUuid: job.uuid, validator: job.validator }, 'offer dropped: another process has stored the job')
  void giveUp(reservation, channel, deps)
  return 'stored elsewhere'
}

/** A slot where an executor can be started now, or why there is none. A pool that turns out to be unable is skipped. */
async function reserveSlot(executorClass: string, { horde }: OfferDeps): Promise<Reservation | Reason> {
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

/** Ends an executor that was bound to a job which came to nothing: no other job may have it. */
async function giveUp({ warm, release }: Reservation, channel: ExecutorChannel, deps: OfferDeps): Promise<void> {
  try {
    await (warm ? warm.discard() : deps.channels.close(channel))
  } catch (err) {
    deps.log.error({ err }, 'executor could not be stopped')
  } finally {
    release()
  }
}

async function accept(job: LiveJob, connection: ValidatorConnection, deps: OfferDeps): Promise<void> {
  const abandon = () => {
    deps.live.remove(job)
    void giveUp(job.reservation, job.channel, deps)
  }
  const accepted = await transition(job, 'accept', {}, deps).catch(error => {
    abandon()
    throw error
  })
  if (accepted.outcome !== 'moved') return abandon()
  const isOf2026 = connection.dialect.name === 'v2026'
  const { report } = accepted
  const sent = report && (isOf2026 ? deps.delivery.send(job, report) : connection.report(report))
  deps.drive(job)
  await sent
}

/** Answers a validator that offers the same job again with its state; later messages go to this connection. */
async function acceptAgain(job: LiveJob, connection: ValidatorConnection, { delivery }: OfferDeps): Promise<void> {
  job.moveTo(connection)
  // A validator of v2026 gets the acceptance with all that followed it, unless it has it.
  const repeats = connection.dialect.name === 'v0' && !isFinal(job.state)
  if (repeats) await connection.report(reportOf('accept', job))
  await delivery.resend(job)
}

function offeredJob(
  offer: JobOffer,
  proof: Proof | undefined,
  { validator }: ValidatorConnection,
  { proofs }: OfferDeps,
): OfferedJob {
  const { jobUuid: uuid, executorClass, image: imageName, limits, volumes } = offer
  const receipt = proof?.receipt
  return {
    validator,
    uuid,
    executorClass: executorClass ?? DEFAULT_CLASS,
    imageName,
    timeoutSeconds: secondsOf(limits),
    volumeType: offer.volumeKind === 'zip-url' ? 'zip_url' : 'inline',
    offer: receipt
      ? {
          ...{ limits, volumes, isSigned: proof.signature !== null },
          receipt: countersigned(receipt.payload, receipt.signature, proofs),
        }
      : null,
  }
}

async function declineOffer(
  job: OfferedJob,
  reason: Reason,
  connection: ValidatorConnection,
  deps: OfferDeps,
): Promise<void> {
  const report = await decline(job, reason, deps)
  if (report?.type === 'decline') await connection.report({ ...report, receipts: excusesFor(job, reason, deps) })
}

/** How much longer than its time a receipt excuses a miner, in milliseconds. */
const EXCUSE_SLACK_MS = 2_000

/** The receipts of the open organic jobs of this class: that the miner is busy with them excuses it. */
function excusesFor({ offer, executorClass }: OfferedJob, reason: Reason, { live }: OfferDeps): Receipt[] {
  if (!offer || reason !== 'no-free-executor') return []
  const at = millisecondsOf(offer.receipt.payload.timestamp)
  const others = live.all().flatMap(({ row }) => (row.offer ? [row.offer.receipt] : []))
  return others
    .filter(({ payload: { executor_class, is_organic, timestamp, ttl } }) => {
      const from = millisecondsOf(timestamp)
      return executor_class === executorClass && is_organic && from < at && at < from + ttl * 1_000 + EXCUSE_SLACK_MS
    })
    .map(({ payload, validatorSignature, minerSignature }) => {
      return { payload, validator_signature: validatorSignature, miner_signature: minerSignature }
    })
}

/** Refuses a frame that does not count as its validator's, and does nothing else. */
export async function refuseFrame(
  problem: SignatureProblem,
  connection: ValidatorConnection,
  { counters, log }: Pick<OfferDeps, 'log'> & { counters: Pick<JobCounters, 'refusedFrame'> },
): Promise<void> {
  log.warn({ validator: connection.validator, problem }, 'frame of a validator refused')
  counters.refusedFrame(problem)
  await connection.sendError(REASONS[problem])
}

/** Returns the report for the validator; undefined when another process has stored the job. */
async function decline(job: OfferedJob, reason: Reason, deps: OfferDeps): Promise<JobReport | undefined> {
  const { uuid: jobUuid, validator, executorClass } = job
  if (!UNSTORED.includes(reason) && deps.admission.mayStoreDecline(validator)) {
    const declined = await storeDeclined(job, reason, deps)
    return declined.outcome === 'moved' ? declined.report : undefined
  }
  deps.floods.add(validator, reason)
  deps.log.debug({ jobUuid, validator, reason }, 'offer declined')
  deps.counters.declined(executorClass, reason)
  return declineReport(job, reason)
}
