/** Declines an offer. The first ones of a validator are stored, so that they stay declined; a flood is only counted. */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'
import type { MinerMessage } from '@horde/protocol/validator-miner'
import type { ValidatorConnection } from '../validators/validator-connection.ts'
import type { Admission } from './admission.ts'
import { type OfferedJob, storeDeclined, type TransitionDeps } from './transition.ts'
import { declineMessage } from './validator-message.ts'

/** How often a flood is logged, in milliseconds. */
const LOG_EVERY_MS = 60_000

export type DeclineDeps = TransitionDeps & { admission: Admission; floods: FloodLog }

/** Reasons whose offers leave no row: a flood must not reach the database, and a database that is away stores none. */
const UNSTORED: readonly Reason[] = ['too-many-offers', 'database-away']

export async function declineOffer(
  job: OfferedJob,
  reason: Reason,
  connection: ValidatorConnection,
  deps: DeclineDeps,
): Promise<void> {
  const message = await decline(job, reason, deps)
  if (message) await connection.send(message)
}

/** The message for the validator; undefined when another process has stored the job. */
async function decline(job: OfferedJob, reason: Reason, deps: DeclineDeps): Promise<MinerMessage | undefined> {
  const { uuid: jobUuid, validator, executorClass } = job
  if (!UNSTORED.includes(reason) && deps.admission.mayStoreDecline(validator)) {
    const declined = await storeDeclined(job, reason, deps)
    return declined.outcome === 'moved' ? declined.message : undefined
  }
  deps.floods.add(validator, reason)
  deps.log.debug({ jobUuid, validator, reason }, 'offer declined')
  deps.counters.declined(executorClass, reason)
  return declineMessage(job)
}

/**
 * Logs offers that leave no row, one line a minute for each validator and reason: the first offer at once, those that
 * follow within a minute together with the first one after it.
 */
export class FloodLog {
  readonly #clock: Clock
  readonly #log: Log
  readonly #floods = new Map<string, { offers: number; loggedAt: number }>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  add(validator: string, reason: Reason): void {
    const key = `${validator} ${reason}`
    const flood = this.#floods.get(key) ?? { offers: 0, loggedAt: Number.NEGATIVE_INFINITY }
    flood.offers += 1
    this.#floods.set(key, flood)
    const now = this.#clock.monotonic()
    if (now - flood.loggedAt < LOG_EVERY_MS) return
    this.#log.info({ validator, reason, offers: flood.offers }, 'offers declined')
    this.#floods.set(key, { offers: 0, loggedAt: now })
  }
}
