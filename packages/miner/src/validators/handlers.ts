/**
 * Handles the messages of authenticated validators: offers and work go to their jobs, missed messages to connections.
 */
import type { Log } from '@horde/kit/log'
import type { WorkMessage } from '@horde/protocol/job/messages'
import { isFinal } from '@horde/protocol/job-state'
import { findJob } from '../db/jobs.ts'
import type { Horde } from '../horde/horde.ts'
import type { LiveJob } from '../jobs/live-job.ts'
import { type OfferDeps, refuseFrame, takeOffer } from '../jobs/take-offer.ts'
import { signatureProblem } from '../receipts/check-proof.ts'
import { takeReceipt } from '../receipts/take-receipt.ts'
import type { Proof } from './dialects/dialect.ts'
import { listenToJobs } from './listen.ts'
import type { ConnectionHandlers } from './serve-validator.ts'
import type { ValidatorConnection } from './validator-connection.ts'

export type HandlerDeps = OfferDeps & {
  horde: Pick<Horde, 'reserve' | 'lookAgain' | 'closedBy' | 'manifest'>
  log: Log
}

export function connectionHandlers(deps: HandlerDeps): ConnectionHandlers {
  const guarded = async (about: string, connection: ValidatorConnection, handling: Promise<void>) => {
    try {
      await handling
    } catch (err) {
      deps.log.error({ err, validator: connection.validator, about }, 'message could not be handled')
      await connection.sendError('The miner could not handle this message')
    }
  }
  const sendManifest = async (connection: ValidatorConnection) => {
    await connection.send(connection.dialect.manifest(deps.horde.manifest()))
  }
  return {
    async opened(connection) {
      // It is also how a validator of v2026 is told that its authentication is good.
      const wantsManifest = connection.dialect.name === 'v2026' || connection.capabilities.has('manifest')
      if (wantsManifest) await sendManifest(connection)
      deps.delivery.opened(connection)
    },
    closed: connection => deps.delivery.closed(connection),
    handle: (request, proof, connection) => {
      const handling =
        request.type === 'offer'
          ? takeOffer({ offer: request, proof }, connection, deps)
          : takeWork(request, proof, connection, deps)
      return guarded(request.type, connection, handling)
    },
    takeReceipt: (receipt, connection, isAuthenticated) =>
      guarded('receipt', connection, takeReceipt(receipt, connection, isAuthenticated, deps)),
    listen: connection => listenToJobs(connection, deps),
    sendManifest,
  }
}

/** Passes the work to the driver of its job; of a job that has ended it sends the end. */
async function takeWork(
  work: WorkMessage,
  proof: Proof | undefined,
  connection: ValidatorConnection,
  deps: HandlerDeps,
): Promise<void> {
  const { validator } = connection
  const job = deps.live.find(validator, work.jobUuid)
  const known = job && { isSigned: job.row.offer?.isSigned ?? false }
  const problem = proof && (await signatureProblem(proof, validator, known, deps.proofs))
  if (problem) return refuseFrame(problem, connection, deps)
  if (job) return giveWork(work, job, connection, deps)
  const ended = await findJob(deps.db, validator, work.jobUuid)
  if (ended) return deps.delivery.sendEnd(ended, connection)
  await connection.sendError('No job with this job_uuid was offered by you')
}

async function giveWork(
  work: WorkMessage,
  job: LiveJob,
  connection: ValidatorConnection,
  { delivery }: HandlerDeps,
): Promise<void> {
  const offered = job.row.offer?.volumes ?? []
  if (offered.length > 0 && work.volumes.length > 0) {
    return connection.sendError('The offer of this job has a volume already')
  }
  job.moveTo(connection)
  const whole = offered.length > 0 ? { ...work, volumes: offered } : work
  // Only the first one counts: a validator that sends the work again sends the same work.
  if (job.work === undefined) job.events.put({ from: 'validator', work: whole })
  job.work ??= whole
  if (isFinal(job.state)) await delivery.resend(job)
}
