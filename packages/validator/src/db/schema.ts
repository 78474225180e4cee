import type { JobState } from '@horde/protocol/job-state'
import type { Reason } from '@horde/protocol/reasons'
import {
  bigint,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  pgTable,
  serial,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'

const moment = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' })

/** One round of synthetic jobs, a job for every miner. */
export const batches = pgTable('batches', {
  id: serial('id').primaryKey(),
  netuid: integer('netuid').notNull(),
  /** What its jobs measured: sha256, … */
  benchmark: text('benchmark').notNull(),
  startedAt: moment('started_at').notNull(),
  /** When it closes at the latest, whatever is still out. */
  deadline: moment('deadline').notNull(),
  closedAt: moment('closed_at'),
  /** False for one that this validator's own stop cut short: its scores would favour whoever was fast. */
  counts: boolean('counts').notNull().default(true),
  /** Set together with its weights' inclusion in a block: a batch counts once. */
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
    /** Null until the offer, and for miners that told no manifest. */
    executorClass: text('executor_class'),
    image: text('image'),
    state: text('state').$type<JobState>().notNull(),
    reason: text('reason').$type<Reason>(),
    /** From the work's handing to the kernel to the result's frame. */
    seconds: doublePrecision('seconds'),
    /** Null for an organic job, and until the job has ended. */
    score: doublePrecision('score'),
    rightAnswer: boolean('right_answer'),
    exitStatus: integer('exit_status'),
    /** What the miner said, its head and tail. */
    stdout: text('stdout'),
    stderr: text('stderr'),
    createdAt: moment('created_at').notNull(),
    acceptedAt: moment('accepted_at'),
    readyAt: moment('ready_at'),
    runningAt: moment('running_at'),
    endedAt: moment('ended_at'),
  },
  table => [index('jobs_batch_id').on(table.batchId), index('jobs_state').on(table.state)],
)

/** One score of a weight setting. */
export type ScoredNeuron = { readonly hotkey: string; readonly uid: number; readonly score: number }

export const SETTING_STATES = ['planned', 'included', 'refused'] as const
export type SettingState = (typeof SETTING_STATES)[number]

/** What was to be set on the chain, written down before it was sent. */
export const weightSettings = pgTable(
  'weight_settings',
  {
    id: serial('id').primaryKey(),
    netuid: integer('netuid').notNull(),
    hotkey: text('hotkey').notNull(),
    state: text('state').$type<SettingState>().notNull(),
    /** Where the scores come from: batches, the last setting, the chain's row, or nowhere (uniform). */
    basis: text('basis').notNull(),
    batchIds: integer('batch_ids').array().notNull(),
    scores: jsonb('scores').$type<ScoredNeuron[]>().notNull(),
    uids: integer('uids').array().notNull(),
    weights: integer('weights').array().notNull(),
    versionKey: bigint('version_key', { mode: 'bigint' }).notNull(),
    plannedAt: moment('planned_at').notNull(),
    endedAt: moment('ended_at'),
    block: integer('block'),
    blockHash: text('block_hash'),
    /** Why it was refused, for people. */
    refusal: text('refusal'),
  },
  table => [index('weight_settings_state').on(table.netuid, table.hotkey, table.state)],
)
