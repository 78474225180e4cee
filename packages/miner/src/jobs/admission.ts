/**
 * Limits offers before any executor is reserved: by the validator that makes them, its open jobs, its rate, and their
 * time limit.
 */
import type { Log } from '@horde/kit/log'
import type { Clock } from '@horde/kit/time'
import { type JobOffer, secondsOf } from '@horde/protocol/job/request'
import type { Reason } from '@horde/protocol/reasons'

const MINUTE_MS = 60_000
/** How often a flood is logged, in milliseconds. */
const LOG_EVERY_MS = MINUTE_MS

export type AdmissionRules = {
  /** Open jobs of one validator at once. */
  maxOpenJobs: number
  /** Offers of one validator a minute; as many may come at once. */
  maxOffersPerMinute: number
  /** The longest time limit that an offer may ask for, in seconds. */
  maxTimeoutSeconds: number
  isValidator(hotkey: string): boolean
  /** Whether the miner takes no new job at all. */
  migrating: boolean
}

/**
 * Declined offers of one validator that are stored, so that they stay declined. More leave no row: offers are cheap.
 */
const STORED_DECLINES = { perMinute: 10, atOnce: 60 }

/** What one validator has used of its limits. */
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
   * Lets an offer in, or returns why not. The caller holds the result until the job is among the open ones.
   *
   * @param openJobs how many the validator has, without those that are being taken now
   */
  enter(offer: Pick<JobOffer, 'limits'>, validator: string, openJobs: number): Disposable | Reason {
    const { maxOpenJobs, maxTimeoutSeconds, isValidator, migrating } = this.#rules
    const account = this.#accountOf(validator)
    if (migrating) return 'migrating'
    if (!isValidator(validator)) return 'not-a-validator'
    if ((secondsOf(offer.limits) ?? 0) > maxTimeoutSeconds) return 'time-limit-too-long'
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

type Rate = { perMinute: number; atOnce: number }

/** A rate with bursts: so many at once, and so many more a minute. */
class TokenBucket {
  readonly #rate: Rate
  readonly #clock: Clock
  #tokens: number
  #filledAt: number

  constructor(rate: Rate, clock: Clock) {
    this.#rate = rate
    this.#clock = clock
    this.#tokens = rate.atOnce
    this.#filledAt = clock.monotonic()
  }

  /** False when there is no token left. */
  take(): boolean {
    this.#fill()
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  #fill(): void {
    const now = this.#clock.monotonic()
    const fresh = ((now - this.#filledAt) / MINUTE_MS) * this.#rate.perMinute
    this.#tokens = Math.min(this.#rate.atOnce, this.#tokens + fresh)
    this.#filledAt = now
  }
}
