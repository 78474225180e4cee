/** Wires what a running validator shows its operator: watches, metrics, and the pages of its admin port. */
import type { Chain } from '@horde/chain/chain'
import type { Hotkey } from '@horde/chain/wallet'
import type { Database } from '@horde/kit/database'
import type { Log } from '@horde/kit/log'
import { startLoop } from '@horde/kit/loop'
import { createMetrics } from '@horde/kit/metrics'
import { openAdmin } from '@horde/kit/operator/admin'
import type { Clock } from '@horde/kit/time'
import { Watches } from '@horde/kit/watch/watches'
import type { ScheduleState } from '../batches/batch-schedule.ts'
import type { ValidatorConfig } from '../config.ts'
import { ValidatorMetrics } from '../metrics/validator-metrics.ts'
import type { FacilitatorState } from '../organic/facilitator-connection.ts'
import { validatorWatches } from '../watch/validator-watches.ts'
import { healthOf } from './health.ts'
import { validatorPage } from './page/page.ts'
import type { StatusSources } from './sources.ts'
import { openHistory } from './status/history.ts'
import { nextBatchOf } from './status/next-batch.ts'
import { readStatus } from './status/status.ts'
import { SubnetView } from './subnet-view.ts'

/** How often the subnet is read for the operator, and how long that may take, in milliseconds. */
const SUBNET_EVERY_MS = 60_000
const SUBNET_WITHIN_MS = 120_000

type ShownLoops = ReturnType<StatusSources['loops']>

export type OperatorDeps = {
  config: ValidatorConfig
  chain: Chain
  hotkey: Hotkey
  db: Database
  clock: Clock
  log: Log
  loops: ShownLoops
  /** What is known of the next turn. */
  turn(): ScheduleState | undefined
  facilitator: { state(): FacilitatorState } | undefined
}

/** Gives the admin port's number; undefined when none is set. All ends with `stack`. */
export async function openOperator(
  deps: OperatorDeps,
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<number | undefined> {
  const { config, chain, hotkey, db, clock, log } = deps
  const { ADMIN_HOST: host, ADMIN_PORT: port, BITTENSOR_NETUID: netuid } = config
  const { WEIGHTS_COMMIT_BY: commitBy } = config
  const view = new SubnetView({ chain, netuid, hotkey: hotkey.ss58, commitBy, clock })
  const times = { everyMs: SUBNET_EVERY_MS, deadlineMs: SUBNET_WITHIN_MS }
  const subnetLoop = stack.use(
    startLoop({ name: 'subnet', ...times, run: () => view.refresh(), ...{ clock, log, signal } }),
  )
  const all = validatorWatches({ config, chain, hotkey: hotkey.ss58, db, subnet: () => view.known, clock })
  const watches = stack.use(new Watches(all, { clock, log, signal }))
  if (port === undefined) return undefined
  const sources = sourcesOf(deps, view, watches, [...deps.loops, subnetLoop])
  const metrics = new ValidatorMetrics(createMetrics('validator'), { sources, db, clock, log })
  const options = { ...{ host, port, log, metrics, page: validatorPage }, health: async () => healthOf(sources) }
  return openAdmin({ ...options, status: () => readStatus(sources, clock) }, stack)
}

function sourcesOf(deps: OperatorDeps, view: SubnetView, watches: Watches, loops: ShownLoops): StatusSources {
  const { config, chain, hotkey, db, facilitator, clock, turn } = deps
  const netuid = config.BITTENSOR_NETUID
  return {
    own: { hotkey: hotkey.ss58, netuid, startedAtMs: clock.now() },
    chain: () => chain.state(),
    subnet: () => view.known,
    subnetAgeMs: () => view.ageMs(),
    weightsBy: () => view.weightsBy,
    nextBatch: () => nextBatchOf(turn(), config.BATCH_INTERVAL_SECONDS * 1000, clock.now()),
    loops: () => loops,
    facilitator: () => facilitator?.state(),
    watches: () => watches.state(),
    history: openHistory(db, netuid, hotkey.ss58),
  }
}
