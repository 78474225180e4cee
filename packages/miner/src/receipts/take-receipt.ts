/** Takes the receipts that a validator sends while a job runs and after its end. Bad ones are dropped. */
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { findJob } from '../db/jobs.ts'
import { insertReceipt } from '../db/receipts.ts'
import type { LiveJobs } from '../jobs/live-job.ts'
import type { ReceiptMessage } from '../validators/dialects/dialect.ts'
import type { ValidatorConnection } from '../validators/validator-connection.ts'
import { countersigned, isSignedFor, type ProofRules } from './check-proof.ts'

export type ReceiptDeps = {
  db: Database
  live: LiveJobs
  proofs: ProofRules
  delivery: { delivered(job: { id: number; isDelivered: boolean }): Promise<void> }
  clock: Clock
  log: Log
}

/** @param isAuthenticated whether the connection is: no job moves to another one */
export async function takeReceipt(
  { payload, signature }: ReceiptMessage,
  connection: ValidatorConnection,
  isAuthenticated: boolean,
  { db, live, proofs, delivery, clock, log }: ReceiptDeps,
): Promise<void> {
  const { validator } = connection
  const job = live.find(validator, payload.job_uuid)
  const known = job ?? (await findJob(db, validator, payload.job_uuid))
  const isGood = known !== undefined && isSignedFor(payload, signature, validator, proofs)
  if (!isGood) return log.debug({ validator, type: payload.receipt_type }, 'receipt dropped: it is not of a job here')
  if (isAuthenticated) job?.moveTo(connection)
  await insertReceipt(db, countersigned(payload, signature, proofs), new Date(clock.now()))
  // The validator has the end: it need not be sent again.
  const hasEnded = payload.receipt_type === 'JobFinishedReceipt' && known.state !== 'running'
  if (hasEnded) await delivery.delivered(job ?? { id: known.id, isDelivered: false })
}
