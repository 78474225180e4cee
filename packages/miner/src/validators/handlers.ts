/**
 * Handles the messages of authenticated validators: offers and work go to their jobs, missed messages to connections.
 */
import type { Log } from '@horde/kit/log'
import type { JobRequest, WorkMessage } from '@horde/protocol/job/messages'
import { isFinal } from '@horde/protocol/job-state'
import type { MinerMessage } from '@horde/protocol/v0/validator-miner'
import { findJob } from '../db/jobs.ts'
import type { Horde } from '../horde/horde.ts'
import { type OfferDeps, takeOffer } from '../jobs/take-offer.ts'
import type { ConnectionHandlers } from './serve-validator.ts'
import type { ValidatorConnection } from './validator-connection.ts'

export type HandlerDeps = OfferDeps & {
  horde: Pick<Horde, 'reserve' | 'lookAgain' | 'closedBy' | 'manifest'>
  log: Log
}

export function connectionHandlers(deps: HandlerDeps): ConnectionHandlers {
  return {
    async opened(connection) {
      if (connection.capabilities.has('manifest')) await connection.send(manifestOf(deps.horde))
      deps.delivery.opened(connection)
    },
    closed: connection => deps.delivery.closed(connection),
    async handle(request, connection) {
      try {
        await handle(request, connection, deps)
      } catch (err) {
        const { validator } = connection
        deps.log.error({ err, validator, about: request.type }, 'message could not be handled')
        await connection.send({ message_type: 'GenericError', details: 'The miner could not handle this message' })
      }
    },
  }
}

function handle(request: JobRequest, connection: ValidatorConnection, deps: HandlerDeps): Promise<void> {
  return request.type === 'offer' ? takeOffer(request, connection, deps) : takeWork(request, connection, deps)
}

/** Passes the work to the driver of its job; of a job that has ended it sends the end. */
async function takeWork(work: WorkMessage, connection: ValidatorConnection, deps: HandlerDeps): Promise<void> {
  const job = deps.live.find(connection.validator, work.jobUuid)
  if (job) {
    job.moveTo(connection)
    // Only the first one counts: a validator that sends the work again sends the same work.
    if (job.work === undefined) job.events.put({ from: 'validator', work })
    job.work ??= work
    if (isFinal(job.state)) await deps.delivery.resend(job)
    return
  }
  const ended = await findJob(deps.db, connection.validator, work.jobUuid)
  if (ended) return deps.delivery.sendEnd(ended, connection)
  await connection.send({ message_type: 'GenericError', details: 'No job with this job_uuid was offered by you' })
}

function manifestOf(horde: Pick<Horde, 'manifest'>): MinerMessage {
  return { message_type: 'V0ExecutorManifestRequest', manifest: { executor_classes: horde.manifest() } }
}
