/**
 * Handles the messages of authenticated validators: offers and work go to their jobs, missed messages to connections.
 */
import type { Log } from '@horde/kit/log'
import { isFinal } from '@horde/protocol/job-state'
import type { MinerMessage, V0JobRequest } from '@horde/protocol/validator-miner'
import { findJob } from '../db/jobs.ts'
import type { Horde } from '../horde/horde.ts'
import { type OfferDeps, takeOffer } from '../jobs/take-offer.ts'
import type { ConnectionHandlers, JobRequest } from './serve-validator.ts'
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
    async handle(message, connection) {
      try {
        await handle(message, connection, deps)
      } catch (err) {
        const { validator } = connection
        deps.log.error({ err, validator, about: message.message_type }, 'message could not be handled')
        await connection.send({ message_type: 'GenericError', details: 'The miner could not handle this message' })
      }
    },
  }
}

async function handle(message: JobRequest, connection: ValidatorConnection, deps: HandlerDeps): Promise<void> {
  switch (message.message_type) {
    case 'V0InitialJobRequest':
      return takeOffer(message, connection, deps)
    case 'V0JobRequest':
      return takeWork(message, connection, deps)
    case 'GenericError':
      deps.log.warn({ validator: connection.validator }, 'validator answered with an error')
      deps.log.debug({ validator: connection.validator, details: message.details }, "details of a validator's error")
      return
    default:
      // Does not compile while a message of validators has no case.
      message satisfies never
  }
}

/** Passes the work to the driver of its job; of a job that has ended it sends the end. */
async function takeWork(work: V0JobRequest, connection: ValidatorConnection, deps: HandlerDeps): Promise<void> {
  const job = deps.live.find(connection.validator, work.job_uuid)
  if (job) {
    job.moveTo(connection)
    // Only the first one counts: a validator that sends the work again sends the same work.
    if (job.work === undefined) job.events.put({ from: 'validator', message: work })
    job.work ??= work
    if (isFinal(job.state)) await deps.delivery.resend(job)
    return
  }
  const ended = await findJob(deps.db, connection.validator, work.job_uuid)
  if (ended) return deps.delivery.sendEnd(ended, connection)
  await connection.send({ message_type: 'GenericError', details: 'No job with this job_uuid was offered by you' })
}

function manifestOf(horde: Pick<Horde, 'manifest'>): MinerMessage {
  return { message_type: 'V0ExecutorManifestRequest', manifest: { executor_classes: horde.manifest() } }
}
