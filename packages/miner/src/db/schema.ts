import type { WorkMessage } from '@horde/protocol/job/messages'
import type { Breakdown, FailedJob, JobOutput } from '@horde/protocol/job/report'
import type { TimeLimits } from '@horde/protocol/job/request'
import type { Volume } from '@horde/protocol/job/volumes'
import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { V0JobRequest } from '@horde/protocol/v0/validator-miner'
import type { JobStartedPayload, ReceiptPayload } from '@horde/protocol/v2026/receipts/payloads'
import { bigint, index, json, pgTable, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'

/** The result of a job that finished or failed: one type from the executor's report to the validator's message. */
export type JobResult = {
  exitStatus: number | null
  stdout: string
  stderr: string
  /** What came back with the output, if anything did. */
  extras?: Pick<JobOutput, 'artifacts' | 'uploadAnswers'>
  /** Of a job that failed, when its executor reported it. */
  failure?: Pick<FailedJob, 'reason' | 'stage' | 'message'> & {
    /** Whether its container printed the texts. */ hasPrinted: boolean
  }
  /** Of a job that broke, when its executor reported it. */
  fault?: Breakdown
}

/** What an offer of v2026 says beyond one of v0. */
export type StoredOffer = {
  limits: TimeLimits
  /** Null: too large to be stored. */
  volumes: Volume[] | null
  /** Whether the validator signed the offer: then it signs the work, too. */
  isSigned: boolean
  receipt: SignedReceipt<JobStartedPayload>
}

/** A receipt with both signatures, each as `0x…`. */
export type SignedReceipt<P extends ReceiptPayload = ReceiptPayload> = {
  payload: P
  validatorSignature: string
  minerSignature: string
}

/** In the form of v0 where v0 can express the work: earlier releases read no other. */
export type StoredWork = V0JobRequest | WorkMessage

/**
 * One row per job. A job belongs to its validator: the same uuid of another validator is another job. `uuid` is as the
 * validator wrote it; queries compare `uuid_key`.
 */
export const jobs = pgTable(
  'jobs',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    validator: text('validator').notNull(),
    uuid: text('uuid').notNull(),
    uuidKey: text('uuid_key').notNull(),
    executorClass: text('executor_class').notNull(),
    imageName: text('image_name'),
    timeoutSeconds: bigint('timeout_seconds', { mode: 'number' }),
    volumeType: text('volume_type').notNull(),
    executorToken: text('executor_token').notNull(),
    /** The slot of its executor, as pool and index: `gpus/3`. */
    place: text('place'),
    /** The work of a running job, for a miner that resumes it; null when it is too large to be stored. */
    work: json('work').$type<StoredWork>(),
    /** The offer of a job of v2026 that has not ended; null for one of v0. */
    offer: json('offer').$type<StoredOffer>(),
    state: text('state').$type<JobState>().notNull(),
    reason: text('reason').$type<Reason>(),
    /** json, because jsonb and text refuse the NUL characters that a job may print. */
    result: json('result').$type<JobResult>(),
    offeredAt: timestamp('offered_at', { withTimezone: true }).notNull(),
    readyAt: timestamp('ready_at', { withTimezone: true }),
    startedAt: timestamp('started_at', { withTimezone: true }),
    endedAt: timestamp('ended_at', { withTimezone: true }),
    /** When the validator read the end on a connection that offered the job or sent its work. Null: undelivered. */
    deliveredAt: timestamp('delivered_at', { withTimezone: true }),
  },
  table => [
    uniqueIndex('jobs_validator_uuid').on(table.validator, table.uuidKey),
    index('jobs_state').on(table.state),
    index('jobs_due').on(table.validator, table.deliveredAt, table.endedAt),
    index('jobs_ended').on(table.endedAt),
  ],
)

export type JobRow = typeof jobs.$inferSelect

/** The receipts of v2026: of the offer, of the acceptance and of the end of a job, one of each. */
export const receipts = pgTable(
  'receipts',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    validator: text('validator').notNull(),
    jobUuid: text('job_uuid').notNull(),
    receiptType: text('receipt_type').$type<ReceiptPayload['receipt_type']>().notNull(),
    payload: json('payload').$type<ReceiptPayload>().notNull(),
    validatorSignature: text('validator_signature').notNull(),
    minerSignature: text('miner_signature').notNull(),
    storedAt: timestamp('stored_at', { withTimezone: true }).notNull(),
  },
  table => [
    uniqueIndex('receipts_of_job').on(table.validator, table.jobUuid, table.receiptType),
    index('receipts_stored').on(table.storedAt),
  ],
)

/** Validators whose offers and work count only when they are signed, until a time: they have signed lately. */
export const pins = pgTable('pins', {
  validator: text('validator').primaryKey(),
  until: timestamp('until', { withTimezone: true }).notNull(),
})
