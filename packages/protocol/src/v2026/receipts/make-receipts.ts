/**
 * Makes the receipts that a validator signs. Each function returns undefined for what no receipt may say; the job goes
 * on without that receipt then. Times are in milliseconds since 1970.
 */
import type { ExecutorClass } from '../../classes.ts'
import {
  type JobAcceptedPayload,
  type JobFinishedPayload,
  type JobStartedPayload,
  jobAcceptedPayload,
  jobFinishedPayload,
  jobStartedPayload,
  MAX_TIME_TOOK_MICROSECONDS,
  MAX_TTL_SECONDS,
} from './payloads.ts'
import { receiptTimeAt } from './times.ts'

/** The job of a receipt, and when the receipt is made. */
export type ReceiptOf = { jobUuid: string; minerHotkey: string; validatorHotkey: string; now: number }

/** Returns the receipt that goes with an offer. `ttlSeconds`: how long the miner keeps an executor, cut to 30 days. */
export function startedReceipt(
  receipt: ReceiptOf,
  job: { executorClass: ExecutorClass; isOrganic: boolean; ttlSeconds: number },
): JobStartedPayload | undefined {
  return jobStartedPayload.safeParse({
    ...commonOf(receipt),
    executor_class: job.executorClass,
    is_organic: job.isOrganic,
    ttl: clamped(job.ttlSeconds, MAX_TTL_SECONDS),
  }).data
}

/** Returns the receipt of an accepted job. `ttlSeconds`: how long the job may take from now on, cut to 30 days. */
export function acceptedReceipt(
  receipt: ReceiptOf,
  job: { acceptedAt: number; ttlSeconds: number },
): JobAcceptedPayload | undefined {
  return jobAcceptedPayload.safeParse({
    ...commonOf(receipt),
    time_accepted: receiptTimeAt(job.acceptedAt),
    ttl: clamped(job.ttlSeconds, MAX_TTL_SECONDS),
  }).data
}

/**
 * Returns the receipt of a job that ended.
 *
 * @param job `tookSeconds` is cut to 365 days. `scoreSeconds` are executor seconds; a whole number, because a fraction
 *   breaks the scoring of v2026 validators; 0 unless the job finished. `blockNumbers` are at most 10,000
 */
export function finishedReceipt(
  receipt: ReceiptOf,
  job: { startedAt: number; tookSeconds: number; scoreSeconds: number; blockNumbers: readonly number[] },
): JobFinishedPayload | undefined {
  return jobFinishedPayload.safeParse({
    ...commonOf(receipt),
    time_started: receiptTimeAt(job.startedAt),
    time_took_us: clamped(Math.trunc(job.tookSeconds * 1_000_000), MAX_TIME_TOOK_MICROSECONDS),
    score_str: scoreText(job.scoreSeconds),
    block_numbers: job.blockNumbers,
  }).data
}

const SCORE_DIGITS = 6

/**
 * Returns a score with six decimals, as Python's `%.6f` writes it: exact, and a tie goes to the even digit. Undefined
 * for a negative number and for what is no number.
 */
export function scoreText(score: number): string | undefined {
  if (!Number.isFinite(score) || score < 0 || Object.is(score, -0)) return undefined
  if (score >= Number.MAX_SAFE_INTEGER) return `${BigInt(score)}.${'0'.repeat(SCORE_DIGITS)}`
  // A double that lies between two texts has seven decimals, so that 100 decimals show every tie.
  const [whole = '', decimals = ''] = score.toFixed(100).split('.')
  const kept = BigInt(whole + decimals.slice(0, SCORE_DIGITS))
  const rest = decimals.slice(SCORE_DIGITS)
  const tie = '5'.padEnd(rest.length, '0')
  const rounded = kept + (rest > tie || (rest === tie && kept % 2n === 1n) ? 1n : 0n)
  const digits = String(rounded).padStart(SCORE_DIGITS + 1, '0')
  return `${digits.slice(0, -SCORE_DIGITS)}.${digits.slice(-SCORE_DIGITS)}`
}

function commonOf({ jobUuid, minerHotkey, validatorHotkey, now }: ReceiptOf): object {
  return {
    job_uuid: jobUuid,
    miner_hotkey: minerHotkey,
    validator_hotkey: validatorHotkey,
    timestamp: receiptTimeAt(now),
  }
}

/** Returns a number from 0 to `most` as a whole one. NaN stays. */
function clamped(value: number, most: number): number {
  return Math.trunc(Math.min(Math.max(value, 0), most))
}
