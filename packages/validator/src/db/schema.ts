import { fileURLToPath } from 'node:url'
import type { Dialect } from '@horde/protocol/handshake/dialects'
import type { JobStage } from '@horde/protocol/job/report'
import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import type { FacilitatorJobRequest } from '@horde/protocol/v0/facilitator-validator'
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  serial,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Challenge, HostMoment, Refusal, ScoredNeuron, ScoreExplanation, ScoringName } from './json-columns.ts'

export const JOB_SOURCES = ['facilitator', 'command'] as const
export type JobSource = (typeof JOB_SOURCES)[number]

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** Synthetic jobs that start together: one for every executor of every miner. */
export const batches = pgTable('batches', {
  id: serial('id').primaryKey(),
  netuid: integer('netuid').notNull(),
  /** What its jobs measure: sha256, … */
  benchmark: text('benchmark').notNull(),
  /** The scoring that scores its jobs. */
  scoring: text('scoring').$type<ScoringName>().notNull().default('2024'),
  startedAt: moment('started_at').notNull(),
  /** When it closes at the latest, even with jobs still running. */
  deadline: moment('deadline').notNull(),
  closedAt: moment('closed_at'),
  /**
   * False for a batch that is never scored: a trial of some miners, or one that a stop of this validator interrupted.
   */
  counts: boolean('counts').notNull().default(true),
  /** Set in the transaction that stores the block of its weights, so that a batch counts once. */
  scoredAt: moment('scored_at'),
})

export const jobs = pgTable(
  'jobs',
  {
    /** In lower case. */
    uuid: uuid('uuid').primaryKey(),
    /** Null for an organic job. */
    batchId: integer('batch_id').references(() => batches.id),
    minerHotkey: text('miner_hotkey').notNull(),
    minerUid: integer('miner_uid').notNull(),
    minerAddress: text('miner_address').notNull(),
    /** Null until the offer, and for miners without a manifest. */
    executorClass: text('executor_class'),
    image: text('image'),
    /** How long the job itself may take, in seconds. */
    timeoutSeconds: doublePrecision('timeout_seconds'),
    challenge: jsonb('challenge').$type<Challenge>(),
    /** The user's request of an organic job, as it came, so that a restart can resume the job. */
    request: jsonb('request').$type<FacilitatorJobRequest>(),
    /** Who asked for an organic job. */
    source: text('source').$type<JobSource>(),
    state: text('state').$type<JobState>().notNull(),
    reason: text('reason').$type<Reason>(),
    /** From the moment the kernel took the work to the arrival of the result's frame. */
    seconds: doublePrecision('seconds'),
    /**
     * Null for an organic job, and until the job has ended. Null at its end: excused, because this validator was away
     * and did not measure it.
     */
    score: doublePrecision('score'),
    /** What the benchmark says of the answer, for people. */
    comment: text('comment'),
    /** In which stage the job ended badly, where the miner reports that or the validator has a limit for each. */
    stage: text('stage').$type<JobStage>(),
    /** Why the miner declined the job, or the job ended badly, in the miner's words, for people. */
    message: text('message'),
    rightAnswer: boolean('right_answer'),
    exitStatus: integer('exit_status'),
    /** The job's output as the miner sent it; the middle of a long one is cut out. */
    stdout: text('stdout'),
    stderr: text('stderr'),
    /** The miner's last report as JSON, whole, for a job of v2026; until the facilitator has confirmed the end. */
    report: text('report'),
    /** The user's job of v2026 that this is a try of. */
    userJob: uuid('user_job'),
    /** The miner's last error message while the job was open, bounded. */
    complaint: text('complaint'),
    createdAt: moment('created_at').notNull(),
    /** The dialect in which the job was offered. */
    dialect: text('dialect').$type<Dialect>(),
    /** When the job ends at the latest, in any stage. */
    deadline: moment('deadline'),
    offeredAt: moment('offered_at'),
    acceptedAt: moment('accepted_at'),
    readyAt: moment('ready_at'),
    runningAt: moment('running_at'),
    /** When its work was first sent, by a clock that continues over restarts. */
    workSent: jsonb('work_sent').$type<HostMoment>(),
    endedAt: moment('ended_at'),
    /** When the facilitator confirmed the update about the job's end; null until then. */
    toldAt: moment('told_at'),
  },
  table => [
    index('jobs_batch_id').on(table.batchId),
    index('jobs_state').on(table.state),
    index('jobs_miner').on(table.minerHotkey, table.createdAt),
    index('jobs_created_at').on(table.createdAt),
    index('jobs_user_job').on(table.userJob),
  ],
)

