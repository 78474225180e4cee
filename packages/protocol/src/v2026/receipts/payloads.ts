/**
 * The three receipts of a job, with the bounds of October 2026, which hold wherever a receipt is read. A validator
 * signs each payload, and the miner countersigns it.
 */
import { z } from 'zod'
import { executorClass, flag, listOf, text, wholeFrom } from '../scalars.ts'
import { receiptTime } from './times.ts'

/** The longest time that a receipt marks an executor as busy: 30 days, in seconds. */
export const MAX_TTL_SECONDS = 2_592_000

/** The longest time that a job may have taken: 365 days, in microseconds. */
export const MAX_TIME_TOOK_MICROSECONDS = 31_536_000_000_000

/** The most blocks that pay for one job. */
export const MAX_BLOCK_NUMBERS = 10_000

const MAX_BLOCK_NUMBER = 2 ** 32

const RECEIPT_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const SCORE = /^(?=.{1,256}$)\d+(\.\d+)?$/

const common = {
  /** Lower case, because miners store uuids and write them in lower case. */
  job_uuid: text.regex(RECEIPT_UUID, 'must be a uuid in lower case'),
  /** 48 zeros stand for a trusted miner. */
  miner_hotkey: text,
  validator_hotkey: text,
  /** When the receipt was made. */
  timestamp: receiptTime,
}

const ttl = wholeFrom(0, MAX_TTL_SECONDS)

/** Read where it may be left out, as in an offer. */
export const jobStartedPayload = z.object({
  ...common,
  receipt_type: z.literal('JobStartedReceipt', 'must be "JobStartedReceipt"').default('JobStartedReceipt'),
  executor_class: executorClass,
  is_organic: flag,
  /** For how long the miner keeps an executor for the job, in seconds. */
  ttl,
})
export type JobStartedPayload = z.output<typeof jobStartedPayload>

export const jobAcceptedPayload = z.object({
  ...common,
  receipt_type: z.literal('JobAcceptedReceipt', 'must be "JobAcceptedReceipt"').default('JobAcceptedReceipt'),
  time_accepted: receiptTime,
  /** For how long the job may take from then on, in seconds. */
  ttl,
})
export type JobAcceptedPayload = z.output<typeof jobAcceptedPayload>

export const jobFinishedPayload = z.object({
  ...common,
  receipt_type: z.literal('JobFinishedReceipt', 'must be "JobFinishedReceipt"').default('JobFinishedReceipt'),
  time_started: receiptTime,
  /** In microseconds. */
  time_took_us: wholeFrom(0, MAX_TIME_TOOK_MICROSECONDS),
  /** Executor seconds as a decimal number, such as `300.000000`. `0.000000` when the job did not finish. */
  score_str: text.regex(SCORE, 'must be digits, or digits with a decimal point between them'),
  /** The blocks whose allowance pays for the job. */
  block_numbers: z
    .custom<unknown[]>(
      value => Array.isArray(value) && value.length <= MAX_BLOCK_NUMBERS,
      `must be a list of ${MAX_BLOCK_NUMBERS} at most`,
    )
    .pipe(listOf(wholeFrom(0, MAX_BLOCK_NUMBER)))
    .default(() => []),
})
export type JobFinishedPayload = z.output<typeof jobFinishedPayload>

export type ReceiptPayload = JobStartedPayload | JobAcceptedPayload | JobFinishedPayload

/** A receipt with both signatures, as miners publish it. `receipt_type` is required here. */
export const receipt = z.object({
  payload: z.discriminatedUnion(
    'receipt_type',
    [
      jobStartedPayload.extend({ receipt_type: z.literal('JobStartedReceipt') }),
      jobAcceptedPayload.extend({ receipt_type: z.literal('JobAcceptedReceipt') }),
      jobFinishedPayload.extend({ receipt_type: z.literal('JobFinishedReceipt') }),
    ],
    'must be a known receipt',
  ),
  validator_signature: text,
  miner_signature: text,
})
export type Receipt = z.output<typeof receipt>
