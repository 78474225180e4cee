/** The validator's own metrics. */
import type { Metrics, NamesOf } from '@horde/kit/metrics/definitions'

const watches = { type: 'gauge', labels: ['watch'] } as const
const gauge = { type: 'gauge', labels: [] } as const

/** Labels never hold what a stranger wrote: a class that there is not is `other`. */
export const METRICS = {
  validator_jobs_total: {
    type: 'counter',
    labels: ['kind', 'executor_class', 'end', 'reason'],
    help: 'Jobs that ended since this process started, synthetic and organic: finished, failed, rejected or broken, and why (none: as they should).',
  },
  validator_ready_to_work_seconds: {
    type: 'histogram',
    labels: [],
    help: 'From ready received to the work sent. Where it grows, this machine is too small for its batches.',
  },
  validator_result_seconds: {
    type: 'histogram',
    labels: ['kind', 'executor_class'],
    help: 'From the work sent to the result received.',
  },
  validator_jobs_open: { type: 'gauge', labels: ['kind', 'state'], help: 'Jobs that have not ended yet.' },
  validator_batches: {
    type: 'gauge',
    labels: ['state'],
    help: 'Batches in the database: open, unscored (closed, wait for weights), scored, void (never scored).',
  },
  validator_last_batch_age_seconds: { ...gauge, help: 'Since when no batch has started. Absent before the first.' },
  validator_next_batch_seconds: { ...gauge, help: 'How long until the next batch starts. Absent while none will.' },
  validator_weight_settings: {
    type: 'gauge',
    labels: ['state', 'method'],
    help: 'Settings of weights in the database: planned, committed (to be revealed), included, refused.',
  },
  validator_weights_block: { ...gauge, help: 'The block that took the last weights in.' },
  validator_facilitator_connected: { ...gauge, help: '1 while connected to the facilitator. Absent without one.' },
  validator_facilitator_updates_waiting: {
    ...gauge,
    help: 'Status updates that the facilitator has not answered yet. Absent without one.',
  },
  validator_chain_connected: { ...gauge, help: '1 while there is a connection to the chain.' },
  validator_chain_block: { ...gauge, help: 'The best block that was heard of.' },
  validator_chain_block_age_seconds: { ...gauge, help: 'Since when no new block was heard of.' },
  validator_subnet_age_seconds: {
    ...gauge,
    help: 'Age of what is known of the subnet: it grows while the chain does not answer. Absent before the first answer.',
  },
  validator_registered: { ...gauge, help: '1 when the own hotkey is registered on the subnet.' },
  validator_permit: { ...gauge, help: '1 when the own hotkey has a validator permit.' },
  validator_stake_tao: { ...gauge, help: "The own hotkey's stake, in TAO." },
  validator_rank: { ...gauge, help: "The own place in the validators' order, from 1. Absent outside it." },
  validator_clock_offset_seconds: {
    ...gauge,
    help: "How far this machine's clock is ahead of the chain's; negative: behind.",
  },
  validator_disk_free_bytes: {
    type: 'gauge',
    labels: ['disk'],
    help: 'Free room on the disks in use, by what lies there.',
  },
  validator_database_seconds: { ...gauge, help: 'How long the database took for its last answer.' },
  validator_database_bytes: { ...gauge, help: 'How large the database is, without its write-ahead log.' },
  validator_watch_verdict: { ...watches, help: 'What each watch found last: 0 ok, 1 a warning, 2 bad.' },
  validator_watch_age_seconds: { ...watches, help: 'How long ago each watch looked.' },
  validator_loop_failures: { type: 'gauge', labels: ['loop'], help: 'Runs of each loop that failed in a row.' },
  validator_ready: { ...gauge, help: '1 when /health says ready.' },
} as const satisfies Metrics

export type GaugeName = NamesOf<typeof METRICS, 'gauge'>