/** What users asked for in v2026, and what became of it. Each try on a miner is a row of `jobs`. */
export const userJobs = pgTable(
  'user_jobs',
  {
    uuid: uuid('uuid').primaryKey(),
    /** The V2JobRequest as JSON, without its signature. */
    request: text('request').notNull(),
    /** The key that signed it. */
    signatory: text('signatory').notNull(),
    /** What was signed, and by whom; null where a signature may be used again. */
    signed: text('signed').unique(),
    createdAt: moment('created_at').notNull(),
    /** Why no miner was given the job. */
    refusal: jsonb('refusal').$type<Refusal>(),
    endedAt: moment('ended_at'),
    /** When the facilitator confirmed the update about the job's end; null until then. */
    toldAt: moment('told_at'),
    /** When its user first reported that the miner's result was wrong. */
    cheatedAt: moment('cheated_at'),
    /** The job with the right result, by that report. */
    trustedJob: uuid('trusted_job'),
    /** What the report says beside that, as JSON. */
    cheatDetails: text('cheat_details'),
  },
  table => [index('user_jobs_ended_at').on(table.endedAt), index('user_jobs_created_at').on(table.createdAt)],
)

/** The receipts that this validator signed for jobs of v2026, as its miners have them. */
export const receipts = pgTable(
  'receipts',
  {
    jobUuid: uuid('job_uuid').notNull(),
    /** JobStartedReceipt, JobAcceptedReceipt or JobFinishedReceipt. */
    type: text('type').notNull(),
    /** What the signature is over, parsed. */
    payload: jsonb('payload').$type<object>().notNull(),
    signature: text('signature').notNull(),
    createdAt: moment('created_at').notNull(),
  },
  table => [primaryKey({ columns: [table.jobUuid, table.type] }), index('receipts_created_at').on(table.createdAt)],
)

/** planned: stored, perhaps sent. committed: its hash or ciphertext is in a block. included: the chain holds it. */
export const SETTING_STATES = ['planned', 'committed', 'included', 'refused'] as const
export type SettingState = (typeof SETTING_STATES)[number]

/** How weights are sent: openly, as a hash that is revealed later, or as a ciphertext that the chain opens itself. */
export const SETTING_METHODS = ['set', 'commit-hash', 'commit-timelocked'] as const
export type SettingMethod = (typeof SETTING_METHODS)[number]

/** Weights to be set on the chain, stored before they are sent. */
export const weightSettings = pgTable(
  'weight_settings',
  {
    id: serial('id').primaryKey(),
    netuid: integer('netuid').notNull(),
    hotkey: text('hotkey').notNull(),
    state: text('state').$type<SettingState>().notNull(),
    /** Where the scores come from: batches, the last setting, or the chain's row; uniform: there are none. */
    basis: text('basis').notNull(),
    method: text('method').$type<SettingMethod>().notNull().default('set'),
    /** How each score was made, for `explain`. */
    explanation: jsonb('explanation').$type<ScoreExplanation>(),
    batchIds: integer('batch_ids').array().notNull(),
    scores: jsonb('scores').$type<ScoredNeuron[]>().notNull(),
    uids: integer('uids').array().notNull(),
    weights: integer('weights').array().notNull(),
    versionKey: bigint('version_key', { mode: 'bigint' }).notNull(),
    plannedAt: moment('planned_at').notNull(),
    /** The best block when it was planned. A row that the chain shows as set at an earlier block is another one. */
    plannedAtBlock: integer('planned_at_block'),
    /** Of a commit by hash: its salt, the hash itself, and the epoch it was made in. */
    salt: integer('salt').array(),
    commitHash: text('commit_hash'),
    commitEpoch: bigint('commit_epoch', { mode: 'bigint' }),
    committedAt: moment('committed_at'),
    commitBlock: integer('commit_block'),
    endedAt: moment('ended_at'),
    block: integer('block'),
    blockHash: text('block_hash'),
    /** Why it was refused, for people. */
    refusal: text('refusal'),
  },
  table => [index('weight_settings_state').on(table.netuid, table.hotkey, table.state)],
)

/** The folder of this package's migrations, the same for both engines. */
export const migrationsFolder = fileURLToPath(new URL('../../drizzle', import.meta.url))
