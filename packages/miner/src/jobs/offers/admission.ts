/** Which offers are looked at, before any executor is: by who makes them, how many, how often, and for how long. */
import type { Clock } from '@horde/kit/time'
import type { Reason } from '@horde/protocol/reasons'
import type { V0InitialJobRequest } from '@horde/protocol/validator-miner'
import { TokenBucket } from './token-bucket.ts'

export type AdmissionRules = {
  /** Of one validator. */
  maxOpenJobs: number
  /** Of one validator; as many may come at once. */
  maxOffersPerMinute: number
  /** The longest time limit that an offer may ask for, in seconds. */
  maxTimeoutSeconds: number
  isValidator(hotkey: string): boolean
  /** Whether no new job is taken at all. */
  migrating: boolean
}

/**
 * Declined offers of one validator that are stored, so that they stay declined. More leave no row: offers are cheap for
 * who makes them.
 */
const STORED_DECLINES = { perMinute: 10, atOnce: 60 }

/** What one validator has used up. */
type Account = { offers: TokenBucket; declines: TokenBucket; taking: number }

export class Admission {
  readonly #rules: AdmissionRules
  readonly #clock: Clock
  readonly #accounts = new Map<string, Account>()

  constructor(rules: AdmissionRules, clock: Clock) {
    this.#rules = rules
    this.#clock = clock
  }

  /** Counts an offer. False when the validator makes too many. */
  mayOffer(validator: string): boolean {
    return this.#accountOf(validator).offers.take()
  }

  /** Whether an offer that is declined now may be stored; counts it. */
  mayStoreDecline(validator: string): boolean {
    return this.#accountOf(validator).declines.take()
  }

  /**
   * Lets an offer in, or says why not. What it gives is held until the job is among the open ones.
   *
   * @param openJobs how many the validator has, without those that are being taken
   */
  enter(offer: V0InitialJobRequest, validator: string, openJobs: number): Disposable | Reason {
    const { maxOpenJobs, maxTimeoutSeconds, isValidator, migrating } = this.#rules
    const account = this.#accountOf(validator)
    if (migrating) return 'migrating'
    if (!isValidator(validator)) return 'not-a-validator'
    if ((offer.timeout_seconds ?? 0) > maxTimeoutSeconds) return 'time-limit-too-long'
    if (openJobs + account.taking >= maxOpenJobs) return 'too-many-open-jobs'
    account.taking += 1
    return {
      [Symbol.dispose]: () => {
        account.taking -= 1
      },
    }
  }

  #accountOf(validator: string): Account {
    const known = this.#accounts.get(validator)
    if (known) return known
    const perMinute = this.#rules.maxOffersPerMinute
    const account = {
      offers: new TokenBucket({ perMinute, atOnce: perMinute }, this.#clock),
      declines: new TokenBucket(STORED_DECLINES, this.#clock),
      taking: 0,
    }
    this.#accounts.set(validator, account)
    return account
  }
}
