import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { V0JobRequest } from '@horde/protocol/validator-miner'
import { bigint, index, json, pgTable, text, timestamp, uniqueIndex } from 'drizzle-orm/pg-core'

/** How a job ended, in the words for its validator. */
export type JobResult = { exitStatus: number | null; stdout: string; stderr: string }

/**
 * One row per job. A job is its validator's: the same uuid of another validator is another job. `uuid` stays as the
 * validator wrote it, `uuid_key` is what it is found by.
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
    /** Which place of which pool its executor has: `gpus/3`. */
    place: text('place'),
    /** The work of a job that runs, for a miner that takes it up again; null when it is too large to be kept. */
    work: json('work').$type<V0JobRequest>(),
    state: text('state').$type<JobState>().notNull(),
    reason: text('reason').$type<Reason>(),
    /** json, not jsonb: jsonb and text refuse the NUL characters that a job may print. */
    result: json('result').$type<JobResult>(),
    offeredAt: timestamp('offered_at', { withTimezone: true }).notNull(),
    readyAt: timestamp('ready_at', { withTimezone: true }),
    startedAt: timestamp('started_at', { withTimezone: true }),
    endedAt: timestamp('ended_at', { withTimezone: true }),
    /** When the end went out on the connection that offered the job or sent its work. Null: still due. */
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
