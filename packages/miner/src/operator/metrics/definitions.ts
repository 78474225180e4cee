/** The miner's own metrics. */
import type { Metrics, NamesOf } from '@horde/kit/metrics/definitions'
import { commonMetrics } from '@horde/operator/metrics/common-metrics'

const STAGES = [
  'start (accepted to executor connected)',
  'prepare (to ready)',
  'work (ready to the work)',
  'run (to the end)',
  'offer_to_ready (start and prepare together)',
]

const EXECUTOR_STATES = [
  'taken (by jobs)',
  'free',
  'leaving (cleaning up after a job)',
  'warm_ready and warm_starting (started ahead of jobs)',
]

/** Labels never hold text that a peer chose: an unknown class is `other`. */
const OWN_METRICS = {
  miner_jobs_total: {
    type: 'counter',
    labels: ['executor_class', 'end', 'reason'],
    help: 'Accepted jobs that ended in this process: finished, failed or broken, with the reason (or `none`).',
  },
  miner_job_stage_seconds: {
    type: 'histogram',
    labels: ['executor_class', 'stage'],
    help: `How long jobs were in each stage: ${STAGES.join('; ')}.`,
  },
  miner_jobs_open: { type: 'gauge', labels: ['state'], help: 'Jobs in progress.' },
  miner_offers_declined_total: {
    type: 'counter',
    labels: ['executor_class', 'reason'],
    help: 'Declined offers, by reason.',
  },
  miner_refusals_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Connections to the port for validators that failed to authenticate, by reason.',
  },
  miner_frames_refused_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Work, and offers of known jobs, that were refused because they were unsigned or badly signed.',
  },
  miner_executors: {
    type: 'gauge',
    labels: ['pool', 'executor_class', 'state'],
    help: `Executors of each pool, by state: ${EXECUTOR_STATES.join('; ')}.`,
  },
  miner_pool_draining: { type: 'gauge', labels: ['pool'], help: '1 for a pool that drains: it takes no new jobs.' },
  miner_pool_closed: {
    type: 'gauge',
    labels: ['pool'],
    help: '1 for a pool that takes no new jobs because of what a watch found.',
  },
  miner_sessions_of_dialect: {
    type: 'gauge',
    labels: ['dialect'],
    help: 'Authenticated connections of validators, by the dialect that they speak: v0 or v2026.',
  },
  miner_executors_of_dialect: {
    type: 'gauge',
    labels: ['dialect'],
    help: 'Executors of jobs in progress, by the dialect that is spoken with them: v0 or v2026.',
  },
  miner_sessions: { type: 'gauge', labels: [], help: 'Authenticated connections of validators.' },
  miner_validators: { type: 'gauge', labels: [], help: 'Validators that may use this miner.' },
  miner_validators_connected: { type: 'gauge', labels: [], help: 'Validators with at least one connection.' },
  miner_validators_age_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Age of the list of validators: it grows while the chain does not answer. Absent before the first answer.',
  },
  miner_manifest_committed: {
    type: 'gauge',
    labels: [],
    help:
      'With COMMIT_MANIFEST: 1 while the chain has the manifest of this miner, 0 while it has another one or none. ' +
      'Absent before the first look.',
  },
  miner_gpus: { type: 'gauge', labels: [], help: 'GPUs that nvidia-smi lists. Absent where no pool uses GPUs.' },
} as const satisfies Metrics

export const METRICS = { ...OWN_METRICS, ...commonMetrics('miner') } as const satisfies Metrics

export type MetricName = keyof typeof OWN_METRICS
export type GaugeName = NamesOf<typeof OWN_METRICS, 'gauge'>
