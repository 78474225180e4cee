/** The miner's own metrics. */
import type { Metrics, NamesOf } from '@horde/kit/metrics/definitions'

/** Labels never hold what a stranger wrote: a class that there is not is `other`. */
export const METRICS = {
  miner_jobs_total: {
    type: 'counter',
    labels: ['executor_class', 'end', 'reason'],
    help: 'Jobs that this process took and that ended: finished, failed or broken, and why (none: as they should).',
  },
  miner_job_stage_seconds: {
    type: 'histogram',
    labels: ['executor_class', 'stage'],
    help: 'How long jobs were in each stage: start (accepted to executor connected), prepare (to ready), work (ready to the work), run (to the end); offer_to_ready is all before the work.',
  },
  miner_jobs_open: { type: 'gauge', labels: ['state'], help: 'Jobs that are being driven now.' },
  miner_offers_declined_total: {
    type: 'counter',
    labels: ['executor_class', 'reason'],
    help: 'Offers that were declined, by why.',
  },
  miner_refusals_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Connections to the port of validators that were refused at their authentication.',
  },
  miner_executors: {
    type: 'gauge',
    labels: ['pool', 'executor_class', 'state'],
    help: 'Executors of each pool: taken by jobs, free to be taken, and of those: leaving, while the last executor cleans up, and warm: warm_ready, warm_starting.',
  },
  miner_pool_draining: {
    type: 'gauge',
    labels: ['pool'],
    help: '1 for a pool that takes no new job any more.',
  },
  miner_pool_closed: {
    type: 'gauge',
    labels: ['pool'],
    help: '1 for a pool that takes no new job because of what a watch found.',
  },
  miner_sessions: { type: 'gauge', labels: [], help: 'Authenticated connections of validators.' },
  miner_validators: { type: 'gauge', labels: [], help: 'Validators that are served.' },
  miner_validators_connected: { type: 'gauge', labels: [], help: 'Validators with at least one connection.' },
  miner_validators_age_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Age of the list of validators: it grows while the chain does not answer. Absent before the first answer.',
  },
  miner_chain_connected: { type: 'gauge', labels: [], help: '1 while there is a connection to the chain.' },
  miner_chain_block: { type: 'gauge', labels: [], help: 'The best block that was heard of.' },
  miner_chain_block_age_seconds: { type: 'gauge', labels: [], help: 'Since when no new block was heard of.' },
  miner_registered: { type: 'gauge', labels: [], help: '1 when the own hotkey is registered on the subnet.' },
  miner_clock_offset_seconds: {
    type: 'gauge',
    labels: [],
    help: "How far this machine's clock is ahead of the chain's; negative: behind.",
  },
  miner_disk_free_bytes: {
    type: 'gauge',
    labels: ['disk'],
    help: 'Free room on the disks in use, by what lies there.',
  },
  miner_gpus: { type: 'gauge', labels: [], help: 'GPUs that nvidia-smi lists. Absent where it is not asked.' },
  miner_database_seconds: { type: 'gauge', labels: [], help: 'How long the database took for its last answer.' },
  miner_database_bytes: {
    type: 'gauge',
    labels: [],
    help: 'How large the database is, without its write-ahead log.',
  },
  miner_watch_verdict: {
    type: 'gauge',
    labels: ['watch'],
    help: 'What each watch found last: 0 ok, 1 a warning, 2 bad.',
  },
  miner_watch_age_seconds: { type: 'gauge', labels: ['watch'], help: 'How long ago each watch looked.' },
  miner_ready: { type: 'gauge', labels: [], help: '1 when /health says ready.' },
} as const satisfies Metrics

export type MetricName = keyof typeof METRICS
export type GaugeName = NamesOf<typeof METRICS, 'gauge'>
