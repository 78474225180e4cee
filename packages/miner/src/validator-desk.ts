/** What verified validators are served: offers and work go to their use cases, news about jobs to their connections. */
import type { Log } from '@horde/kit/log'
import type { MinerMessage, ValidatorMessage } from '@horde/protocol/validator-miner'
import type { Horde } from './horde/horde.ts'
import { type OfferDeps, takeOffer } from './jobs/take-offer.ts'
import { takeWork } from './jobs/take-work.ts'
import type { ValidatorSession } from './validator-session.ts'
import type { ValidatorDesk } from './validators/serve-validator.ts'

export type DeskDeps = OfferDeps & { horde: Pick<Horde, 'reserve' | 'lookAgain' | 'closedBy' | 'manifest'>; log: Log }

export function openDesk(deps: DeskDeps): ValidatorDesk {
  return {
    async arrived(session) {
      if (session.capabilities.has('manifest')) await session.say(manifestOf(deps.horde))
      deps.news.arrived(session)
    },
    left: session => deps.news.left(session),
    async hear(message, session) {
      try {
        await handle(message, session, deps)
      } catch (err) {
        deps.log.error(
          { err, validator: session.validator, about: message.message_type },
          'message could not be handled',
        )
        await session.say({ message_type: 'GenericError', details: 'The miner could not handle this message' })
      }
    },
  }
}

async function handle(
  message: Exclude<ValidatorMessage, { message_type: 'V0AuthenticateRequest' }>,
  session: ValidatorSession,
  deps: DeskDeps,
): Promise<void> {
  switch (message.message_type) {
    case 'V0InitialJobRequest':
      return takeOffer(message, session, deps)
    case 'V0JobRequest':
      return takeWork(message, session, deps)
    case 'GenericError':
      deps.log.warn({ validator: session.validator }, 'validator answered with an error')
      deps.log.debug({ validator: session.validator, details: message.details }, 'what the validator said')
  }
}

function manifestOf(horde: Pick<Horde, 'manifest'>): MinerMessage {
  return { message_type: 'V0ExecutorManifestRequest', manifest: { executor_classes: horde.manifest() } }
}
