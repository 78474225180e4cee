/** The validator's own metrics. */
import type { Metrics, NamesOf } from '@horde/kit/metrics/definitions'
import { commonMetrics } from '@horde/operator/metrics/common-metrics'

const ENDS = ['finished', 'failed', 'rejected', 'broken']
const gauge = { type: 'gauge', labels: [] } as const

/** Labels never hold text that a peer chose: an unknown class is `other`. */
const OWN_METRICS = {
  validator_jobs_total: {
    type: 'counter',
    labels: ['kind', 'executor_class', 'end', 'reason'],
    help: `Jobs that ended since this process started: ${ENDS.join(', ')}, with the reason (or \`none\`).`,
  },
  validator_ready_to_work_seconds: {
    type: 'histogram',
    labels: [],
    help: 'Time from receiving ready to sending the work. If it grows, this machine is too small for its batches.',
  },
  validator_result_seconds: {
    type: 'histogram',
    labels: ['kind', 'executor_class'],
    help: 'Time from sending the work to receiving the result.',
  },
  validator_jobs_open: { type: 'gauge', labels: ['kind', 'state'], help: 'Jobs that have not ended yet.' },
  validator_batches: {
    type: 'gauge',
    labels: ['state'],
    help: 'Batches in the database: open, unscored (closed, waiting for weights), scored, void (never scored).',
  },
  validator_last_batch_age_seconds: {
    ...gauge,
    help: 'Seconds since the last batch started. Absent before the first.',
  },
  validator_next_batch_seconds: {
    ...gauge,
    help: 'Seconds until the next batch starts. Absent while none is scheduled.',
  },
  validator_weight_settings: {
    type: 'gauge',
    labels: ['state', 'method'],
    help: 'Settings of weights in the database: planned, committed (to be revealed), included, refused.',
  },
  validator_weights_block: { ...gauge, help: 'The block that included the last weights.' },
  validator_facilitator_connected: {
    ...gauge,
    help: '1 while connected to the facilitator. Absent when none is set.',
  },
  validator_facilitator_dialect: {
    type: 'gauge',
    labels: ['dialect'],
    help: '1 for the dialect that the facilitator speaks: v0 or v2026. Absent while it is not connected.',
  },
  validator_facilitator_updates_waiting: {
    ...gauge,
    help: 'Status updates that the facilitator has not answered yet. Absent when none is set.',
  },
  validator_miners: {
    type: 'gauge',
    labels: ['dialect'],
    help: 'Miners that this process has talked to lately, by the dialect that they speak: v0 or v2026.',
  },
  validator_subnet_age_seconds: {
    ...gauge,
    help: "Age of the chain's last answer about the subnet. Absent before the first answer.",
  },
  validator_permit: { ...gauge, help: "1 when the validator's hotkey has a validator permit." },
  validator_stake_tao: { ...gauge, help: "The stake of the validator's hotkey, in TAO." },
  validator_rank: { ...gauge, help: "The validator's rank among the validators, from 1. Absent when it has none." },
  validator_loop_failures: { type: 'gauge', labels: ['loop'], help: 'Runs of each loop that failed in a row.' },
} as const satisfies Metrics

export const METRICS = { ...OWN_METRICS, ...commonMetrics('validator') } as const satisfies Metrics

export type MetricName = keyof typeof OWN_METRICS
export type GaugeName = NamesOf<typeof OWN_METRICS, 'gauge'>
